// The pane of the Alexa app: whether the account is linked, and the cards that the skill has sent.

import { signInPage } from "./api.js";
import { copies, copyOf, keyed, markNext, numbered, one, setText, showTime } from "./dom.js";

/** The parts of a card that the user can copy: a code on a line of its own, and a command. */
const TO_COPY = [
  ["Copy the code", /^[A-Z0-9]{3,}(?:-[A-Z0-9]{3,})+$/m],
  ["Copy the command", /^onething-device .+$/m],
];

export function connectApp({ unlink, disable, enable }) {
  one("#unlink").addEventListener("click", unlink);
  one("#disable").addEventListener("click", disable);
  one("#enable").addEventListener("click", enable);
}

export function drawApp({ user, names, echo }, step) {
  const isEnabled = echo.enabled !== false;
  setText(one("#account"), !isEnabled ? "Skill disabled" : user.linked ? `Linked as ${user.name}` : "Not linked");
  one("#disable").hidden = !isEnabled;
  one("#enable").hidden = isEnabled;
  markNext(one("#enable"), step.press === "enable");
  one(".account").toggleAttribute("data-linked", user.linked);
  one("#unlink").hidden = !user.linked;

  const cards = numbered(echo.cards).reverse();
  one("#cards-empty").hidden = cards.length > 0;
  keyed(one("#cards"), cards, (entry) => `${user.user} ${entry.key}`, (entry) => makeCard(entry, user, names), (node, { card }, index) => {
    // Of several cards with the same request, only the newest one has an active button, until the request is fulfilled.
    const link = one(".button", node);
    const isNewest = index === 0;
    link.hidden = card.type !== "LinkAccount" || user.linked;
    markNext(link, step.press === "link" && isNewest);
  });
}

function makeCard({ at, card }, user, names) {
  const node = copyOf("card-template");
  setText(one(".card-from span", node), names.invocation.replace(/\b[a-z]/g, (letter) => letter.toUpperCase()));
  showTime(one("time", node), at);
  const asksToLink = card.type === "LinkAccount";
  setText(one("h3", node), asksToLink ? "Link your account" : (card.title ?? ""));
  const text = asksToLink ? `To use your ${names.device}, the skill has to know who you are.` : (card.text ?? card.content ?? "");
  setText(one(".card-text", node), text);
  one(".button", node).href = signInPage(user.user);
  for (const [label, pattern] of TO_COPY) {
    const found = pattern.exec(text)?.[0];
    if (!found) continue;
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "small copy-code";
    copy.textContent = label;
    node.append(copy);
    copies(copy, () => found);
  }
  return node;
}
