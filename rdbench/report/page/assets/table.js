// A table that can be sorted by its headings.

import { el } from "format.js";
import { saveTable } from "save.js";

// columns: [{key, name, value: row -> number, text or null, show: row -> text or node, numeric}]
// sort: "key" for ascending, "-key" for descending; onSort(sort) is called when a heading is clicked.
// Columns without any value are omitted.
export function table(root, { caption, columns: all, rows, sort, onSort }) {
  const columns = all.filter((column, i) => i === 0 || rows.some((row) => known(column.value(row))));
  const descending = sort?.startsWith("-");
  const key = descending ? sort.slice(1) : sort;
  const by = columns.find((column) => column.key === key);
  const ordered = by ? [...rows].sort((a, b) => compare(by.value(a), by.value(b), descending)) : rows;
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const made = el(
    "table",
    {},
    el("caption", { className: "visually-hidden" }, caption),
    el("thead", {}, el("tr", {}, columns.map(heading))),
    el(
      "tbody",
      {},
      ordered.map((row) =>
        el(
          "tr",
          {},
          columns.map((c, i) => cell(c, i, row)),
        ),
      ),
    ),
  );
  root.replaceChildren(made, saveTable(root.id, made));
  root.tabIndex = 0;
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", caption);
  if (focused) root.querySelector(`button[data-key="${focused}"]`)?.focus();

  function heading(column) {
    const properties = { scope: "col", className: column.numeric ? "number" : "" };
    if (!onSort) return el("th", properties, column.name);
    const here = column === by;
    const button = el("button", { type: "button", "data-key": column.key }, column.name);
    button.addEventListener("click", () => onSort(here && !descending ? `-${column.key}` : column.key));
    return el("th", { ...properties, "aria-sort": here ? (descending ? "descending" : "ascending") : "none" }, button);
  }

  function cell(column, i, row) {
    const content = column.show ? column.show(row) : column.value(row);
    return el(
      i === 0 ? "th" : "td",
      { scope: i === 0 ? "row" : null, className: column.numeric ? "number" : "" },
      content ?? "–",
    );
  }
}

const known = (value) => value !== null && value !== undefined;

// Missing values come last in both sort orders.
function compare(a, b, descending) {
  if (!known(a) || !known(b)) return known(b) - known(a);
  const order = typeof a === "string" ? a.localeCompare(b) : a - b;
  return descending ? -order : order;
}
