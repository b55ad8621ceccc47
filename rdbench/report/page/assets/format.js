// Numbers and text formatted for people.

const MINUS = "\u2212";
const NARROW_SPACE = "\u202f"; // no-break

const signed = (text) => text.replace("-", MINUS);

export const fixed = (value, digits) => (value === null || value === undefined ? "–" : signed(value.toFixed(digits)));

export const percent = (value, digits = 2) =>
  value === null || value === undefined ? "–" : (value > 0 ? "+" : "") + fixed(value, digits);

export const bpp = (value) => fixed(value, 3);

// A quality or score, without and with its unit ("dB" or "").
export const quality = (value, unit) => fixed(value, unit === "dB" ? 2 : 4);
export const qualityAndUnit = (value, unit) => `${quality(value, unit)} ${unit}`.trim();

export const bytes = (value) =>
  Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE);

// Seconds with three significant digits, as milliseconds below one second.
export function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1 ? `${significant(value * 1000)} ms` : `${significant(value)} s`;
}

export function significant(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const decimals = value === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  return signed(value.toFixed(Math.min(decimals, 6)));
}

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

// Create an element with properties and children. Text is never parsed as HTML.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key in node && key !== "list" && !key.includes("-")) node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// A curve's name or a spec, with a line break allowed after each setting.
export const breakable = (key) => key.split(/(?<=[,:])/).flatMap((part) => [part, el("wbr")]);
