// The pane of the device: a simulated printer that was started with a bundle, its state, and its shadow.

import { drawFacts, inWords } from "./device-facts.js";
import { keyed, markNext, numbered, one, setText, showTime } from "./dom.js";
import { pendingOf } from "./pending.js";
import { drawPicture } from "./printer-picture.js";
import { drawShadow } from "./shadow.js";

const CONNECTION = { none: "Not started", off: "Offline", connecting: "Connecting …", connected: "Connected", refused: "Refused" };
const NONE_YET = "No device yet. It starts from the bundle in the mail.";
const ELSEWHERE = "This device is not simulated here. What is shown is what its shadow says.";
const AWAITED = "A device was connected with this identity, and is not now. What is shown is what it reported last.";
const connect = one("#connect");

/** Connects the controls. `act(what)` executes an action on the device of the current user. */
export function connectDevice({ act }) {
  connect.addEventListener("click", () => act(connect.dataset.do));
  one("#slow").addEventListener("change", (event) => act(event.target.checked ? "slow" : "normal"));
  one("#fail").addEventListener("change", (event) => act(event.target.checked ? "fail" : "mend"));
}

export function drawDevice({ user, device, thing, model, view }, step) {
  const { isThere, connection, printer } = view;
  const badge = one("#connection");
  setText(badge, CONNECTION[connection]);
  badge.dataset.connection = connection;

  const isPrinter = model.picture === "printer";
  const state = thing?.shadow?.state;
  const pending = state ? pendingOf(state, model) : new Set();
  one("#stage").hidden = !isPrinter;
  if (isPrinter) drawPicture(view, device.slow);
  one("#properties").hidden = isPrinter || !isThere;
  if (!isPrinter) drawFacts(one("#properties"), model, state, pending);
  setText(one("#doing"), isPrinter ? doing(view, device.fails) : doingOf(view, state, pending));
  const isPrint = isThere && (isBusy(printer) || printer?.progress > 0);
  one("#progress").hidden = !isPrint;
  one("#progress").value = printer?.progress ?? 0;
  setText(one("#percent"), isPrint ? progressOf(printer) : "");

  one("#facts").hidden = !isThere || !printer;
  if (printer) {
    setText(one("#fact-nozzle"), `${Math.round(printer.nozzle)} °C`);
    setText(one("#target-nozzle"), targetOf(printer.nozzleTarget));
    setText(one("#fact-bed"), `${Math.round(printer.bed)} °C`);
    setText(one("#target-bed"), targetOf(printer.bedTarget));
    setText(one("#fact-power"), printer.power === "OFF" ? "off" : "on");
  }

  one("#elsewhere").hidden = !view.isSeen;
  setText(one("#elsewhere"), view.elsewhere ? ELSEWHERE : AWAITED);
  one("#controls").hidden = !view.simulated;
  const isUp = connection === "connected" || connection === "connecting";
  connect.dataset.do = isUp ? "disconnect" : "connect";
  setText(connect, isUp ? "Disconnect" : "Connect");
  markNext(connect, step.press === "connect");
  one("#slow").checked = device.slow;
  one("#fail").checked = device.fails;
  markNext(one("#fail"), step.press === "mend");

  drawShadow(thing, model);
  const entries = numbered(device.log).reverse();
  one("#log-empty").hidden = entries.length > 0;
  one("#log").hidden = entries.length === 0;
  keyed(one("#log"), entries, (entry) => `${user.user} ${entry.key} ${entry.text}`, makeEntry);
}

/** The target temperature as text; empty if it is 0. */
const targetOf = (degrees) => (degrees > 0 ? `set to ${Math.round(degrees)}` : "");

const isBusy = (printer) => printer?.status === "printing" || printer?.status === "paused";

function progressOf({ status, progress, copy, copies }) {
  return `${isBusy({ status }) && copies > 1 ? `${copy} of ${copies} · ` : ""}${progress} %`;
}

function doing({ isThere, isSeen, simulated, connection, printer }, fails) {
  if (!isThere) return NONE_YET;
  if (!printer) return isSeen ? "It has reported nothing yet" : "It starts …";
  if (printer.power === "OFF") return "Switched off";
  const model = printer.model ?? "something";
  const what = (printer.copies ?? 1) > 1 ? `${printer.copies} × ${model}` : `a ${model}`.replace(/^a (?=[aeiou])/i, "an ");
  const away = connection === "connected" ? "" : " (offline)";
  switch (printer.status) {
    case "printing":
      return `Printing ${what}${away}`;
    case "paused":
      return `Paused: ${what}${away}`;
    case "error":
      return simulated && fails ? "It failed, as you wanted" : "Something went wrong";
    default:
      if (printer.progress >= 100) return `Printed ${what}${away}`;
      return printer.progress > 0 ? `Unfinished: ${what}${away}` : `Idle${away}`;
  }
}

const STATUS = { accepted: "Doing it", done: "Done", refused: "Refused", failed: "Failed" };

/** The activity of a device that is not a printer, from its shadow: the newest command, or whether all changes are applied. */
function doingOf({ isThere, connection, reported }, state, pending) {
  if (!isThere) return NONE_YET;
  const away = connection === "connected" ? "" : " (offline)";
  if (pending.size) return `It has something to do${away}`;
  const { id, status, detail } = reported.command ?? {};
  const { name } = id && state?.desired?.command?.id === id ? state.desired.command : reported.command ?? {};
  if (status) return `${STATUS[status] ?? status}: ${inWords(name ?? "a command")}${status !== "done" && detail ? ` (${detail})` : ""}${away}`;
  return Object.keys(state?.desired ?? {}).length ? `It is as it was set${away}` : `Nothing was asked of it yet${away}`;
}

function makeEntry(entry) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  showTime(time, entry.at);
  const text = document.createElement("span");
  text.textContent = entry.text;
  item.append(time, text);
  return item;
}
