// Rate-distortion curves: the figure, the list of curves next to it, and the table of points.

import { axisX, chart, logTicks, spread, swatch, textWidth } from "chart.js";
import { anchorKey, currentMetric, currentSet, show, shownCurves, shownKeys } from "current.js";
import { bpp, breakable, bytes, el, percent, plural, quality, qualityAndUnit, seconds, significant } from "format.js";
import { bdRow, imageIndex, isShownByDefault, points } from "report.js";
import { get, on, reflect, set } from "state.js";
import { table } from "table.js";

const LABEL_HEIGHT = 15;
const DEPENDS = ["dataset", "metric", "shown", "image", "axis", "from", "to"];

export function start() {
  const root = document.getElementById("curves-chart");
  const draw = chart(root, drawFigure);
  on(["dataset"], fillImages);
  on(DEPENDS, () => {
    draw();
    lede();
    pointsTable();
  });
  on(["dataset", "metric", "shown", "anchor"], curveList);
  for (const button of document.querySelectorAll("[data-show]")) {
    button.addEventListener("click", () => show(groups[button.dataset.show]()));
  }
}

const groups = {
  all: () => currentSet().curves.map((c) => c.key),
  measured: () =>
    currentSet()
      .curves.filter((c) => c.source !== "published")
      .map((c) => c.key),
  default: () =>
    currentSet()
      .curves.filter(isShownByDefault)
      .map((c) => c.key),
};

function fillImages() {
  const { images, n_images } = currentSet();
  document
    .getElementById("curves-image")
    .replaceChildren(
      el("option", { value: "" }, `Mean of ${plural(n_images, "image")}`),
      ...images.map((name) => el("option", { value: name }, name)),
    );
  if (!images.includes(get("image"))) set({ image: "" });
  reflect();
}

// The points of the figure, and the window of rates that it shows.
function scene() {
  const { key } = currentMetric();
  const image = imageIndex(currentSet(), get("image"));
  const lines = shownCurves()
    .map((curve) => points(curve, key, image))
    .filter((line) => line.length);
  const own = lines.filter((line) => line[0].curve.source !== "published");
  const rates = (own.length ? own : lines).flat().map((p) => p.bpp);
  const [least, most] = d3.extent(rates);
  const log = get("axis") === "log";
  const margin = log ? 0 : 0.03 * (most - least);
  const from = Number(get("from")) || (log ? least / 1.1 : Math.max(0, least - margin));
  const to = Number(get("to")) || (log ? most * 1.1 : most + margin);
  const visible = lines.flat().filter((p) => p.bpp >= from && p.bpp <= to);
  return { lines, visible, log, x: [from, Math.max(to, from * 1.01)] };
}

function drawFigure(width) {
  const { lines, visible, log, x } = scene();
  if (!visible.length) return null;
  const narrow = width < 560;
  const ticks = log ? logTicks(x, narrow ? 6 : 10) : d3.ticks(...x, narrow ? 5 : 9);
  const height = narrow ? 380 : Math.max(360, Math.min(520, innerHeight - 470));
  const marginRight = narrow ? 12 : 12 + textWidth(...visible.map((p) => p.curve.key));
  const qualities = d3.extent(visible, (p) => p.quality);
  const pad = 0.04 * (qualities[1] - qualities[0] || 1);
  const y = [qualities[0] - pad, qualities[1] + pad];
  const all = lines.flat();
  const curves = [...new Set(all.map((p) => p.curve))];
  const line = (dashed) =>
    Plot.line(
      all.filter((p) => p.curve.dashed === dashed),
      {
        x: "bpp",
        y: "quality",
        z: (p) => p.curve.key,
        stroke: (p) => p.curve.color,
        strokeWidth: dashed ? 1.4 : 2,
        strokeDasharray: dashed ? "5 3" : null,
        ariaLabel: (p) => p.curve.key,
        clip: true,
      },
    );
  const svg = Plot.plot({
    width,
    height,
    marginLeft: 46,
    marginRight,
    marginTop: 28,
    marginBottom: 42,
    x: { type: log ? "log" : "linear", domain: x, axis: null },
    y: { domain: y, label: currentMetric().axis, labelArrow: "none", grid: true, ticks: 8 },
    color: { type: "identity" },
    symbol: { domain: curves.map((c) => c.key), range: curves.map((c) => c.symbol) },
    marks: [
      Plot.gridX(ticks),
      axisX(ticks, "Rate (bits per pixel)"),
      line(true),
      line(false),
      Plot.dot(all, {
        x: "bpp",
        y: "quality",
        stroke: (p) => p.curve.color,
        fill: (p) => (p.curve.hollow ? "var(--paper)" : p.curve.color),
        symbol: (p) => p.curve.key,
        r: 3.4,
        strokeWidth: 1.4,
        ariaLabel: (p) => p.curve.key,
        clip: true,
      }),
    ],
  });
  const [sx, sy] = [svg.scale("x").apply, svg.scale("y").apply];
  if (!narrow) label(svg, lines, x, y, sx, sy, { right: width - marginRight, top: 28, bottom: height - 42 });
  return {
    svg,
    label: `${currentMetric().name} over rate on ${currentSet().name}, ${plural(curves.length, "curve")}.`,
    points: visible.map((p) => ({ ...p, x: sx(p.bpp), y: sy(p.quality), row: p.curve.key })),
    tell,
    focus: (key) => highlight(svg, key),
    span: (ends) => zoom(ends?.map((x) => svg.scale("x").invert(x)) ?? ["", ""]),
  };
}

