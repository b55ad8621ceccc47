// Two images at the same rate: with a slider, side by side, flipped, as a difference, as bit maps.

import { anchorKey, currentMetric, currentSet } from "current.js";
import { bpp, breakable, bytes, el, fixed, percent, qualityAndUnit } from "format.js";
import { bdRow, report } from "report.js";
import { get, on, reflect, set } from "state.js";

const ORIGINAL = "original";
const MODES = [
  ["slider", "Slider"],
  ["side", "Side by side"],
  ["flip", "Flip"],
  ["difference", "Difference"],
  ["bits", "Bit map"],
];
const ZOOMS = [1, 2, 4, 8, 16];
const BRIGHT = 0.995; // quantile of the differences that automatic gain makes white
const KEYS = ["dataset", "metric", "anchor", "view", "bpp", "left", "right", "mode", "zoom", "x", "y", "split", "flipped", "gain", "bits"];

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
  on(["dataset", "metric", "anchor", "view", "bpp"], fill);
  on(KEYS, draw);
  new ResizeObserver(() => move()).observe(stage);
}

const shown = () => currentSet().viewer.find((image) => image.name === get("view")) ?? currentSet().viewer[0];

const targets = (image) => [...new Set(image.views.map((v) => v.target))];

function target(image) {
  const all = targets(image);
  return all.find((t) => String(t) === get("bpp")) ?? all[Math.floor((all.length - 1) / 2)];
}

const keysOf = (image) => [ORIGINAL, ...image.views.filter((v) => v.target === target(image)).map((v) => v.key)];

// The key chosen for a side. If this image lacks it: the anchor, or the original where that was not
// measured, on the left, and the best of the others on the right.
function chosen(image, side) {
  const keys = keysOf(image);
  if (keys.includes(get(side))) return get(side);
  const anchor = anchorKey();
  if (side === "left") return keys.includes(anchor) ? anchor : ORIGINAL;
  const rate = (key) => bdRow(currentSet(), currentMetric().key, anchor, key)?.bd_rate ?? Infinity;
  return d3.least(
    keys.filter((key) => key !== ORIGINAL && key !== anchor),
    (a, b) => d3.ascending(rate(a), rate(b)),
  ) ?? keys[1] ?? ORIGINAL;
}

// The settings that name what the viewer shows now; none where it shows nothing.
export function viewed() {
  const image = shown();
  if (!image?.views.length) return {};
  const [left, right] = ["left", "right"].map((side) => chosen(image, side));
  return { view: image.name, bpp: String(target(image)), left, right };
}

const viewOf = (image, side) =>
  image.views.find((v) => v.target === target(image) && v.key === chosen(image, side));

function fill() {
  const { viewer, missing } = currentSet();
  const any = viewer.some((image) => image.views.length);
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
            "This page contains no images. Run ",
            el("code", {}, "rdbench report --images 2"),
            " to add some, or name the images that you want.",
          ),
        ]),
    ...missing.map((line) => el("p", {}, line)),
  );
  if (!any) return;
  const image = shown();
  options(
    "viewer-image",
    viewer.map((p) => p.name),
    image.name,
  );
  thumbnails(viewer, image);
  options("viewer-bpp", targets(image), target(image), (t) => `${t} bpp`);
  for (const side of ["left", "right"]) options(`viewer-${side}-choice`, keysOf(image), chosen(image, side));
}

function thumbnails(viewer, shown) {
  const strip = document.getElementById("viewer-thumbnails");
  const focused = strip.contains(document.activeElement);
  strip.hidden = viewer.length < 2;
  strip.replaceChildren(
    ...viewer.map((image) => {
      const pressed = String(image === shown);
      const small = el("img", { src: address(image.thumbnail), alt: image.name });
      const button = el("button", { type: "button", title: image.name, "aria-pressed": pressed }, small);
      button.addEventListener("click", () => {
        set({ view: image.name });
        reflect();
      });
      return button;
    }),
  );
  if (focused) strip.querySelector("[aria-pressed=true]").focus();
}

function options(id, values, value, name = (v) => v) {
  const select = document.getElementById(id);
  select.replaceChildren(...values.map((v) => el("option", { value: v }, name(v))));
  select.value = value;
}

const addresses = new Map();

// The data URL of an image. Its text is read from the page only once.
function address(name) {
  if (!addresses.has(name))
    addresses.set(name, `data:image/webp;base64,${document.getElementById(`image-${name}`).textContent}`);
  return addresses.get(name);
}

