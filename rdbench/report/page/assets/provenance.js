// Where each curve comes from.

import { swatch } from "chart.js";
import { currentSet, shownCurves } from "current.js";
import { el, plural } from "format.js";
import { on } from "state.js";

export function start() {
  on(["dataset", "shown"], draw);
}

function draw() {
  const curves = shownCurves();
  document.getElementById("provenance-lede").textContent =
    `Details of the ${plural(curves.length, "curve")} shown on ${currentSet().name}.`;
  const root = document.getElementById("provenance-list");
  const open = new Set([...root.querySelectorAll("details[open]")].map((d) => d.dataset.key));
  root.replaceChildren(...curves.map((curve) => entry(curve, open.has(curve.key))));
}

function entry(curve, open) {
  const { provenance, protocol } = curve;
  const published = curve.source === "published";
  const rows = [
    ["source", curve.source + (published && provenance.repository ? `: ${provenance.repository}` : "")],
    ["file", provenance.path],
    ["commit", provenance.commit],
    ["trained for", provenance.trained_for],
    ["settings", provenance.curve],
    ["weights", curve.weights.join(", ") || null],
    ["records", provenance.records],
    ["measured", provenance.first && `${provenance.first.slice(0, 10)} to ${provenance.last.slice(0, 10)}`],
    ...Object.entries(protocol).map(([name, value]) => [name === "fingerprint" ? "protocol" : name, value]),
    ...curve.notes.map((note) => [note.kind === "note" ? "note" : `note (${note.kind})`, note.message]),
    ...(provenance.failed ?? []).slice(0, 5).map((f) => ["failed", `${f.spec} on ${f.image}: ${f.error}`]),
    provenance.failed?.length > 5 ? ["failed", `and ${provenance.failed.length - 5} more`] : ["", null],
    ...(provenance.runs ?? []).flatMap(run),
  ];
  return el(
    "details",
    { "data-key": curve.key, open },
    el(
      "summary",
      {},
      swatch(curve),
      el("span", { className: "name" }, curve.key),
      curve.notes.length ? el("span", { className: "flag" }, plural(curve.notes.length, "note")) : null,
      el("span", { className: "source" }, brief(curve)),
    ),
    el(
      "dl",
      {},
      rows
        .filter(([, value]) => value !== null && value !== undefined)
        .flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]),
    ),
  );
}

// A short description that distinguishes curves of the same codec.
function brief({ source, protocol, bpp, weights, provenance }) {
  return [
    source,
    protocol.scored && `scored as ${protocol.scored}`,
    plural(bpp.length, "point"),
    provenance.records && plural(provenance.records, "record"),
    weights.length === 1 && `weights ${weights[0].slice(0, 12)}`,
    provenance.last && provenance.last.slice(0, 10),
  ]
    .filter(Boolean)
    .join(" \u00b7 ");
}

function run(made, i, all) {
  const behind = all.length > 1 ? ` ${i + 1}` : "";
  const list = (pairs) =>
    Object.entries(pairs ?? {})
      .map(([k, v]) => `${k} ${v}`)
      .join(", ");
  const { machine } = made;
  return [
    [`command${behind}`, made.command],
    [`versions${behind}`, list(made.versions)],
    [`metrics${behind}`, list(made.metrics)],
    [`machine${behind}`, machine && `${machine.processor}, ${machine.cores} cores, ${machine.system}`],
    [`jobs${behind}`, made.jobs === undefined ? null : `${made.jobs}, threads ${made.threads}`],
  ];
}