function zoom([from, to]) {
  set({ from: from && Math.max(from, 0.001).toPrecision(3), to: to && to.toPrecision(3) });
  reflect();
}

// Curve names at the right edge, each with a thin line to the last visible point of its curve.
function label(svg, lines, x, y, sx, sy, { right, top, bottom }) {
  const ends = lines
    .map((line) => ({ line, end: lastSeen(line, x, y) }))
    .filter(({ end }) => end)
    .map(({ line, end }) => ({ curve: line[0].curve, x: sx(end.bpp), y: sy(end.quality) }));
  const gap = Math.min(LABEL_HEIGHT, (bottom - top) / Math.max(1, ends.length - 1));
  const group = d3.select(svg).append("g").attr("class", "labels");
  for (const { curve, x: from, y, at } of spread(ends, gap, top, bottom)) {
    const one = group.append("g").attr("aria-label", curve.key);
    one
      .append("path")
      .attr("d", `M${from + 5},${y}L${right + 1},${at}`)
      .attr("stroke", curve.color)
      .attr("class", "leader");
    one
      .append("text")
      .attr("x", right + 5)
      .attr("y", at)
      .attr("dy", "0.32em")
      .attr("fill", `color-mix(in oklab, ${curve.color}, var(--ink) 30%)`)
      .text(curve.key);
  }
}

// Where the visible part of a curve ends: at its last point in the window, or at the right edge.
function lastSeen(line, [from, to], [low, high]) {
  const seen = (p) => p.bpp >= from && p.bpp <= to && p.quality >= low && p.quality <= high;
  const inside = line.findLastIndex(seen);
  if (inside < 0) return null;
  const [a, b] = [line[inside], line[inside + 1]];
  if (!b) return a;
  const t = (to - a.bpp) / (b.bpp - a.bpp);
  const edge = { bpp: to, quality: a.quality + t * (b.quality - a.quality) };
  return seen(edge) ? edge : a;
}

function highlight(svg, key) {
  svg.classList.toggle("focused", key !== null);
  for (const node of svg.querySelectorAll("[aria-label]")) {
    node.classList.toggle("on", node.getAttribute("aria-label") === key);
  }
}

function tell({ curve, i, bpp: rate, quality }) {
  const { name, unit } = currentMetric();
  const value = curve.rate_values[i];
  const image = imageIndex(currentSet(), get("image"));
  const size = image < 0 ? curve.n_bytes?.[i] : (rate * currentSet().pixels[image]) / 8;
  const rows = [
    value === undefined || value === null ? null : [curve.rate_parameter, significant(value, 5)],
    ["rate", `${bpp(rate)} bpp`],
    size ? [image < 0 ? "mean size" : "size", `${bytes(size)} bytes`] : null,
    [name, qualityAndUnit(quality, unit)],
    curve.point_times[i] ? ["decode time", seconds(curve.point_times[i].decode_s?.[1])] : null,
    curve.weights.length
      ? ["weights", curve.weights.length === 1 ? curve.weights[0].slice(0, 12) : `${curve.weights.length} sets`]
      : null,
    ["scored", curve.protocol.scored ?? "unknown"],
    ["source", curve.source],
  ];
  return [curve.key, rows.filter((row) => row !== null)];
}

