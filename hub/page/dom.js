// Helpers for the document that all panes use.

export const one = (selector, root = document) => root.querySelector(selector);

export const copyOf = (template) => document.getElementById(template).content.firstElementChild.cloneNode(true);

/** Sets a text. An unchanged text is not set again, because a screen reader would read it again. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Updates the children of `parent` to match `items`. An item with the same key keeps its element, and so its focus,
 * its open details and its scroll position.
 */
export function keyed(parent, items, key, make, update = () => {}) {
  const wanted = new Set(items.map((item, index) => String(key(item, index))));
  const there = new Map();
  for (const node of [...parent.children]) {
    if (wanted.has(node.dataset.key)) there.set(node.dataset.key, node);
    else node.remove();
  }
  let place = parent.firstElementChild;
  items.forEach((item, index) => {
    const name = String(key(item, index));
    let node = there.get(name);
    if (!node) {
      node = make(item, index);
      node.dataset.key = name;
    }
    update(node, item, index);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  });
}

/**
 * Gives each entry of a history a key that stays the same when the hub deletes the oldest entries: its time, and its
 * number among the entries of the same second.
 */
export function numbered(entries) {
  const seen = new Map();
  return entries.map((entry) => {
    const number = seen.get(entry.at) ?? 0;
    seen.set(entry.at, number + 1);
    return { ...entry, key: `${entry.at} ${number}` };
  });
}

/** Draws a pane. If this removes the focused element, the heading of the pane receives the focus. */
export function keepingFocus(pane, draw) {
  const before = document.activeElement;
  const inside = pane.contains(before) && before !== pane;
  draw();
  if (inside && (!before.isConnected || before.disabled || before.closest("[hidden]"))) {
    one("h2", pane).focus({ preventScroll: true });
  }
}

/** Marks the control of the next step, and sets the hint as its description. */
export function markNext(node, isNext) {
  node.toggleAttribute("data-next", isNext);
  if (isNext) node.setAttribute("aria-describedby", "guide-text");
  else node.removeAttribute("aria-describedby");
}

/** Makes a button copy a text. The clipboard exists only in secure contexts, which a hub in a home network may not be. */
export function copies(button, text) {
  button.hidden = !navigator.clipboard;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    setText(button, await navigator.clipboard.writeText(text()).then(() => "Copied", () => "Not allowed"));
    setTimeout(() => setText(button, label), 2000);
  });
}

/** A Unix time in seconds as text: the time of day, and for another day also the date. */
export function timeOf(seconds) {
  const time = new Date(seconds * 1000);
  const today = time.toDateString() === new Date().toDateString();
  const hour = { hour: "2-digit", minute: "2-digit" };
  return time.toLocaleString("en-GB", today ? hour : { day: "numeric", month: "short", ...hour });
}

export function showTime(node, seconds) {
  node.dateTime = new Date(seconds * 1000).toISOString();
  setText(node, timeOf(seconds));
}
