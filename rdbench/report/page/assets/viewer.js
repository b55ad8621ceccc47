// Pictures side by side at matched rate: a slider, two panes, a flip, their difference, their bits.

import { currentSet } from "current.js";
import { bpp, bytes, el, fixed, percent, qualityAndUnit } from "format.js";
import { report } from "report.js";
import { get, on, reflect, set } from "state.js";

const ORIGINAL = "original";
const MODES = [
  ["slider", "Slider"],
  ["side", "Side by side"],
  ["flip", "Flip"],
  ["difference", "Difference"],
  ["bits", "Bits"],
];
const ZOOMS = [1, 2, 4, 8, 16];
const KEYS = ["dataset", "view", "bpp", "left", "right", "mode", "zoom", "x", "y", "split", "flipped", "gain", "bits"];

const root = document.getElementById("viewer");
const stage = document.getElementById("viewer-stage");
const panes = ["left", "right"].map((side) => document.getElementById(`viewer-${side}`));

export function start() {
  document
    .getElementById("viewer-mode")
    .append(
      ...MODES.map(([key, name]) =>
        el("label", {}, el("input", { type: "radio", name: "mode", value: key, "data-state": "mode" }), ` ${name}`),
      ),
    );
  document
    .getElementById("viewer-zoom")
    .append(el("option", { value: "" }, "Fit"), ...ZOOMS.map((z) => el("option", { value: z }, `${z}\u00d7`)));
  document.getElementById("viewer-flip").addEventListener("click", flip);
  listen();
  on(["dataset", "view", "bpp"], fill);
  on(KEYS, draw);
  new ResizeObserver(() => move()).observe(stage);
}

const shown = () => currentSet().pictures.find((p) => p.image === get("view")) ?? currentSet().pictures[0];

const targets = (picture) => [...new Set(picture.views.map((v) => v.target))];

function target(picture) {
  const all = targets(picture);
  return all.find((t) => String(t) === get("bpp")) ?? all[Math.floor((all.length - 1) / 2)];
}

const keysOf = (picture) => [ORIGINAL, ...picture.views.filter((v) => v.target === target(picture)).map((v) => v.key)];

// The choice of a side, or a codec that stands for it where this picture lacks it.
function chosen(picture, side) {
  const keys = keysOf(picture);
  const fallback = side === "left" ? ORIGINAL : (keys[1] ?? ORIGINAL);
  return keys.includes(get(side)) ? get(side) : fallback;
}

const viewOf = (picture, side) =>
  picture.views.find((v) => v.target === target(picture) && v.key === chosen(picture, side));

function fill() {
  const { pictures, missing } = currentSet();
  const any = pictures.some((p) => p.views.length);
  root.hidden = !any;
  const empty = document.getElementById("viewer-empty");
  empty.hidden = any && !missing.length;
  empty.replaceChildren(
    ...(any || missing.length
      ? []
      : [
          el(
            "p",
            {},
            "There are no images in this page. Make it with ",
            el("code", {}, "rdbench report --images 2"),
            " or with names of images.",
          ),
        ]),
    ...missing.map((line) => el("p", {}, line)),
  );
  if (!any) return;
  const picture = shown();
  options(
    "viewer-picture",
    pictures.map((p) => p.image),
    picture.image,
  );
  options("viewer-bpp", targets(picture), target(picture), (t) => `${t} bpp`);
  for (const side of ["left", "right"]) options(`viewer-${side}-choice`, keysOf(picture), chosen(picture, side));
}

function options(id, values, value, name = (v) => v) {
  const select = document.getElementById(id);
  select.replaceChildren(...values.map((v) => el("option", { value: v }, name(v))));
  select.value = value;
}

const addresses = new Map();

// A picture's address; its text is read out of the page once.
function address(name) {
  if (!addresses.has(name))
    addresses.set(name, `data:image/webp;base64,${document.getElementById(`image-${name}`).textContent}`);
  return addresses.get(name);
}

function draw() {
  const picture = shown();
  if (!picture?.views.length) return;
  const mode = get("mode");
  root.dataset.mode = mode;
  root.dataset.flipped = get("flipped");
  stage.style.setProperty("--gain", get("gain"));
  stage.style.setProperty("--split", `${get("split")}%`);
  const latent = fillBits(picture);
  ["left", "right"].forEach((side, i) => {
    const key = chosen(picture, side);
    const view = viewOf(picture, side);
    document.getElementById(`viewer-${side}-choice`).value = key;
    const map = view?.maps.find((m) => m.name === latent);
    const image = panes[i].querySelector("img");
    const source = address(mode === "bits" && map ? map.image : (view?.image ?? picture.original));
    if (image.src !== source) image.src = source;
    image.alt = `${picture.image}, ${key}` + (view ? ` at ${bpp(view.bpp)} bits per pixel` : "");
    panes[i].querySelector("p").textContent = key;
    caption(document.getElementById(`viewer-${side}-caption`), key, view, mode === "bits" ? (map ?? null) : undefined);
  });
  move();
}

