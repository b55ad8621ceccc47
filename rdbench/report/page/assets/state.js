// The settings of the page, stored in its URL: "#dataset=kodak&anchor=vtm18".
// Settings at their default are omitted, so a URL without a fragment shows the default page.

const DEFAULTS = {
  dataset: "",
  metric: "psnr_rgb",
  anchor: "",
  theme: "",
  axis: "linear",
  image: "",
  from: "",
  to: "",
  shown: "", // keys separated by "|", or "" for the default curves
  hidden: "",
  sort: "bd_rate",
  imagesort: "image",
  timesort: "decode",
  latents: "",
  cost: "decode_s",
  view: "",
  bpp: "",
  left: "",
  right: "",
  mode: "slider",
  zoom: "",
  x: "0.5",
  y: "0.5",
  split: "50",
  flipped: "",
  gain: "auto",
  bits: "",
  section: "",
};

const listeners = [];
let state = read();

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, given.get(key) ?? value]));
}

function write() {
  const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  const hash = new URLSearchParams(changed).toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

export const get = (key) => state[key];

// Change settings and redraw what depends on them.
export function set(changes) {
  const before = state;
  state = { ...state, ...changes };
  write();
  notify(before);
}

function notify(before) {
  const changed = Object.keys(state).filter((key) => state[key] !== before[key]);
  for (const { keys, render } of listeners) {
    if (keys.some((key) => changed.includes(key))) render();
  }
}

// Draw now, and again whenever one of these settings changes.
export function on(keys, render) {
  listeners.push({ keys, render });
  render();
}

// Controls with data-state="key" show a setting and change it.
export function bindControls(root = document) {
  root.addEventListener("input", ({ target }) => {
    const key = target.dataset?.state;
    if (key) set({ [key]: target.type === "checkbox" ? (target.checked ? "1" : "") : target.value });
  });
  root.addEventListener("submit", (event) => event.preventDefault());
  on(Object.keys(DEFAULTS), reflect);
}

// Update the controls from the settings. Call it again after creating controls.
export function reflect() {
  for (const control of document.querySelectorAll("[data-state]")) {
    const value = state[control.dataset.state];
    if (control.type === "radio") control.checked = control.value === value;
    else if (control.type === "checkbox") control.checked = value === "1";
    else if (control.tagName !== "SELECT") control.value = value;
    else if ([...control.options].some((option) => option.value === value)) control.value = value;
  }
}

// A link to a section keeps the settings. An edited URL replaces them.
addEventListener("hashchange", () => {
  const name = location.hash.slice(1);
  if (document.getElementById(name)) {
    set({ section: name });
  } else {
    const before = state;
    state = read();
    notify(before);
  }
});