function lede() {
  const image = get("image");
  const set_ = currentSet();
  const of = image || `mean of ${plural(set_.n_images, "image")}`;
  document.getElementById("curves-lede").textContent =
    `${currentMetric().name} over rate on ${set_.name}, ${of}. Higher and further left is better.`;
  const lines = shownCurves();
  const key = [
    lines.some((c) => c.dashed) ? "Solid lines: measured. Dashed lines: published or imported." : "",
    lines.some((c) => c.hollow) ? "Hollow markers: a separate model per point." : "",
    image && lines.some((c) => !c.per_image) ? "Curves without per-image scores are not shown." : "",
  ];
  document.getElementById("curves-key").textContent = key.filter(Boolean).join(" ");
}

function curveList() {
  const set_ = currentSet();
  const chosen = shownKeys();
  const anchor = anchorKey();
  const sources = [
    ["measured", "Measured"],
    ["imported", "Imported"],
    ["published", "Published"],
  ];
  const focused = document.activeElement?.dataset?.curve;
  document.getElementById("curve-list").replaceChildren(
    ...sources.flatMap(([source, title]) => {
      const curves = set_.curves.filter((c) => c.source === source);
      if (!curves.length) return [];
      return [
        el(
          "fieldset",
          {},
          el("legend", {}, title, el("span", { className: "unit" }, "BD-rate %")),
          curves.map((curve) => item(curve, chosen, anchor)),
        ),
      ];
    }),
  );
  if (focused) document.querySelector(`[data-curve="${CSS.escape(focused)}"]`)?.focus();
}

function item(curve, chosen, anchor) {
  const box = el("input", { type: "checkbox", checked: chosen.has(curve.key), "data-curve": curve.key });
  box.addEventListener("change", () => {
    const keys = shownKeys();
    keys[box.checked ? "add" : "delete"](curve.key);
    keys.delete("");
    show(keys);
  });
  const row = bdRow(currentSet(), currentMetric().key, anchor, curve.key);
  const figure = curve.key === anchor ? "anchor" : row?.bd_rate === undefined ? "–" : percent(row.bd_rate, 1);
  const label = el(
    "label",
    { className: "curve" },
    box,
    swatch(curve),
    el("span", { className: "name" }, breakable(curve.key)),
    el("span", { className: "number" }, figure),
  );
  const svg = () => document.querySelector("#curves-chart svg");
  label.addEventListener("pointerenter", () => svg() && highlight(svg(), curve.key));
  label.addEventListener("pointerleave", () => svg() && highlight(svg(), null));
  return label;
}

function pointsTable() {
  const { name, key, unit } = currentMetric();
  const image = imageIndex(currentSet(), get("image"));
  const rows = shownCurves().flatMap((curve) => points(curve, key, image));
  table(document.getElementById("curves-table"), {
    caption: `Points of the rate-distortion curves on ${currentSet().name}`,
    rows,
    columns: [
      { key: "curve", name: "Curve", value: (p) => p.curve.key },
      { key: "setting", name: "Setting", value: (p) => setting(p) },
      { key: "bpp", name: "bpp", numeric: true, value: (p) => p.bpp, show: (p) => bpp(p.bpp) },
      {
        key: "quality",
        name: unit ? `${name} (${unit})` : name,
        numeric: true,
        value: (p) => p.quality,
        show: (p) => quality(p.quality, unit),
      },
      { key: "source", name: "Source", value: (p) => p.curve.source },
    ],
  });
}

function setting({ curve, i }) {
  const value = curve.rate_values[i];
  return value === undefined || value === null ? null : `${curve.rate_parameter} ${significant(value, 5)}`;
}
