// A link to what is shown now. It names everything that is shown, so that it shows the same after
// curves were added to the page.

import { anchorKey, currentMetric, currentSet, shownKeys } from "current.js";
import { address } from "state.js";
import { viewed } from "viewer.js";

export function start() {
  const button = document.getElementById("copy-link");
  button.addEventListener("click", async () => {
    const link = new URL(address({ ...everything(), section: sectionInView() }), location.href).href;
    try {
      await navigator.clipboard.writeText(link);
      document.getElementById("copied").textContent = "Copied.";
    } catch {
      prompt("Link to this view:", link); // pages of plain HTTP have no clipboard
    }
  });
}

const everything = () => ({
  dataset: currentSet().name,
  metric: currentMetric().key,
  anchor: anchorKey(),
  shown: [...shownKeys()].join("|") || "|",
  ...viewed(),
});

// The last section that begins in the upper half of the window; "" at the top of the page.
const sectionInView = () =>
  [...document.querySelectorAll("main > section:not([hidden])")].findLast(
    (section) => section.getBoundingClientRect().top < innerHeight / 2 && scrollY > 0,
  )?.id ?? "";
