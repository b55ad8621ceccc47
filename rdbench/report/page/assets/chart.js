// A figure whose points can be inspected with the mouse, by touch, and with the arrow keys.

import { el } from "format.js";
import { saveFigure } from "save.js";

const NEAR = 40; // pixels: the largest distance from the mouse to a point that it selects
const PRINT_WIDTH = 700; // pixels: fits A4 and Letter within their margins

const pen = document.createElement("canvas").getContext("2d");
pen.font = "12.5px system-ui, sans-serif";

// Width of the widest of these texts in a figure, in pixels.
export const textWidth = (...texts) => Math.max(0, ...texts.map((text) => pen.measureText(text).width));

// A text with its middle replaced by an ellipsis, so that it is at most `width` pixels wide.
export function shortened(text, width) {
  for (let n = text.length; n > 2; n--) {
    const half = Math.floor(n / 2);
    const short = n === text.length ? text : `${text.slice(0, n - half)}…${text.slice(-half)}`;
    if (textWidth(short) <= width) return short;
  }
  return "…";
}

// Draw a figure into `root`, and again when its width changes.
//
// draw(width) -> null if there is nothing to draw, or {
//   svg     an element of Observable Plot,
//   label   what the figure shows, for screen readers,
//   points  [{x, y, row}] in svg pixels; the up and down keys move between rows,
//   tell    point -> [heading, [[name, value], ...]],
//   pick    point -> void, called on click or Enter (optional),
//   focus   row or null -> void, called when the selected row changes (optional),
//   span    [x, x] or null -> void, called after dragging and on double click (optional),
// }
export function chart(root, draw) {
  const tip = el("div", { className: "tip", hidden: true });
  const ring = el("div", { className: "ring", hidden: true });
  const spoken = el("p", { className: "visually-hidden", "aria-live": "polite" });
  const stage = el("div", { className: "stage", tabIndex: 0, role: "group", "aria-roledescription": "figure" });
  const band = el("div", { className: "band", hidden: true });
  root.replaceChildren(
    stage,
    spoken,
    saveFigure(root.id, () => drawn.svg),
  );
  let drawn = null;
  let chosen = null;
  let width = 0;
  let printing = false;

  function render() {
    root.hidden = false;
    width = printing ? Math.min(PRINT_WIDTH, root.clientWidth) : root.clientWidth;
    leave();
    drawn = draw(width);
    root.hidden = drawn === null;
    drawn?.svg.setAttribute("aria-hidden", "true");
    stage.setAttribute("aria-label", drawn ? `${drawn.label} Use the arrow keys to move between points.` : "");
    stage.replaceChildren(...(drawn ? [drawn.svg, band, ring, tip] : []));
  }

  function choose(point, aloud) {
    chosen = point;
    ring.hidden = tip.hidden = false;
    ring.style.translate = `${point.x}px ${point.y}px`;
    const [heading, rows] = drawn.tell(point);
    tip.replaceChildren(
      el("strong", {}, heading),
      el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat()),
    );
    const right = point.x + 14 + tip.offsetWidth > width ? point.x - 14 - tip.offsetWidth : point.x + 14;
    const top = Math.min(
      Math.max(0, point.y - tip.offsetHeight / 2),
      Math.max(0, stage.clientHeight - tip.offsetHeight),
    );
    tip.style.translate = `${Math.max(0, right)}px ${top}px`;
    drawn.focus?.(point.row);
    if (aloud) spoken.textContent = `${heading}. ${rows.map((row) => row.join(" ")).join(", ")}`;
  }

  function leave() {
    chosen = null;
    ring.hidden = tip.hidden = true;
    drawn?.focus?.(null);
  }

  function nearest(event) {
    const box = stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = NEAR ** 2;
    for (const point of drawn.points) {
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  }

  // Dragging selects a span. The click that ends it picks no point.
  let from = null;
  let dragged = false;
  const at = (event) => event.clientX - stage.getBoundingClientRect().left;
  stage.addEventListener("pointerdown", (event) => {
    dragged = false;
    if (drawn?.span && event.pointerType === "mouse" && event.button === 0) from = at(event);
  });
  addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [low, high] = d3.extent([from, at(event)]);
    dragged ||= high - low > 6;
    band.hidden = !dragged;
    band.style.left = `${low}px`;
    band.style.width = `${high - low}px`;
  });
  addEventListener("pointerup", (event) => {
    if (from !== null && dragged) drawn.span(d3.extent([from, at(event)]));
    from = null;
    band.hidden = true;
  });
  stage.addEventListener("dblclick", () => drawn?.span?.(null));
  stage.addEventListener("pointermove", (event) => {
    if (from !== null && dragged) return leave();
    const point = drawn && nearest(event);
    if (point) choose(point, false);
    else leave();
  });
  stage.addEventListener("pointerleave", leave);
  stage.addEventListener("blur", leave);
  stage.addEventListener("click", (event) => {
    const point = drawn && !dragged && nearest(event);
    if (point) drawn.pick?.(point);
  });
  stage.addEventListener("keydown", (event) => {
    if (!drawn?.points.length) return;
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && chosen) drawn.pick?.(chosen);
    else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      choose(chosen ? neighbor(drawn.points, chosen, event.key) : drawn.points[0], true);
    }
  });

  new ResizeObserver(() => {
    if (!printing && root.clientWidth !== width && root.clientWidth > 0) render();
  }).observe(root);
  for (const event of ["beforeprint", "afterprint"]) {
    addEventListener(event, () => {
      printing = event === "beforeprint";
      render();
    });
  }
  return render;
}

