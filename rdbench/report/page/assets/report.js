// The report's data, and what can be looked up in it.

export const report = JSON.parse(document.getElementById("report").textContent);

const SYMBOLS = ["circle", "square", "triangle", "diamond", "star", "triangle2", "cross", "wye", "hexagon"];
const N_COLOURS = 8;

export const isShownAtFirst = (curve) => curve.source !== "published" || report.landmarks.includes(curve.key);

// A curve looks the same on every data set: its number is its place among all keys, those that are
// shown at first before the others.
const every = report.datasets.flatMap((set) => set.curves);
const numbers = new Map();
for (const { key } of [...every.filter(isShownAtFirst), ...every]) {
  if (!numbers.has(key)) numbers.set(key, numbers.size);
}
for (const set of report.datasets) {
  for (const curve of set.curves) {
    const number = numbers.get(curve.key);
    curve.colour = `var(--c${number % N_COLOURS})`;
    curve.symbol = SYMBOLS[number % SYMBOLS.length];
    curve.hollow = curve.variable_rate === false;
    curve.dashed = curve.source !== "measured";
  }
  set.byKey = new Map(set.curves.map((curve) => [curve.key, curve]));
}

export const dataset = (name) => report.datasets.find((set) => set.name === name) ?? report.datasets[0];

export const metric = (key) => report.metrics.find((m) => m.key === key) ?? report.metrics[0];

// The picture's place in a data set, or -1 for the mean over all.
export const pictureIndex = (set, name) => set.images.indexOf(name);

// Points of a curve, of the mean or of one picture: [{curve, i, bpp, quality}], gaps left out.
export function points(curve, metricKey, picture = -1) {
  const table = picture < 0 ? curve : curve.per_picture;
  const at = (row) => (picture < 0 ? row : row[picture]);
  const quality = table?.quality[metricKey];
  if (!quality) return [];
  return table.bpp
    .map((row, i) => ({ curve, i, bpp: at(row), quality: at(quality[i]) }))
    .filter((p) => p.bpp !== null && p.quality !== null);
}

// The anchor of figures that need the scores of each picture: the anchor itself, or a measured curve.
export function anchorWithPictures(set, metricKey, anchor) {
  const fits = (curve) => curve?.per_picture && curve.quality[metricKey];
  return fits(set.byKey.get(anchor)) ? anchor : set.curves.find(fits)?.key;
}

export const bdRow = (set, metricKey, anchor, test) => set.bd_rates[metricKey]?.[anchor]?.[test];
