// A view of JSON: indented, coloured by type, with a button to copy.

import { copies, copyOf, one } from "./dom.js";

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

function coloured(text) {
  const parts = document.createDocumentFragment();
  let from = 0;
  for (const token of text.matchAll(TOKEN)) {
    const [, string, colon, word] = token;
    const piece = document.createElement("span");
    piece.className = string ? (colon ? "j-key" : "j-string") : word ? "j-word" : "j-number";
    piece.textContent = string ?? token[0];
    parts.append(text.slice(from, token.index), piece, colon ?? "");
    from = token.index + token[0].length;
  }
  parts.append(text.slice(from));
  return parts;
}

export function jsonFigure(title, value) {
  const figure = copyOf("json-template");
  one("figcaption span", figure).textContent = title;
  const code = one("pre", figure);
  code.setAttribute("aria-label", `${title} as JSON`);
  showJson(figure, value);
  const copy = one("button", figure);
  copy.setAttribute("aria-label", `Copy ${title.toLowerCase()}`);
  copies(copy, () => code.textContent);
  return figure;
}

/** Shows a new value in an existing figure. */
export function showJson(figure, value) {
  const text = JSON.stringify(value, null, 2);
  const code = one("pre", figure);
  if (code.textContent !== text) code.replaceChildren(coloured(text));
}