// The latents whose bits can be looked at; returns the name of the chosen one.
function fillBits(picture) {
  const names = [...new Set(["left", "right"].flatMap((side) => viewOf(picture, side)?.maps.map((m) => m.name) ?? []))];
  const name = names.includes(get("bits")) ? get("bits") : names[0];
  options("viewer-bits", names, name);
  document.getElementById("viewer-bits").disabled = !names.length;
  return name;
}

function caption(node, key, view, map) {
  const words = view
    ? [
        `${bpp(view.bpp)} bpp (${percent(100 * (view.bpp / view.target - 1), 1)} % of ${view.target})`,
        `${bytes(view.n_bytes)} bytes`,
        ...report.metrics
          .filter((m) => m.key in view.quality)
          .map((m) => `${m.name} ${qualityAndUnit(view.quality[m.key], m.unit)}`),
        view.spec,
      ]
    : ["as it was read"];
  const bits =
    map === undefined
      ? null
      : map
        ? `${map.name}: ${fixed(map.bpp, 3)} bpp; brightest: ${fixed(map.brightest, 2)} bits per pixel and more`
        : "Tells nothing of where its bits go; the picture is shown.";
  node.replaceChildren(
    el("strong", {}, key),
    " ",
    words.join(" \u00b7 "),
    bits ? el("span", { className: "bits" }, bits) : "",
  );
}

// Zoom and place. The centre of the view is kept as a share of the picture's width and height.
function scale(picture) {
  const box = panes[0].getBoundingClientRect();
  const fit = Math.min(box.width / picture.width, box.height / picture.height);
  return { box, fit, zoom: Number(get("zoom")) || fit };
}

function move() {
  const picture = shown();
  if (!picture || root.hidden) return;
  stage.style.setProperty("--ratio", picture.width / picture.height);
  const { box, zoom } = scale(picture);
  const [w, h] = [picture.width * zoom, picture.height * zoom];
  const left = w <= box.width ? (box.width - w) / 2 : box.width / 2 - w * Number(get("x"));
  const top = h <= box.height ? (box.height - h) / 2 : box.height / 2 - h * Number(get("y"));
  for (const pane of panes) {
    const image = pane.querySelector("img");
    image.style.width = `${w}px`;
    image.style.height = `${h}px`;
    image.style.translate = `${left}px ${top}px`;
    image.classList.toggle("pixels", zoom >= 2);
  }
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);

// Move the centre by pixels of the screen; the picture's edge stays at the edge of the view.
function pan(dx, dy) {
  const picture = shown();
  const { box, zoom } = scale(picture);
  const [w, h] = [picture.width * zoom, picture.height * zoom];
  const limit = (value, size, view) => (size <= view ? 0.5 : within(value, view / 2 / size, 1 - view / 2 / size));
  set({
    x: limit(Number(get("x")) + dx / w, w, box.width).toFixed(4),
    y: limit(Number(get("y")) + dy / h, h, box.height).toFixed(4),
  });
}

function zoomBy(step) {
  const { fit } = scale(shown());
  const steps = ["", ...ZOOMS.filter((z) => z > fit).map(String)];
  set({ zoom: steps[within(steps.indexOf(get("zoom")) + step, 0, steps.length - 1)] });
  reflect();
  pan(0, 0);
}

function flip() {
  set({ flipped: get("flipped") ? "" : "1" });
}

function listen() {
  const actions = {
    "+": () => zoomBy(1),
    "=": () => zoomBy(1),
    "-": () => zoomBy(-1),
    0: () => set({ zoom: "", x: "0.5", y: "0.5" }),
    f: flip,
    " ": flip,
    ArrowLeft: () => pan(-64, 0),
    ArrowRight: () => pan(64, 0),
    ArrowUp: () => pan(0, -64),
    ArrowDown: () => pan(0, 64),
  };
  stage.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.target !== stage || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    action();
    reflect();
  });
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.tagName === "INPUT") return;
    stage.setPointerCapture(event.pointerId);
    let [x, y] = [event.clientX, event.clientY];
    const drag = (e) => {
      pan(x - e.clientX, y - e.clientY);
      [x, y] = [e.clientX, e.clientY];
    };
    stage.addEventListener("pointermove", drag);
    stage.addEventListener("lostpointercapture", () => stage.removeEventListener("pointermove", drag), { once: true });
  });
  stage.addEventListener("dblclick", () => zoomBy(1));
}
