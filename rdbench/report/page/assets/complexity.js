// BD-rate over the cost of a codec.

import { axisX, chart, logTicks, textWidth } from "chart.js";
import { anchorKey, currentMetric, currentSet, shownCurves } from "current.js";
import { el, percent, plural, seconds, significant } from "format.js";
import { bdRow } from "report.js";
import { get, on, reflect } from "state.js";

// The time measured by `rdbench timing` if there is one, otherwise the median of the sweep. Times of a
// busy machine, or of codecs that ran side by side, say nothing of a codec.
function time(curve, direction) {
  const alone = currentSet().timings.find((t) => t.key === curve.key && !t.busy);
  if (alone) return alone[direction].median;
  const { times } = curve;
  return times && times.alone === times.n ? times[direction]?.[1] : undefined;
}

const COSTS = [
  {
    key: "decode_s",
    name: "Decode time",
    axis: "Median decode time per image (s)",
    of: (c) => time(c, "decode_s"),
    show: seconds,
  },
  {
    key: "encode_s",
    name: "Encode time",
    axis: "Median encode time per image (s)",
    of: (c) => time(c, "encode_s"),
    show: seconds,
  },
  {
    key: "macs",
    name: "Decoder MACs",
    axis: "Decoder, 1000 multiply-accumulates per pixel",
    of: (c) => c.complexity && c.complexity.decoder_macs_per_pixel / 1e3,
    show: (v) => `${significant(v)} kMAC/pixel`,
  },
  {
    key: "parameters",
    name: "Parameters",
    axis: "Parameters per model (million)",
    of: (c) => c.complexity && c.complexity.parameters / 1e6,
    show: (v) => `${significant(v)} million`,
  },
  {
    key: "year",
    name: "Year",
    axis: "Year of publication",
    of: (c) => c.year,
    show: String,
    linear: true,
  },
];

export function start() {
  document
    .getElementById("cost")
    .append(
      ...COSTS.map(({ key, name }) =>
        el("label", {}, el("input", { type: "radio", name: "cost", value: key, "data-state": "cost" }), ` ${name}`),
      ),
    );
  reflect();
  const draw = chart(document.getElementById("complexity-chart"), drawFigure);
  on(["dataset", "metric", "anchor", "shown", "cost"], () => {
    lede();
    draw();
  });
}

const inSentence = (name) => name[0].toLowerCase() + name.slice(1);
const cost = () => COSTS.find((c) => c.key === get("cost")) ?? COSTS[0];

function dots() {
  const { of } = cost();
  const anchor = anchorKey();
  return shownCurves()
    .map((curve) => ({
      curve,
      cost: of(curve),
      bd_rate: curve.key === anchor ? 0 : bdRow(currentSet(), currentMetric().key, anchor, curve.key)?.bd_rate,
    }))
    .filter((d) => d.cost > 0 && d.bd_rate !== undefined);
}

function lede() {
  const timed = cost().key.endsWith("_s");
  const better = cost().linear ? "Lower is better." : "Lower and further left is better.";
  const counted = cost().linear ? "" : " Counted for the largest model of each curve, as rdbench complexity does.";
  const { name } = currentMetric();
  document.getElementById("complexity-lede").textContent = dots().length
    ? `BD-rate (${name}, against ${anchorKey()}) over ${inSentence(cost().name)}. ${better}` +
      (timed ? " Times are medians of sweeps that coded one image at a time; see Timing below." : counted)
    : `None of the curves shown has both a BD-rate against ${anchorKey()} and ${timed ? "a time" : cost().linear ? "a year" : "a count"}.`;
}

