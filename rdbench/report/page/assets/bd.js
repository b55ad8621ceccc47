// BD-rates against the anchor: the table, its notes, and the per-image figure.

import { chart, shortened, swatch, textWidth } from "chart.js";
import { anchorKey, currentMetric, currentSet, shownCurves } from "current.js";
import { el, percent, plural, quality, significant } from "format.js";
import { anchorWithImages, bdRow } from "report.js";
import { get, on, set } from "state.js";
import { table } from "table.js";

const ROW = 26;

export function start() {
  const draw = chart(document.getElementById("strip-chart"), drawStrips);
  on(["dataset", "metric", "anchor", "shown", "hidden", "sort"], () => {
    bdTable();
    draw();
  });
  on(["dataset", "metric", "anchor", "shown", "hidden", "imagesort"], imageTable);
}

// All other curves that have the metric, with their BD-rate against the anchor, best first.
function rows(anchor) {
  const set_ = currentSet();
  const { key } = currentMetric();
  const curves = get("hidden") ? set_.curves : shownCurves();
  return curves
    .filter((curve) => curve.key !== anchor && curve.quality[key])
    .map((curve) => ({ curve, ...bdRow(set_, key, anchor, curve.key) }))
    .sort((a, b) => (a.bd_rate ?? Infinity) - (b.bd_rate ?? Infinity));
}

function bdTable() {
  const anchor = anchorKey();
  const { key, name, unit } = currentMetric();
  const curve = currentSet().byKey.get(anchor);
  document.getElementById("bd-lede").textContent =
    `Average rate difference at equal ${name}, relative to ${anchor} (${curve?.source}), on ${currentSet().name}. ` +
    "Negative values save bits. Method: third-order polynomial of log rate over the common quality range, " +
    "95 % confidence interval by paired bootstrap over the images.";
  const all = rows(anchor);
  const notes = numbered(all);
  const root = document.getElementById("bd-table");
  if (!curve?.quality[key] || !all.length) {
    const why = curve?.quality[key]
      ? "No curve to compare. Select curves next to the figure above."
      : `${anchor} has no ${name} on ${currentSet().name}. Choose another anchor.`;
    root.replaceChildren(el("p", { className: "empty" }, why));
    document.getElementById("bd-notes").replaceChildren();
    return;
  }
  table(root, {
    caption: `BD-rate against ${anchor}`,
    rows: all,
    sort: get("sort"),
    onSort: (sort) => set({ sort }),
    columns: [
      {
        key: "curve",
        name: "Curve",
        value: (r) => r.curve.key,
        show: (r) => [swatch(r.curve), r.curve.key, marks(r, notes)],
      },
      {
        key: "bd_rate",
        name: "BD-rate (%)",
        numeric: true,
        value: (r) => r.bd_rate,
        show: (r) => percent(r.bd_rate, 3),
      },
      {
        key: "ci",
        name: "95 % interval",
        numeric: true,
        value: (r) => r.ci && r.ci[1] - r.ci[0],
        show: (r) => (r.ci ? `${percent(r.ci[0])} to ${percent(r.ci[1])}` : null),
      },
      {
        key: "wins",
        name: "Wins : losses",
        numeric: true,
        value: (r) => r.wins,
        show: (r) => (r.wins === null || r.wins === undefined ? null : `${r.wins} : ${r.losses}`),
      },
      {
        key: "overlap",
        name: unit ? `Common range (${unit})` : "Common range",
        numeric: true,
        value: (r) => r.overlap?.[2],
        show: (r) =>
          r.overlap && `${quality(r.overlap[0], unit)}–${quality(r.overlap[1], unit)} (${Math.round(100 * r.overlap[2])} %)`,
      },
      {
        key: "points",
        name: "Points",
        numeric: true,
        value: (r) => r.points?.[0],
        show: (r) => r.points && r.points.join(" / "),
      },
      { key: "year", name: "Year", numeric: true, value: (r) => r.curve.year },
      { key: "kind", name: "Kind", value: (r) => r.curve.kind },
      costColumn("parameters", "Parameters (M)", (c) => c.complexity?.parameters / 1e6),
      costColumn("macs", "Decoder (kMAC/pixel)", (c) => c.complexity?.decoder_macs_per_pixel / 1e3),
      costColumn("decode_s", "Decode (s)", (c) => currentSet().timings.find((t) => t.key === c.key)?.decode_s.median),
      { key: "scored", name: "Scored", value: (r) => r.curve.protocol.scored },
      { key: "rate", name: "Rate counts", value: (r) => r.curve.protocol.rate },
      { key: "aggregation", name: "Averaging", value: (r) => r.curve.protocol.aggregation },
      { key: "source", name: "Source", value: (r) => r.curve.provenance.repository ?? r.curve.source },
    ],
  });
  document.getElementById("bd-notes").replaceChildren(
    ...(notes.size
      ? [
          el(
            "ol",
            { className: "notes" },
            [...notes.keys()].map((text, i) => el("li", { id: `note-${i + 1}` }, text)),
          ),
        ]
      : []),
  );
}

