// How long encoding and decoding took.

import { swatch } from "chart.js";
import { currentSet } from "current.js";
import { el, fixed, seconds } from "format.js";
import { on } from "state.js";
import { table } from "table.js";

export function start() {
  on(["dataset"], draw);
}

const spread = (quartiles) => quartiles && [el("strong", {}, seconds(quartiles[1])), ` (${seconds(quartiles[0])} to ${seconds(quartiles[2])})`];

const speed = (curve) => curve.times.decode_s && curve.times.megapixels / curve.times.decode_s[1];

function draw() {
  const curves = currentSet().curves.filter((curve) => curve.times?.n);
  const root = document.getElementById("timing-table");
  document.getElementById("timing-lede").textContent = curves.length
    ? "Wall time of the calls that encode and decode, median and quartiles over all pictures and rates, as the sweep took them. " +
      "A sweep warms nothing up; where others ran beside it the times are too long."
    : `Nothing was timed on ${currentSet().name}.`;
  root.replaceChildren();
  if (!curves.length) return;
  table(root, {
    caption: `Times on ${currentSet().name}`,
    rows: curves,
    columns: [
      { key: "curve", name: "Curve", value: (c) => c.key, show: (c) => [swatch(c), c.key] },
      { key: "encode", name: "Encode", numeric: true, value: (c) => c.times.encode_s?.[1], show: (c) => spread(c.times.encode_s) },
      { key: "decode", name: "Decode", numeric: true, value: (c) => c.times.decode_s?.[1], show: (c) => spread(c.times.decode_s) },
      { key: "speed", name: "Decoded Mpixel/s", numeric: true, value: speed, show: (c) => fixed(speed(c), 2) },
      { key: "n", name: "Calls", numeric: true, value: (c) => c.times.n },
      { key: "alone", name: "Ran alone", value: (c) => (c.times.alone === c.times.n ? "yes" : c.times.alone ? "some" : "no") },
    ],
  });
}