function drawFigure(width) {
  const shown = dots();
  if (!shown.length) return null;
  const { axis, show, name, linear } = cost();
  const extent = d3.extent(shown, (d) => d.cost);
  const most = width < 560 ? 4 : 8;
  const ticks = linear ? d3.ticks(...extent, most).filter(Number.isInteger) : logTicks(extent, most);
  const svg = Plot.plot({
    width,
    height: width < 560 ? 340 : 400,
    marginLeft: 52,
    marginRight: 24,
    marginTop: 28,
    marginBottom: 42,
    inset: 24,
    x: { type: linear ? "linear" : "log", axis: null },
    y: { label: "BD-rate (%)", labelArrow: "none", grid: true, nice: true, tickFormat: (v) => percent(v, 0) },
    color: { type: "identity" },
    symbol: { domain: shown.map((d) => d.curve.key), range: shown.map((d) => d.curve.symbol) },
    marks: [
      Plot.gridX(ticks),
      axisX(ticks, axis),
      Plot.dot(shown, {
        x: "cost",
        y: "bd_rate",
        stroke: (d) => d.curve.color,
        fill: (d) => (d.curve.hollow ? "var(--paper)" : d.curve.color),
        symbol: (d) => d.curve.key,
        r: 5,
        strokeWidth: 1.5,
      }),
    ],
  });
  const [sx, sy] = [svg.scale("x").apply, svg.scale("y").apply];
  const points = shown.map((d) => ({ ...d, x: sx(d.cost), y: sy(d.bd_rate), row: "" }));
  place(svg, points, width);
  return {
    svg,
    label: `BD-rate over ${inSentence(name)}, ${plural(shown.length, "codec")}.`,
    points,
    tell: ({ curve, cost: value, bd_rate }) => [
      curve.key,
      [
        [name, show(value)],
        ["BD-rate", `${percent(bd_rate)} %`],
        ["source", curve.source],
      ],
    ],
  };
}

// Place names next to their dots, or above or below with a line to the dot, so that they cover no
// other name or dot. Try several orders and keep the one that places most names.
function place(svg, points, width) {
  const height = Number(svg.getAttribute("height"));
  const orders = [(p) => p.x, (p) => -p.x, (p) => p.y, (p) => -p.y];
  const placed = orders.map((by) => rooms(d3.sort(points, by), width, height));
  const group = d3.select(svg).append("g").attr("class", "labels");
  for (const { curve, x, left, top, w, anchor, line } of d3.greatest(placed, (names) => names.length)) {
    const color = `color-mix(in oklab, ${curve.color}, var(--ink) 30%)`;
    if (line)
      group.append("path").attr("d", `M${x},${line[1]}V${line[3]}`).attr("stroke", color).attr("stroke-opacity", 0.6);
    group
      .append("text")
      .attr("x", { start: left, middle: left + w / 2, end: left + w }[anchor])
      .attr("y", top + 11)
      .attr("text-anchor", anchor)
      .attr("fill", color)
      .text(curve.key);
  }
}

// The names that can be placed in this order.
function rooms(points, width, height) {
  const taken = points.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  const free = (box) =>
    box[0] > 56 &&
    box[1] > 24 &&
    box[2] < width &&
    box[3] < height - 44 &&
    !taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1]);
  return points.flatMap((point) => {
    const w = textWidth(point.curve.key);
    const boxes = ({ left, top, line }) => [[left, top, left + w, top + 14], ...(line ? [line] : [])];
    const spot = spots(point.x, point.y, w).find((s) => boxes(s).every(free));
    if (spot) taken.push(...boxes(spot));
    return spot ? [{ ...point, ...spot, w }] : [];
  });
}

// Candidate positions for a name of width w at the dot (x, y), best first: its top left corner, and
// the box of the line to it.
function spots(x, y, w) {
  const far = d3.range(1, 6).flatMap((n) => {
    const [above, below] = [y - 24 - 18 * n, y + 10 + 18 * n];
    return [
      { top: above, line: [x - 1, above + 14, x + 1, y - 8] },
      { top: below, line: [x - 1, y + 8, x + 1, below] },
    ];
  });
  return [
    { left: x + 11, top: y - 7, anchor: "start" },
    { left: x - 11 - w, top: y - 7, anchor: "end" },
    { left: x - w / 2, top: y - 24, anchor: "middle" },
    { left: x - w / 2, top: y + 10, anchor: "middle" },
    ...far.flatMap((spot) => [
      { left: x - w, anchor: "end", ...spot },
      { left: x, anchor: "start", ...spot },
      { left: x - w / 2, anchor: "middle", ...spot },
    ]),
  ];
}
