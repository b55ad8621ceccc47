// Save figures and tables as files.

import { currentSet } from "current.js";
import { el } from "format.js";

function save(name, type, text) {
  const link = el("a", {
    href: URL.createObjectURL(new Blob([text], { type })),
    download: `${currentSet().name}-${name}`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}

const PROPERTIES = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-opacity",
  "stroke-dasharray",
  "opacity",
  "font",
  "text-anchor",
];

// A copy of a figure in the light theme, with its styles inlined.
function standalone(svg) {
  const copy = svg.cloneNode(true);
  const [theirs, ours] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  const scheme = document.documentElement.style.colorScheme;
  document.documentElement.style.colorScheme = "light";
  theirs.forEach((node, i) => {
    const style = getComputedStyle(node);
    ours[i].setAttribute("style", PROPERTIES.map((p) => `${p}:${style.getPropertyValue(p)}`).join(";"));
    for (const name of ["class", ...PROPERTIES]) ours[i].removeAttribute(name);
  });
  document.documentElement.style.colorScheme = scheme;
  copy.querySelectorAll("style").forEach((node) => node.remove());
  copy.removeAttribute("aria-hidden");
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}

export function saveFigure(name, svg) {
  const button = el("button", { type: "button", className: "save" }, "Save SVG");
  button.addEventListener("click", () => save(`${name}.svg`, "image/svg+xml", standalone(svg())));
  return button;
}

// The text of a table as CSV, with ASCII minus signs.
function csv(table) {
  const text = (cell) => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll("sup").forEach((mark) => mark.remove());
    return copy.textContent.replaceAll("\u2212", "-").replaceAll("\u202f", "").trim();
  };
  const quoted = (t) => (/[",\n]/.test(t) ? `"${t.replaceAll('"', '""')}"` : t);
  return [...table.rows].map((row) => [...row.cells].map((cell) => quoted(text(cell))).join(",")).join("\n") + "\n";
}

export function saveTable(name, table) {
  const button = el("button", { type: "button", className: "save" }, "Save CSV");
  button.addEventListener("click", () => save(`${name}.csv`, "text/csv", csv(table)));
  return button;
}
