// The report's data and functions that look things up in it.

export const report = JSON.parse(document.getElementById("report").textContent);

const SYMBOLS = ["circle", "square", "triangle", "diamond", "star", "triangle2", "cross", "wye", "hexagon"];
const N_COLORS = 8;

export const isShownByDefault = (curve) => curve.shown_by_default;

// A curve has the same color and symbol on every data set: both follow from its index among all
// keys. Curves that are shown by default come first.
const every = report.datasets.flatMap((set) => set.curves);
const numbers = new Map();
for (const { key } of [...every.filter(isShownByDefault), ...every]) {
  if (!numbers.has(key)) numbers.set(key, numbers.size);
}
for (const set of report.datasets) {
  for (const curve of set.curves) {
    const number = numbers.get(curve.key);
    curve.color = `var(--c${number % N_COLORS})`;
    curve.symbol = SYMBOLS[number % SYMBOLS.length];
    curve.hollow = curve.variable_rate === false;
    curve.dashed = curve.source !== "measured";
  }
  set.byKey = new Map(set.curves.map((curve) => [curve.key, curve]));
}

export const dataset = (name) => report.datasets.find((set) => set.name === name) ?? report.datasets[0];

export const metric = (key) => report.metrics.find((m) => m.key === key) ?? report.metrics[0];

// The index of an image in a data set, or -1 for the mean over all images.
export const imageIndex = (set, name) => set.images.indexOf(name);

// Points of a curve, for the mean or for one image: [{curve, i, bpp, quality}], without gaps.
export function points(curve, metricKey, image = -1) {
  const table = image < 0 ? curve : curve.per_image;
  const at = (row) => (image < 0 ? row : row[image]);
  const quality = table?.quality[metricKey];
  if (!quality) return [];
  return table.bpp
    .map((row, i) => ({ curve, i, bpp: at(row), quality: at(quality[i]) }))
    .filter((p) => p.bpp !== null && p.quality !== null);
}

// The anchor for figures that need per-image scores: the chosen anchor, or else a measured curve.
export function anchorWithImages(set, metricKey, anchor) {
  const fits = (curve) => curve?.per_image && curve.quality[metricKey];
  return fits(set.byKey.get(anchor)) ? anchor : set.curves.find(fits)?.key;
}

export const bdRow = (set, metricKey, anchor, test) => set.bd_rates[metricKey]?.[anchor]?.[test];