// What a codec costs; `of` gives undefined or NaN where that is not known.
function costColumn(key, name, of) {
  const value = ({ curve }) => (of(curve) > 0 ? of(curve) : null);
  return { key, name, numeric: true, value, show: (row) => significant(value(row)) };
}

// Warning -> its number. A warning that several curves share is listed once.
function numbered(all) {
  const notes = new Map();
  for (const row of all) {
    for (const text of remarks(row)) if (!notes.has(text)) notes.set(text, notes.size + 1);
  }
  return notes;
}

// Notes on a row without its own name, which is in the first column.
const remarks = (row) =>
  (row.error ? [row.error] : (row.warnings ?? [])).map((text) =>
    text.startsWith(`${row.curve.key}: `) ? text.slice(row.curve.key.length + 2) : text,
  );

const marks = (row, notes) =>
  remarks(row).length
    ? el(
        "sup",
        { title: remarks(row).join("\n") },
        el("span", { className: "visually-hidden" }, " notes "),
        remarks(row)
          .map((text) => notes.get(text))
          .sort((a, b) => a - b)
          .join(", "),
      )
    : null;

// The anchor that has scores of each image, and the curves compared with it.
function perImage() {
  const anchor = anchorWithImages(currentSet(), currentMetric().key, anchorKey());
  return { anchor, shown: rows(anchor).filter((row) => row.per_image?.length) };
}

// BD-rate of every image: one row per image, one column per curve.
function imageTable() {
  const { anchor, shown } = perImage();
  document.getElementById("image-details").hidden = !shown.length;
  table(document.getElementById("image-table"), {
    caption: `BD-rate of each image against ${anchor}, in percent`,
    rows: currentSet().images.map((image, i) => ({ image, i })),
    sort: get("imagesort"),
    onSort: (imagesort) => set({ imagesort }),
    columns: [
      { key: "image", name: "Image", value: (r) => r.image },
      ...shown.map((row) => ({
        key: row.curve.key,
        name: row.curve.key,
        numeric: true,
        value: (r) => row.per_image[r.i],
        show: (r) => percent(row.per_image[r.i], 2),
      })),
    ],
  });
}

function drawStrips(width) {
  const set_ = currentSet();
  const { anchor, shown } = perImage();
  document.getElementById("strip-lede").textContent = shown.length
    ? `BD-rate of each image against ${anchor}` +
      (anchor === anchorKey() ? ". " : `, because ${anchorKey()} has no per-image scores. `) +
      "Dots are images, bars are 95 % intervals, and ticks are the whole data set."
    : "Per-image BD-rates need two measured curves.";
  if (!shown.length) return null;
  const { images } = set_;
  const dots = shown.flatMap((row) =>
    row.per_image.map((value, i) => ({ row, value, image: images[i] })).filter((d) => d.value !== null),
  );
  const names = shown.map((row) => row.curve.key);
  const marginLeft = Math.min(width * 0.4, 16 + textWidth(...names));
  const svg = Plot.plot({
    width,
    height: 46 + ROW * names.length,
    marginLeft,
    marginRight: 16,
    marginTop: 8,
    marginBottom: 38,
    x: {
      label: `BD-rate against ${anchor} (%)`,
      labelAnchor: "center",
      labelArrow: "none",
      grid: true,
      nice: true,
      ticks: width < 560 ? 5 : 9,
      tickFormat: (v) => percent(v, 0),
    },
    y: { domain: names, label: null, padding: 0.3, tickSize: 0, tickFormat: (n) => shortened(n, marginLeft - 16) },
    color: { type: "identity" },
    marks: [
      Plot.ruleX([0], { stroke: "var(--ink)" }),
      Plot.rect(
        shown.filter((r) => r.ci),
        {
          x1: (r) => r.ci[0],
          x2: (r) => r.ci[1],
          y: (r) => r.curve.key,
          fill: (r) => r.curve.color,
          fillOpacity: 0.25,
        },
      ),
      Plot.tickX(shown, { x: "bd_rate", y: (r) => r.curve.key, stroke: (r) => r.curve.color, strokeWidth: 2.5 }),
      Plot.dot(dots, {
        x: "value",
        y: (d) => d.row.curve.key,
        stroke: (d) => d.row.curve.color,
        fill: "var(--paper)",
        fillOpacity: 0.6,
        r: 3,
      }),
    ],
  });
  const [sx, sy] = [svg.scale("x").apply, svg.scale("y")];
  return {
    svg,
    label: `BD-rate of each image against ${anchor}, ${plural(names.length, "curve")}.`,
    points: dots.map((d) => ({
      ...d,
      x: sx(d.value),
      y: sy.apply(d.row.curve.key) + sy.bandwidth / 2,
      row: d.row.curve.key,
      of: d.row,
    })),
    tell: ({ image, value, of }) => [
      image,
      [
        ["curve", of.curve.key],
        ["BD-rate", `${percent(value)} %`],
        ["data set", `${percent(of.bd_rate)} %`],
      ],
    ],
    pick: ({ image }) => set({ image }),
  };
}
