// Encoding and decoding times: from `rdbench timing`, by stage, and from the sweep.

import { chart, shortened, swatch, textWidth } from "chart.js";
import { currentSet } from "current.js";
import { bytes, el, fixed, plural, seconds } from "format.js";
import { get, on, set } from "state.js";
import { table } from "table.js";

const ROW = 26;

export function start() {
  const draw = chart(document.getElementById("stages-chart"), drawStages);
  on(["dataset", "timesort"], () => {
    lede();
    aloneTable();
    sweepTable();
  });
  on(["dataset"], draw);
}

const swept = () => currentSet().curves.filter((curve) => curve.times?.n);

function lede() {
  const { timings, name } = currentSet();
  const command = el("code", {}, "rdbench timing");
  document
    .getElementById("timing-lede")
    .replaceChildren(
      ...(timings.length
        ? [
            "Measured by ",
            command,
            `, one codec at a time: warmed up and synchronized, ${plural(timings[0].n_repeats, "repetition")} of ` +
              `${plural(timings[0].n_images, "image")}. Median, with lower and upper quartile in parentheses.`,
          ]
        : [`No codec was timed separately on ${name}. Run `, command, " to time codecs stage by stage."]),
    );
  document.getElementById("sweep-lede").textContent = swept().length
    ? "Wall time per call, median with lower and upper quartile over all images and rates. " +
      "The sweep loads a codec before timing it, but does not warm it up. Times are too long if other jobs ran in parallel."
    : `No codec was timed on ${name}.`;
}

const between = (low, median, high) => [el("strong", {}, seconds(median)), ` (${seconds(low)} to ${seconds(high)})`];

function aloneTable() {
  const { timings, byKey } = currentSet();
  const root = document.getElementById("timing-table");
  root.replaceChildren();
  if (!timings.length) return;
  const memory = (t) => t.peak_gpu_bytes ?? t.peak_memory_bytes;
  table(root, {
    caption: `Times from rdbench timing on ${currentSet().name}`,
    rows: timings,
    columns: [
      {
        key: "codec",
        name: "Codec",
        value: (t) => t.key ?? t.label,
        show: (t) => [t.key ? swatch(byKey.get(t.key)) : null, `${t.key ?? t.label} ${t.rate}`],
      },
      { key: "on", name: "Device", value: (t) => t.on, show: (t) => el("span", { title: t.device }, t.on) },
      {
        key: "encode",
        name: "Encode",
        numeric: true,
        value: (t) => t.encode_s.median,
        show: ({ encode_s: q }) => between(q.low, q.median, q.high),
      },
      {
        key: "decode",
        name: "Decode",
        numeric: true,
        value: (t) => t.decode_s.median,
        show: ({ decode_s: q }) => between(q.low, q.median, q.high),
      },
      { key: "memory", name: "Peak memory (MiB)", numeric: true, value: memory, show: (t) => bytes(memory(t) / 2 ** 20) },
      {
        key: "busy",
        name: "Machine",
        value: (t) => (t.busy ? `busy (${fixed(t.others_cores, 1)} cores)` : "idle"),
      },
    ],
  });
}

// Positions of the words of a legend, from left to right, line by line: [[x, y], ...].
function flow(words, width) {
  let [x, y] = [0, 6];
  return words.map((word) => {
    const room = 34 + textWidth(word);
    if (x > 0 && x + room > width) [x, y] = [0, y + 18];
    x += room;
    return [x - room, y];
  });
}

// Stacked bars: the stages of encoding and of decoding, for each codec.
function drawStages(width) {
  const found = currentSet().timings.filter((t) => Object.keys(t.stages).length);
  if (!found.length) return null;
  const bars = found.flatMap((t) =>
    Object.entries(t.stages).flatMap(([direction, stages]) => {
      let low = 0;
      return Object.entries(stages).map(([stage, s]) => {
        low += s;
        return { row: `${t.key ?? t.label} ${t.rate}, ${direction}`, stage, s, low: low - s, high: low, t };
      });
    }),
  );
  const names = [...new Set(bars.map((b) => b.row))];
  const stages = [...new Set(bars.map((b) => b.stage))];
  const color = (stage) => `var(--c${stages.indexOf(stage) % 8})`;
  const places = flow(stages, width);
  const top = places.at(-1)[1] + 28;
  const marginLeft = Math.min(width * 0.4, 16 + textWidth(...names));
  const svg = Plot.plot({
    width,
    height: top + 36 + ROW * names.length,
    marginLeft,
    marginRight: 16,
    marginTop: top,
    marginBottom: 38,
    x: { label: "Median time per image (s)", labelAnchor: "center", labelArrow: "none", grid: true },
    y: { domain: names, label: null, padding: 0.25, tickSize: 0, tickFormat: (n) => shortened(n, marginLeft - 16) },
    color: { type: "identity" },
    marks: [Plot.barX(bars, { x1: "low", x2: "high", y: "row", fill: (b) => color(b.stage), insetRight: 1 })],
  });
  const key = d3.select(svg).append("g").attr("class", "labels");
  stages.forEach((stage, i) => {
    const [left, top] = places[i];
    key.append("rect").attr("x", left).attr("y", top).attr("width", 11).attr("height", 11).attr("fill", color(stage));
    key
      .append("text")
      .attr("x", left + 16)
      .attr("y", top + 6)
      .attr("dy", "0.32em")
      .attr("fill", "var(--ink)")
      .text(stage);
  });
  const [sx, sy] = [svg.scale("x").apply, svg.scale("y")];
  return {
    svg,
    label: `Time per stage, ${plural(stages.length, "stage")}.`,
    points: bars.map((b) => ({ ...b, x: sx((b.low + b.high) / 2), y: sy.apply(b.row) + sy.bandwidth / 2 })),
    tell: ({ row, stage, s }) => [row, [[stage, seconds(s)]]],
  };
}

function sweepTable() {
  const curves = swept();
  const root = document.getElementById("sweep-table");
  root.replaceChildren();
  if (!curves.length) return;
  const speed = ({ times }) => times.decode_s && times.megapixels / times.decode_s[1];
  table(root, {
    caption: `Times from the sweep on ${currentSet().name}`,
    rows: curves,
    sort: get("timesort"),
    onSort: (timesort) => set({ timesort }),
    columns: [
      { key: "curve", name: "Curve", value: (c) => c.key, show: (c) => [swatch(c), c.key] },
      {
        key: "encode",
        name: "Encode",
        numeric: true,
        value: (c) => c.times.encode_s?.[1],
        show: (c) => c.times.encode_s && between(...c.times.encode_s),
      },
      {
        key: "decode",
        name: "Decode",
        numeric: true,
        value: (c) => c.times.decode_s?.[1],
        show: (c) => c.times.decode_s && between(...c.times.decode_s),
      },
      { key: "speed", name: "Decoding (Mpixel/s)", numeric: true, value: speed, show: (c) => fixed(speed(c), 2) },
      { key: "n", name: "Calls", numeric: true, value: (c) => c.times.n },
      {
        key: "alone",
        name: "Single job",
        value: (c) => (c.times.alone === c.times.n ? "yes" : c.times.alone ? "some" : "no"),
      },
    ],
  });
}
