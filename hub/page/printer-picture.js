// The picture of the printer: the print grows layer by layer, the head follows the edge of the layer, and the nozzle and the bed
// glow according to their temperatures.

import { one, setText } from "./dom.js";

const CENTRE = 200;
const BED = 226;
const PARKED = { x: 128, lift: 16 };
const AMBIENT = 25;

/** A smooth interpolation of radii that are given from the bottom to the top. */
function turned(radii) {
  return (height) => {
    const at = height * (radii.length - 1);
    const below = Math.min(Math.floor(at), radii.length - 2);
    const part = (1 - Math.cos((at - below) * Math.PI)) / 2;
    return radii[below] + (radii[below + 1] - radii[below]) * part;
  };
}

const SHAPES = {
  vase: { height: 122, twist: 2.2, ribs: 7, radius: turned([25, 35, 42, 40, 30, 21, 19, 24, 30]) },
  cup: { height: 78, twist: 0, ribs: 0, radius: turned([27, 32, 35, 37, 38]) },
};
/** The shape of every model that has no picture of its own. */
const OTHER = { height: 84, twist: 0, ribs: 4, radius: (height) => (height < 0.34 ? 46 : height < 0.7 ? 32 : 19) };

const STEPS = 72;
const heights = Array.from({ length: STEPS + 1 }, (_, step) => step / STEPS);
const pathOf = (points) => points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function outline({ height, radius }) {
  const left = heights.map((at) => [CENTRE - radius(at), BED - at * height]);
  const right = heights.map((at) => [CENTRE + radius(at), BED - at * height]).reverse();
  return `${pathOf([...left, ...right])}Z`;
}

/** The visible parts of the ribs, which wind around the shape; the far side is hidden. */
function ribs({ height, radius, twist, ribs: count }) {
  const lines = [];
  for (let rib = 0; rib < count; rib += 1) {
    let line = [];
    for (const at of heights) {
      const angle = (rib / count) * 2 * Math.PI + at * twist;
      if (Math.cos(angle) > 0) line.push([CENTRE + radius(at) * Math.sin(angle), BED - at * height]);
      else if (line.length) {
        lines.push(line);
        line = [];
      }
    }
    lines.push(line);
  }
  return lines.filter((line) => line.length > 1).map(pathOf).join("");
}

const still = window.matchMedia("(prefers-reduced-motion: reduce)");
const svg = one("#picture");
const head = one("#head");
const gantry = one("#gantry");
const printed = one("#printed-up-to");
const thread = one("#thread");

let goal = { shape: null, status: "idle", progress: 0, slow: false };
const shown = { x: PARKED.x, lift: PARKED.lift, progress: 0 };
let phase = 0;
let frame = 0;
let last = 0;

/** Draws a device in the state that the hub reports. */
export function drawPicture({ isThere, connection, printer }, slow) {
  const on = isThere && printer?.power !== "OFF" && Boolean(printer);
  svg.toggleAttribute("data-on", on);
  svg.dataset.status = on ? printer.status : "off";
  svg.dataset.connection = connection;
  const nozzle = on ? printer.nozzle : 0;
  const bed = on ? printer.bed : 0;
  one("#nozzle-glow").setAttribute("opacity", heat(nozzle, 175));
  one("#bed-glow").setAttribute("opacity", heat(bed, 40));
  setText(one("#screen"), screenOf(on, printer));
  svg.setAttribute("aria-label", description(on, connection, printer));

  const shape = printer?.model ? (SHAPES[printer.model.toLowerCase()] ?? OTHER) : null;
  const progress = printer?.progress ?? 0;
  const isNewPrint = shape !== goal.shape || progress < goal.progress;
  if (shape !== goal.shape) setShape(shape);
  // A new print, or the device of another user, is drawn at once; only growth is animated.
  if (isNewPrint || goal.shape === null) shown.progress = progress;
  goal = { shape, status: on ? printer.status : "idle", progress, slow };
  if (still.matches) settle();
  else if (!frame) frame = requestAnimationFrame(move);
}

const heat = (degrees, range) => Math.min(Math.max((degrees - AMBIENT) / range, 0), 1).toFixed(2);

function screenOf(on, printer) {
  if (!on) return "";
  return { printing: `${printer.progress} %`, paused: "paused", error: "error" }[printer.status] ?? (printer.progress >= 100 ? "done" : "ready");
}

function description(on, connection, printer) {
  if (!printer) return "3D printer, not started";
  if (!on) return "3D printer, switched off";
  const what = printer.model ? `${printer.status === "printing" ? "printing" : printer.status}, ${printer.model}, ${printer.progress} percent` : printer.status;
  return `3D printer, ${connection}: ${what}, nozzle ${Math.round(printer.nozzle)} degrees`;
}

function setShape(shape) {
  const line = shape ? outline(shape) : "";
  for (const id of ["ghost", "shape", "shape-layers", "shape-round"]) one(`#${id}`).setAttribute("d", line);
  one("#ribs").setAttribute("d", shape ? ribs(shape) : "");
}

/** Draws the final state without animation. */
function settle() {
  shown.progress = goal.progress;
  const at = goal.progress / 100;
  const isPrinting = goal.status === "printing" && goal.shape;
  shown.x = isPrinting ? CENTRE + goal.shape.radius(at) * (goal.progress % 2 ? 1 : -1) : PARKED.x;
  shown.lift = isPrinting ? 0 : PARKED.lift;
  place();
}

function move(now) {
  const seconds = Math.min((now - last) / 1000, 0.1);
  last = now;
  const near = 1 - Math.exp(-seconds * 5);
  shown.progress += (goal.progress - shown.progress) * near;
  const isPrinting = goal.status === "printing" && goal.shape;
  let x = PARKED.x;
  if (isPrinting) {
    phase += seconds * (goal.slow ? 2.4 : 6.5);
    x = CENTRE + goal.shape.radius(shown.progress / 100) * Math.sin(phase);
  }
  shown.x += (x - shown.x) * (isPrinting ? Math.min(near * 4, 1) : near);
  shown.lift += ((isPrinting ? 0 : PARKED.lift) - shown.lift) * near;
  place();
  const isThere = !isPrinting && Math.abs(shown.x - x) < 0.2 && Math.abs(shown.progress - goal.progress) < 0.1;
  frame = isThere ? 0 : requestAnimationFrame(move);
}

function place() {
  const grown = goal.shape ? (goal.shape.height * shown.progress) / 100 : 0;
  const top = BED - grown;
  const tip = top - shown.lift;
  printed.setAttribute("y", top.toFixed(1));
  printed.setAttribute("height", grown.toFixed(1));
  gantry.setAttribute("transform", `translate(0 ${tip.toFixed(1)})`);
  head.setAttribute("transform", `translate(${shown.x.toFixed(1)} 0)`);
  thread.setAttribute("d", `M256 2C250 ${(tip * 0.3).toFixed(1)} ${shown.x.toFixed(1)} ${(tip * 0.3).toFixed(1)} ${shown.x.toFixed(1)} ${(tip - 50).toFixed(1)}`);
}

place();
