// The first screen: what was found, when, and on which machine.

import { swatch } from "chart.js";
import { anchorKey, currentMetric, currentSet } from "current.js";
import { el, fixed, percent } from "format.js";
import { bdRow, report } from "report.js";
import { on } from "state.js";

const MOST = 8;

export function start() {
  on(["dataset", "metric", "anchor"], draw);
}

function draw() {
  const set = currentSet();
  const anchor = anchorKey();
  const { key, name } = currentMetric();
  const own = set.curves.filter((c) => c.source !== "published" && c.key !== anchor && c.quality[key]);
  const found = own
    .map((curve) => ({ curve, ...bdRow(set, key, anchor, curve.key) }))
    .filter((row) => row.bd_rate !== undefined)
    .sort((a, b) => a.bd_rate - b.bd_rate);
  const more = found.length > MOST ? ` The first ${MOST} of ${found.length}.` : "";
  document.getElementById("findings-lede").textContent = [
    found.length
      ? `Rate at equal ${name} against ${anchor} (BD-rate, negative values save bits).${more}`
      : `Nothing here has a BD-rate (${name}) against ${anchor}.`,
    report.anchor && !set.anchor ? `There is no ${report.anchor} on ${set.name}.` : "",
    made(set.curves),
  ]
    .filter(Boolean)
    .join(" ");
  document
    .getElementById("findings")
    .replaceChildren(
      ...found
        .slice(0, MOST)
        .map(({ curve, bd_rate, ci }) =>
          el(
            "li",
            {},
            swatch(curve),
            curve.key,
            el("span", { className: "number" }, `${percent(bd_rate, 1)} %`),
            ci ? el("span", { className: "unit" }, `\u00b1 ${fixed((ci[1] - ci[0]) / 2, 1)}`) : null,
          ),
        ),
    );
}

// "Measured on 2026-01-31 on AMD EPYC, 2 cores."
function made(curves) {
  const known = curves.map((c) => c.provenance).filter((p) => p.first);
  const days = known.flatMap((p) => [p.first.slice(0, 10), p.last.slice(0, 10)]).sort();
  const machines = known.flatMap((p) => p.runs ?? []).flatMap(({ machine: m }) =>
    m ? `${m.processor}, ${m.cores} cores` : [],
  );
  const [first, last] = [days[0], days.at(-1)];
  const when = first === last ? first : `${first} to ${last}`;
  return [`Measured ${when}`, ...new Set(machines)].join(" on ") + ".";
}
