// The shadow: desired, reported and delta side by side, with a row for each field and a mark for the latest changes.

import { keyed, one, setText, showTime, timeOf } from "./dom.js";
import { jsonFigure, showJson } from "./json-view.js";
import { pendingOf } from "./pending.js";

const COLUMNS = ["desired", "reported", "delta"];
const TITLES = { desired: "Desired", reported: "Reported", delta: "Delta" };

/** The state that the figures below the table show when they are opened. */
let state = {};
const json = one("#shadow-json");
json.addEventListener("toggle", () => drawJson(state));

let seen = { thing: null, version: null, cells: new Map() };
let changed = new Set();

/** The longest id in a cell. Of a longer id only the first digits after its last dot are shown; the JSON below has all. */
const LONGEST = 24;
const DIGITS = 6;
const shortened = (id) => `${id.slice(id.lastIndexOf(".") + 1).slice(0, DIGITS)}…`;
const shown = (value) => JSON.stringify(typeof value === "string" && value.length > LONGEST ? shortened(value) : value);

const isGroup = (value) => value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length > 0;

/** The fields of the three documents as rows; the fields of an object follow the row with its name. */
function rowsOf(parts, path = [], rows = []) {
  const names = [...new Set(parts.flatMap((part) => Object.keys(part ?? {})))];
  const fields = names.map((name) => ({ name, values: parts.map((part) => part?.[name]) }));
  // Plain properties come first, because they are looked up most often and a command is long.
  const ordered = [...fields.filter(({ values }) => !values.some(isGroup)), ...fields.filter(({ values }) => values.some(isGroup))];
  for (const { name, values } of ordered) {
    const group = values.some(isGroup);
    const here = [...path, name];
    const cells = values.map((value) => (value === undefined || (group && isGroup(value)) ? "" : shown(value)));
    rows.push({ path: here.join("."), name, depth: path.length, group, cells });
    if (group) rowsOf(values.map((value) => (isGroup(value) ? value : undefined)), here, rows);
  }
  return rows;
}

export function drawShadow(thing, model) {
  const shadow = thing?.shadow;
  one("#identity").hidden = !thing;
  if (thing) drawIdentity(thing);
  drawRefusal(thing?.refusal);
  one("#shadow-empty").hidden = Boolean(shadow);
  one("#shadow").hidden = !shadow;
  json.hidden = !shadow;
  const pending = shadow ? pendingOf(shadow.state, model) : new Set();
  setText(one("#shadow-version"), shadow ? `version ${shadow.version}, ${pending.size ? "they differ" : "no difference"}` : "");
  if (!shadow) return;

  const rows = rowsOf(COLUMNS.map((column) => shadow.state[column] ?? {}));
  remember(thing, rows);
  keyed(one("#shadow-rows"), rows, (row) => row.path, makeRow, (node, row) => {
    node.toggleAttribute("data-group", row.group);
    [...node.cells].slice(1).forEach((cell, index) => {
      setText(cell, row.cells[index]);
      cell.toggleAttribute("data-pending", COLUMNS[index] === "delta" && pending.has(row.path.split(".")[0]) && row.cells[index] !== "");
      cell.toggleAttribute("data-changed", changed.has(`${row.path} ${index}`));
    });
  });
  state = shadow.state;
  drawJson(state);
}

/** Marks the differences from the previous version until the next version. */
function remember(thing, rows) {
  const version = thing.shadow.version;
  if (seen.thing === thing.thing && seen.version === version) return;
  const cells = new Map(rows.flatMap((row) => row.cells.map((cell, index) => [`${row.path} ${index}`, cell])));
  const isFirst = seen.thing !== thing.thing;
  changed = new Set(isFirst ? [] : [...cells].filter(([key, cell]) => (seen.cells.get(key) ?? "") !== cell).map(([key]) => key));
  seen = { thing: thing.thing, version, cells };
}

function drawIdentity({ thing, certificates, connected }) {
  setText(one("#thing-name"), thing);
  const used = certificates.find((certificate) => certificate.used);
  const name = ({ id, status }) => `${id.slice(0, 8)} ${status}`;
  if (!used) return setText(one("#certificate"), certificates.length ? `Certificate ${name(certificates.at(-1))}` : "No certificate");
  const others = certificates.filter((one) => one !== used && one.status === "ACTIVE");
  const also = others.map(({ id, replacedUntil }) =>
    replacedUntil ? `${id.slice(0, 8)} was replaced and is good until ${timeOf(replacedUntil)}` : `${id.slice(0, 8)} was mailed and is not in use yet`,
  );
  setText(one("#certificate"), [`Certificate ${name(used)}${connected ? ", in use" : ""}`, ...also].join("; "));
}

/** Draws the last refusal of the broker with its cause; its texts are escaped already. */
function drawRefusal(refusal) {
  const line = one("#refusal");
  line.hidden = !refusal;
  if (!refusal) return;
  const { at, action, resource, will, detail, clientId, times } = refusal;
  const what = action ? `${action} of “${resource}”${will ? " as a will" : ""}` : "a packet";
  showTime(one("time", line), at);
  setText(one("span", line), `${what}, to client “${clientId}”: ${detail}${times > 1 ? ` (${times} times)` : ""}`);
}

function makeRow(row) {
  const node = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.dataset.depth = String(row.depth);
  name.textContent = row.name;
  node.append(name);
  for (const column of COLUMNS) {
    const cell = document.createElement("td");
    cell.className = column;
    node.append(cell);
  }
  return node;
}

/** Draws the three complete documents as JSON. */
function drawJson(state) {
  if (!json.open) return;
  const body = one(".json-body", json);
  if (!body.childElementCount) body.append(...COLUMNS.map((column) => jsonFigure(TITLES[column], {})));
  COLUMNS.forEach((column, index) => showJson(body.children[index], state[column] ?? {}));
}
