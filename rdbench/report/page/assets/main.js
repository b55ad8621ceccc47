// Fill the page.

import * as bd from "bd.js";
import * as complexity from "complexity.js";
import { anchorKey, currentSet } from "current.js";
import * as curves from "curves.js";
import * as findings from "findings.js";
import { el, plural } from "format.js";
import * as latents from "latents.js";
import * as provenance from "provenance.js";
import { report } from "report.js";
import * as runs from "runs.js";
import * as share from "share.js";
import { bindControls, get, on, reflect } from "state.js";
import * as timing from "timing.js";
import * as viewer from "viewer.js";

on(["theme"], () => {
  document.documentElement.style.colorScheme = get("theme") || "light dark";
});

document.getElementById("dataset").append(...report.datasets.map(({ name }) => el("option", { value: name }, name)));
document
  .getElementById("metric")
  .append(
    ...report.metrics.map(({ key, name }) =>
      el("label", {}, el("input", { type: "radio", name: "metric", value: key, "data-state": "metric" }), ` ${name}`),
    ),
  );

on(["dataset"], () => {
  const { name, curves: all, n_images, left_out } = currentSet();
  const measured = all.filter((c) => c.source === "measured").length;
  const published = all.filter((c) => c.source === "published").length;
  document.getElementById("summary").textContent =
    `${plural(measured, "curve")} measured on ${name} (${plural(n_images, "image")})` +
    (published ? `, with ${plural(published, "published curve")} for comparison.` : ".") +
    (left_out ? ` ${left_out}` : "");
  const groups = ["measured", "imported", "published"].map((source) => [
    source,
    all.filter((c) => c.source === source && c.may_anchor),
  ]);
  document.getElementById("anchor").replaceChildren(
    ...groups
      .filter(([, members]) => members.length)
      .map(([source, members]) =>
        el(
          "optgroup",
          { label: source },
          members.map(({ key }) => el("option", { value: key }, key)),
        ),
      ),
  );
  reflect();
});
on(["dataset", "metric", "anchor"], () => {
  document.getElementById("anchor").value = anchorKey();
});

for (const part of [findings, curves, bd, viewer, latents, complexity, timing, runs, provenance, share]) part.start();
bindControls();
document.getElementById("dataset").value = currentSet().name;
document.getElementById("anchor").value = anchorKey();
if (get("section")) document.getElementById(get("section"))?.scrollIntoView();
