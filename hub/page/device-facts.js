// The properties of a device, from its device model and its shadow.

import { keyed, one, setText } from "./dom.js";

/** A property name such as "nozzleTarget" or "nozzle_target" as separate words. */
export const inWords = (name) => name.replace(/[_-]+/g, " ").replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
const asTitle = (name) => inWords(name).replace(/^./, (letter) => letter.toUpperCase());

const UNITS = { percent: " %", degrees: "°" };

/** A value in readable form, with its unit. */
export function shownValue(value, { type, unit }) {
  if (value === undefined || value === null) return "–";
  if (type === "number" && typeof value === "number") return `${Number(value.toFixed(2))}${UNITS[unit] ?? (unit ? ` ${unit}` : "")}`;
  if (type === "switch" && (value === "ON" || value === "OFF")) return value.toLowerCase();
  if (type === "choice" && typeof value === "string") return inWords(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Draws a tile for each property: the reported value, and a desired value that is still pending. */
export function drawFacts(list, { properties }, state, pending) {
  keyed(list, properties, ({ name }) => name, makeFact, (node, property) => {
    const { name, type, min, max } = property;
    const [now, wanted] = [state?.reported?.[name], state?.desired?.[name]];
    setText(one("dd span", node), shownValue(now, property));
    setText(one(".target", node), pending.has(name) ? `set to ${shownValue(wanted, property)}` : "");
    node.dataset.value = type === "switch" ? String(now ?? "") : "";
    const meter = one("meter", node);
    meter.hidden = type !== "number" || typeof now !== "number" || !(max > min);
    if (!meter.hidden) [meter.min, meter.max, meter.value] = [min, max, now];
  });
}

function makeFact({ name, type }) {
  const node = document.createElement("div");
  node.dataset.type = type;
  const title = document.createElement("dt");
  title.textContent = asTitle(name);
  const value = document.createElement("dd");
  const target = document.createElement("span");
  target.className = "target";
  const meter = document.createElement("meter");
  meter.setAttribute("aria-label", asTitle(name));
  value.append(document.createElement("span"), " ", target, meter);
  node.append(title, value);
  return node;
}
