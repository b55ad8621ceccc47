// The data set, metric, anchor and curves that are currently selected.

import { dataset, isShownByDefault, metric } from "report.js";
import { get, set } from "state.js";

export const currentSet = () => dataset(get("dataset"));

export const currentMetric = () => metric(get("metric"));

// The chosen anchor if this data set has it; otherwise the one that the page was made with, VTM, or
// the measured curve with most points.
export function anchorKey() {
  const { anchor, byKey, curves } = currentSet();
  if (byKey.get(get("anchor"))?.may_anchor) return get("anchor");
  if (anchor) return anchor;
  const candidates = curves.filter((curve) => curve.may_anchor && curve.quality[currentMetric().key]);
  const own = candidates.filter((curve) => curve.source === "measured");
  const longest = (own.length ? own : candidates).toSorted((a, b) => b.bpp.length - a.bpp.length)[0];
  return (candidates.find((curve) => curve.key === "vtm18") ?? longest ?? curves[0])?.key;
}

export function shownKeys() {
  const chosen = get("shown");
  if (chosen) return new Set(chosen.split("|"));
  return new Set(
    currentSet()
      .curves.filter(isShownByDefault)
      .map((curve) => curve.key),
  );
}

export const shownCurves = () => {
  const keys = shownKeys();
  return currentSet().curves.filter((curve) => keys.has(curve.key));
};

export function show(keys) {
  const usual = currentSet()
    .curves.filter(isShownByDefault)
    .map((curve) => curve.key);
  const wanted = [...keys];
  const same = wanted.length === usual.length && usual.every((key) => wanted.includes(key));
  set({ shown: same ? "" : wanted.join("|") || "|" });
}
