// BD-rate over what a codec costs.

import { chart, logTicks, textWidth } from "chart.js";
import { anchorKey, currentMetric, currentSet, shownCurves } from "current.js";
import { el, percent, plural, seconds, significant } from "format.js";
import { bdRow } from "report.js";
import { get, on, reflect } from "state.js";

// A time taken alone by `rdbench timing` where there is one, else the median of the sweep.
function time(curve, direction) {
  const alone = currentSet().timings.find((t) => t.key === curve.key);
  return alone ? alone[direction].median : curve.times?.[direction]?.[1];
}

const COSTS = [
  {
    key: "decode_s",
    name: "Decode time",
    axis: "Median time to decode a picture (s)",
    of: (c) => time(c, "decode_s"),
    show: seconds,
  },
  {
    key: "encode_s",
    name: "Encode time",
    axis: "Median time to encode a picture (s)",
    of: (c) => time(c, "encode_s"),
    show: seconds,
  },
  {
    key: "macs",
    name: "Decoder MACs",
    axis: "Decoder, thousand multiply-accumulates per pixel",
    of: (c) => c.complexity && c.complexity.decoder_macs_per_pixel / 1e3,
    show: (v) => `${significant(v)} kMAC/pixel`,
  },
  {
    key: "parameters",
    name: "Parameters",
    axis: "Parameters of a model (million)",
    of: (c) => c.complexity && c.complexity.parameters / 1e6,
    show: (v) => `${significant(v)} million`,
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
  const { name } = currentMetric();
  document.getElementById("complexity-lede").textContent = dots().length
    ? `BD-rate (${name}, against ${anchorKey()}) over ${cost().name.toLowerCase()}. Down and to the left is better.` +
      (timed
        ? " Times are medians; the tables below say how they were taken."
        : " Counted by rdbench complexity, of the largest model of a curve.")
    : `No curve shown has both a BD-rate against ${anchorKey()} and ${timed ? "a time" : "a count"}.`;
}

function drawFigure(width) {
  const shown = dots();
  if (!shown.length) return null;
  const { axis, show, name } = cost();
  const svg = Plot.plot({
    width,
    height: width < 560 ? 340 : 400,
    marginLeft: 52,
    marginRight: 24,
    marginTop: 28,
    marginBottom: 42,
    inset: 24,
    x: {
      type: "log",
      label: axis,
      labelAnchor: "center",
      labelArrow: "none",
      grid: true,
      ticks: logTicks(
        d3.extent(shown, (d) => d.cost),
        width < 560 ? 4 : 8,
      ),
      tickFormat: "~g",
    },
    y: { label: "BD-rate (%)", labelArrow: "none", grid: true, nice: true, tickFormat: (v) => percent(v, 0) },
    color: { type: "identity" },
    symbol: { domain: shown.map((d) => d.curve.key), range: shown.map((d) => d.curve.symbol) },
    marks: [
      Plot.dot(shown, {
        x: "cost",
        y: "bd_rate",
        stroke: (d) => d.curve.colour,
        fill: (d) => (d.curve.hollow ? "var(--paper)" : d.curve.colour),
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
    label: `BD-rate over ${name.toLowerCase()}, ${plural(shown.length, "codec")}.`,
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

// Names beside their dots, where they cover no other name or dot.
function place(svg, points, width) {
  const taken = points.map(({ x, y }) => [x - 6, y - 6, x + 6, y + 6]);
  const free = (box) =>
    box[0] > 40 &&
    box[2] < width &&
    !taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1]);
  const group = d3.select(svg).append("g").attr("class", "labels");
  for (const { curve, x, y } of points) {
    const w = textWidth(curve.key);
    const spots = [
      [x + 11, y - 7, "start"],
      [x - 11 - w, y - 7, "end"],
      [x - w / 2, y - 24, "middle"],
      [x - w / 2, y + 10, "middle"],
    ];
    const spot = spots.find(([left, top]) => free([left, top, left + w, top + 14]));
    if (!spot) continue;
    const [left, top, anchor] = spot;
    taken.push([left, top, left + w, top + 14]);
    group
      .append("text")
      .attr("x", { start: left, middle: left + w / 2, end: left + w }[anchor])
      .attr("y", top + 11)
      .attr("text-anchor", anchor)
      .attr("fill", `color-mix(in oklab, ${curve.colour}, var(--ink) 30%)`)
      .text(curve.key);
  }
}