// Left and right stay in the row of a point; up and down take the closest point of the next row.
function neighbor(points, from, key) {
  const rows = [...new Set(points.map((p) => p.row))];
  const along = points.filter((p) => p.row === from.row).sort((a, b) => a.x - b.x);
  if (key === "ArrowLeft") return along[Math.max(0, along.indexOf(from) - 1)];
  if (key === "ArrowRight") return along[Math.min(along.length - 1, along.indexOf(from) + 1)];
  const step = key === "ArrowDown" ? 1 : -1;
  const row = rows[(rows.indexOf(from.row) + step + rows.length) % rows.length];
  return points
    .filter((p) => p.row === row)
    .reduce((a, b) => (Math.abs(b.x - from.x) < Math.abs(a.x - from.x) ? b : a));
}

// Spread labels: take [{y, ...}], return them sorted by y with `at` added, at least `gap` apart and
// between `low` and `high`.
export function spread(labels, gap, low, high) {
  const sorted = labels.toSorted((a, b) => a.y - b.y);
  let edge = low;
  for (const label of sorted) {
    label.at = Math.max(label.y, edge);
    edge = label.at + gap;
  }
  edge = high;
  for (const label of sorted.toReversed()) {
    label.at = Math.min(label.at, edge);
    edge = label.at - gap;
  }
  return sorted;
}

// At most `most` ticks for a logarithmic axis: 1, 2 and 5 times powers of ten, or only the powers.
export function logTicks([low, high], most) {
  for (const steps of [[1, 1.5, 2, 3, 4, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const ticks = d3
      .range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high)) + 1)
      .flatMap((power) => steps.map((step) => Number(`${step}e${power}`)))
      .filter((tick) => tick >= low && tick <= high);
    if (ticks.length <= most || steps.length === 1) return ticks;
  }
}

// An x axis with a number at every tick. The format of a logarithmic scale would omit some.
export function axisX(ticks, label) {
  return Plot.axisX(ticks, { text: d3.format("~g"), label, labelAnchor: "center", labelArrow: "none" });
}

// The line and marker of a curve, as in the figures.
export function swatch(curve) {
  const svg = d3.create("svg").attr("class", "swatch").attr("viewBox", "0 0 34 14").attr("aria-hidden", "true");
  svg
    .append("line")
    .attr("x1", 1)
    .attr("x2", 33)
    .attr("y1", 7)
    .attr("y2", 7)
    .attr("stroke", curve.color)
    .attr("stroke-width", curve.dashed ? 1.5 : 2)
    .attr("stroke-dasharray", curve.dashed ? "4 3" : null);
  const name = curve.symbol[0].toUpperCase() + curve.symbol.slice(1);
  svg
    .append("path")
    .attr("d", d3.symbol(d3[`symbol${name}`] ?? HEXAGON, 40)())
    .attr("transform", "translate(17 7)")
    .attr("fill", curve.hollow ? "var(--paper)" : curve.color)
    .attr("stroke", curve.color)
    .attr("stroke-width", 1.5);
  return svg.node();
}

const HEXAGON = {
  draw(context, size) {
    const r = Math.sqrt(size / 2.6);
    for (let i = 0; i < 6; i++) {
      const a = (i * Math.PI) / 3;
      context[i ? "lineTo" : "moveTo"](r * Math.sin(a), -r * Math.cos(a));
    }
    context.closePath();
  },
};
