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

// Settings that change without a new entry in the browser's history: what is dragged or typed, and
// sections, for which the browser makes an entry itself.
const TRANSIENT = new Set(["theme", "from", "to", "zoom", "x", "y", "split", "flipped", "section"]);

const listeners = [];
let state = read();
let drawing = 0; // renders in progress: what they set is part of the change that caused them

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, given.get(key) ?? value]));
}

// The URL of the page with some settings changed.
export function address(changes = {}) {
  const other = Object.entries({ ...state, ...changes }).filter(([key, value]) => value !== DEFAULTS[key]);
  const hash = new URLSearchParams(other).toString();
  return location.pathname + location.search + (hash ? `#${hash}` : "");
}

export const get = (key) => state[key];

// Change settings and redraw what depends on them. The back button returns to the settings before.
export function set(changes) {
  const before = state;
  state = { ...state, ...changes };
  const lasting = changed(before).some((key) => !TRANSIENT.has(key));
  history[lasting && !drawing ? "pushState" : "replaceState"](null, "", address());
  notify(before);
}

const changed = (before) => Object.keys(state).filter((key) => state[key] !== before[key]);

function notify(before) {
  const keys = changed(before);
  for (const listener of listeners) {
    if (listener.keys.some((key) => keys.includes(key))) draw(listener.render);
  }
}

function draw(render) {
  drawing++;
  render();
  drawing--;
}

// Draw now, and again whenever one of these settings changes.
export function on(keys, render) {
  listeners.push({ keys, render });
  draw(render);
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

// A link to a section keeps the settings. An edited URL and the back button replace them.
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