function draw() {
  const image = shown();
  if (!image?.views.length) return;
  const hasMaps = image.views.some((view) => view.maps.length);
  document.querySelector("#viewer-mode [value=bits]").parentElement.hidden = !hasMaps;
  const mode = hasMaps || get("mode") !== "bits" ? get("mode") : "slider";
  root.dataset.mode = mode;
  root.dataset.flipped = get("flipped");
  stage.style.setProperty("--split", `${get("split")}%`);
  const latent = fillBits(image);
  ["left", "right"].forEach((side, i) => {
    const key = chosen(image, side);
    const view = viewOf(image, side);
    document.getElementById(`viewer-${side}-choice`).value = key;
    const map = view?.maps.find((m) => m.name === latent);
    const img = panes[i].querySelector("img");
    const source = address(mode === "bits" && map ? map.image : (view?.image ?? image.original));
    if (img.src !== source) img.src = source;
    img.alt = `${image.name}, ${key}` + (view ? ` at ${bpp(view.bpp)} bits per pixel` : "");
    panes[i].querySelector("p").textContent = key;
    caption(document.getElementById(`viewer-${side}-caption`), key, view, mode === "bits" ? (map ?? null) : undefined);
  });
  setGain(mode);
  move();
}

const gains = new Map();

// The gain chosen, or the one that makes almost all differences of the two images visible.
async function setGain(mode) {
  const automatic = mode === "difference" && get("gain") === "auto";
  const images = panes.map((pane) => pane.querySelector("img"));
  const pair = images.map((img) => img.src).join();
  if (automatic && !gains.has(pair)) {
    await Promise.all(images.map((img) => img.decode()));
    gains.set(pair, fitting(...images.map(pixels)));
  }
  stage.style.setProperty("--gain", automatic ? gains.get(pair) : get("gain"));
  document.querySelector("[data-state=gain] [value=auto]").textContent = automatic
    ? `automatic (${Math.round(gains.get(pair))}\u00d7)`
    : "automatic";
}

function pixels(img) {
  const canvas = el("canvas", { width: img.naturalWidth, height: img.naturalHeight });
  const pen = canvas.getContext("2d");
  pen.drawImage(img, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height).data;
}

function fitting(a, b) {
  const counts = new Uint32Array(256);
  for (let i = 0; i < a.length; i++) if (i % 4 < 3) counts[Math.abs(a[i] - b[i])]++;
  let left = BRIGHT * d3.sum(counts);
  const level = counts.findIndex((n) => (left -= n) <= 0);
  return 255 / Math.max(1, level);
}

// Fill the list of latents with a bit map, and return the name of the selected one.
function fillBits(image) {
  const names = [...new Set(["left", "right"].flatMap((side) => viewOf(image, side)?.maps.map((m) => m.name) ?? []))];
  const name = names.includes(get("bits")) ? get("bits") : names[0];
  options("viewer-bits", names, name);
  document.getElementById("viewer-bits").parentElement.hidden = !names.length;
  return name;
}

function caption(node, key, view, map) {
  const words = view
    ? [
        `${bpp(view.bpp)} bpp (${view.aim === view.target ? `target ${view.target}` : `anchor ${bpp(view.aim)}`}, ` +
          `${percent(100 * (view.bpp / view.aim - 1), 1)} %)`,
        `${bytes(view.n_bytes)} bytes`,
        ...report.metrics
          .filter((m) => m.key in view.quality)
          .map((m) => `${m.name} ${qualityAndUnit(view.quality[m.key], m.unit)}`),
        breakable(view.spec),
      ]
    : ["source image"];
  const bits =
    !view || map === undefined
      ? null
      : map
        ? `${map.name}: ${fixed(map.bpp, 3)} bpp; brightest color: ${fixed(map.brightest, 2)} bits per pixel or more`
        : "No bit map for this codec; the decoded image is shown instead.";
  node.replaceChildren(
    el("strong", {}, key),
    " ",
    ...words.flatMap((part, i) => [i ? " \u00b7 " : "", part].flat()),
    bits ? el("span", { className: "bits" }, bits) : "",
  );
}

// Zoom and position. The center of the view is stored as a fraction of the image's width and height.
function scale(image) {
  const box = panes[0].getBoundingClientRect();
  const fit = Math.min(box.width / image.width, box.height / image.height);
  return { box, fit, zoom: Number(get("zoom")) || fit };
}

function move() {
  const image = shown();
  if (!image || root.hidden) return;
  stage.style.setProperty("--ratio", image.width / image.height);
  const { box, zoom } = scale(image);
  const [w, h] = [image.width * zoom, image.height * zoom];
  const left = w <= box.width ? (box.width - w) / 2 : box.width / 2 - w * Number(get("x"));
  const top = h <= box.height ? (box.height - h) / 2 : box.height / 2 - h * Number(get("y"));
  for (const pane of panes) {
    const img = pane.querySelector("img");
    img.style.width = `${w}px`;
    img.style.height = `${h}px`;
    img.style.translate = `${left}px ${top}px`;
    img.classList.toggle("pixels", zoom >= 2);
  }
}

const within = (value, low, high) => Math.min(Math.max(value, low), high);

// Move the center by screen pixels, but never past an edge of the image.
function pan(dx, dy) {
  const image = shown();
  const { box, zoom } = scale(image);
  const [w, h] = [image.width * zoom, image.height * zoom];
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
