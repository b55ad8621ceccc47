// Rate of each latent over the rate parameter, in bits per pixel and in percent of the file.

import { axisX, chart, logTicks, spread, textWidth } from "chart.js";
import { currentSet } from "current.js";
import { el, fixed, plural, significant } from "format.js";
import { get, on } from "state.js";
import { table } from "table.js";

const UNITS = {
  bpp: ["Rate (bits per pixel)", (v) => `${fixed(v, 4)} bpp`],
  percent: ["Share of the rate (%)", (v) => `${fixed(v, 1)} %`],
};

export function start() {
  const draws = Object.keys(UNITS).map((unit) =>
    chart(document.getElementById(`latents-${unit}`), (width) => draw(width, unit)),
  );
  on(["dataset"], fill);
  on(["dataset", "latents"], () => {
    lede();
    draws.forEach((again) => again());
    ratesTable();
  });
}

const entry = () => currentSet().latents.find((e) => e.key === get("latents")) ?? currentSet().latents[0];

function fill() {
  const { latents } = currentSet();
  document
    .getElementById("latents-curve")
    .replaceChildren(...latents.map(({ key }) => el("option", { value: key }, key)));
  if (latents.length) document.getElementById("latents-curve").value = entry().key;
}

function lede() {
  const found = entry();
  for (const id of ["latents-controls", "latents-details"]) document.getElementById(id).hidden = !found;
  const parameter = found && currentSet().byKey.get(found.key).rate_parameter;
  document
    .getElementById("latents-lede")
    .replaceChildren(
      ...(found
        ? [
            `How ${found.key} distributes its rate on ${currentSet().name}, by ${parameter || "operating point"}. ` +
              "Areas show bytes in the file, in file order from bottom to top.",
          ]
        : [
            `No codec measured on ${currentSet().name} reports the rate of its latents. Learned codecs do. Run `,
            el("code", {}, `rdbench run --codec qarv --dataset ${currentSet().name}`),
            " to add one.",
          ]),
    );
}

function color(i, n) {
  return d3.interpolateViridis(n === 1 ? 0.5 : 0.05 + (0.87 * i) / (n - 1));
}

function draw(width, unit) {
  const found = entry();
  if (!found) return null;
  const { segments, rate_values } = found;
  const [axis, show] = UNITS[unit];
  const parameter = currentSet().byKey.get(found.key).rate_parameter;
  const bands = rate_values.flatMap((rate, r) => {
    let low = 0;
    return segments.map((segment, s) => {
      const value = found[unit][r][s];
      low += value;
      return { rate, r, segment, s, value, low: low - value, high: low };
    });
  });
  const several = rate_values.length > 1;
  const log = several && rate_values.every((v) => v > 0);
  const options = {
    z: "segment",
    x: "rate",
    y1: "low",
    y2: "high",
    fill: (b) => color(b.s, segments.length),
    stroke: "var(--paper)",
    strokeWidth: 0.5,
  };
  const marginRight = 14 + textWidth(...segments);
  const height = 320;
  const extent = d3.extent(rate_values);
  const ticks = log ? logTicks(extent, 6) : d3.ticks(...extent, 5);
  const [scale, marks] = several
    ? [{ type: log ? "log" : "linear", axis: null }, [axisX(ticks, parameter), Plot.areaY(bands, options)]]
    : [{ type: "band", label: parameter, labelArrow: "none" }, [Plot.barY(bands, options)]];
  const svg = Plot.plot({
    width,
    height,
    marginLeft: 44,
    marginRight,
    marginTop: 28,
    marginBottom: 42,
    x: scale,
    y: {
      label: axis,
      labelArrow: "none",
      grid: true,
      domain: unit === "percent" ? [0, 100] : [0, d3.max(bands, (b) => b.high) * 1.02],
    },
    color: { type: "identity" },
    marks,
  });
  const [sx, sy] = [svg.scale("x"), svg.scale("y").apply];
  const center = (b) => ({ x: sx.apply(b.rate) + (sx.bandwidth ?? 0) / 2, y: sy((b.low + b.high) / 2) });
  const last = bands.filter((b) => b.r === rate_values.length - 1).map((b) => ({ ...b, ...center(b) }));
  const group = d3.select(svg).append("g").attr("class", "labels");
  for (const { segment, s, y, at } of spread(last, 14, 34, height - 42)) {
    const right = width - marginRight;
    group
      .append("path")
      .attr("d", `M${right + 1},${y}L${right + 7},${at}`)
      .attr("class", "leader")
      .attr("stroke", color(s, segments.length));
    group
      .append("text")
      .attr("x", right + 10)
      .attr("y", at)
      .attr("dy", "0.32em")
      .text(segment);
  }
  return {
    svg,
    label: `${axis} of ${plural(segments.length, "segment")} of ${found.key}.`,
    points: bands.map((b) => ({ ...b, ...center(b), row: b.segment })),
    tell: ({ segment, r, s }) => {
      const ideal = found.ideal_bpp[r][s];
      return [
        segment,
        [
          [parameter || "setting", significant(rate_values[r], 5)],
          ["coded", `${fixed(found.bpp[r][s], 4)} bpp`],
          ["ideal", ideal === null ? "–" : `${fixed(ideal, 4)} bpp`],
          ["share", show === UNITS.percent[1] ? show(found.percent[r][s]) : UNITS.percent[1](found.percent[r][s])],
        ],
      ];
    },
  };
}

function ratesTable() {
  const found = entry();
  if (!found) return;
  table(document.getElementById("latents-table"), {
    caption: `Rate of each latent of ${found.key}, in bits per pixel`,
    rows: found.rate_values.map((rate, r) => ({ rate, r })),
    columns: [
      {
        key: "rate",
        name: currentSet().byKey.get(found.key).rate_parameter || "setting",
        numeric: true,
        value: (row) => row.rate,
        show: (row) => significant(row.rate, 5),
      },
      ...found.segments.map((segment, s) => ({
        key: segment,
        name: segment,
        numeric: true,
        value: (row) => found.bpp[row.r][s],
        show: (row) => fixed(found.bpp[row.r][s], 4),
      })),
    ],
  });
}
