// Several runs of one codec, in folders of their own: what changed since.

import { swatch } from "chart.js";
import { currentMetric, currentSet, shownKeys } from "current.js";
import { el, percent, seconds } from "format.js";
import { report } from "report.js";
import { on } from "state.js";
import { table } from "table.js";

export function start() {
  document.getElementById("runs").hidden = document.getElementById("runs-link").hidden = !report.runs.length;
  if (report.runs.length) on(["dataset", "metric", "shown"], draw);
}

function draw() {
  const { name, byKey } = currentSet();
  const { key: metric, name: quality } = currentMetric();
  const keys = shownKeys();
  const rows = report.runs.filter((run) => run.dataset === name && keys.has(run.key));
  document.getElementById("runs-lede").textContent = rows.length
    ? `Runs of the same codec with the same settings on ${name}, newest first. BD-rate (${quality}) of each run against ` +
      "the newest: a positive value means that the run needed more bits. Times are medians of the sweep, and comparable only " +
      "on one machine with nothing else running."
    : `No curve shown on ${name} was measured several times.`;
  const root = document.getElementById("runs-table");
  root.replaceChildren();
  if (!rows.length) return;
  const figure = (run) => run.bd_rates[metric];
  table(root, {
    caption: `Runs over time on ${name}`,
    rows,
    columns: [
      { key: "curve", name: "Curve", value: (r) => r.key, show: (r) => [swatch(byKey.get(r.key)), r.key] },
      { key: "measured", name: "Measured", value: (r) => r.last, show: days },
      { key: "folder", name: "Folder", value: (r) => r.folder },
      { key: "versions", name: "Versions that differ", value: versions },
      {
        key: "bd_rate",
        name: "BD-rate (%)",
        numeric: true,
        value: (r) => (r.is_newest ? "newest" : figure(r)?.bd_rate),
        show: (r) => (r.is_newest ? "newest" : remarked(figure(r))),
      },
      { key: "encode", name: "Encode", numeric: true, value: (r) => median(r.times.encode_s), show: time("encode_s") },
      { key: "decode", name: "Decode", numeric: true, value: (r) => median(r.times.decode_s), show: time("decode_s") },
      { key: "alone", name: "Single job", value: (r) => (r.times.alone === r.times.n ? "yes" : r.times.alone ? "some" : "no") },
      { key: "machine", name: "Machine", value: (r) => r.machines.join("; ") || null },
    ],
  });
}

const days = ({ first, last }) => [...new Set([first, last].map((day) => day.slice(0, 10)))].join(" to ");

function versions({ versions: used, weights }) {
  const words = Object.entries(used).map(([name, v]) => (v.startsWith(name) ? v : `${name} ${v}`));
  return [...words, ...weights.map((sha256) => `weights ${sha256.slice(0, 12)}`)].join(", ") || null;
}

const median = (quartiles) => quartiles?.[1];
const time = (name) => (run) => seconds(median(run.times[name]));

// A figure with its warnings, or why there is none.
function remarked(figure) {
  if (!figure) return null;
  const remarks = figure.error ? [figure.error] : figure.warnings;
  return el("span", { title: remarks.join("\n") || null }, percent(figure.bd_rate, 3), remarks.length ? " *" : null);
}
