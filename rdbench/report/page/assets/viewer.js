// Pictures side by side at matched rate.

import { el } from "format.js";

export function start() {
  document.getElementById("viewer").replaceChildren(
    el("p", { className: "empty" }, "No pictures are in this page."),
  );
}
