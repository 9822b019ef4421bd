// The pane of the Echo: the conversation, and on demand the request and the response of each turn.

import { awaited } from "./dialog.js";
import { copyOf, keyed, markNext, numbered, one, setText } from "./dom.js";
import { jsonFigure } from "./json-view.js";
import * as speech from "./speech.js";

const CHIPS = 3;
/** The suggested intents for a printer in each state. For any other device, the first intents of its model are suggested. */
const LIKELY = {
  printing: ["StatusIntent", "PauseIntent", "CancelPrintIntent"],
  paused: ["ResumeIntent", "CancelPrintIntent", "StatusIntent"],
  idle: ["PrintIntent", "SetTemperatureIntent", "StatusIntent"],
  error: ["StatusIntent", "ConnectionIntent", "SetPowerIntent"],
  off: ["SetPowerIntent", "StatusIntent", "ConnectionIntent"],
};
const talk = one("#talk");
const words = one("#words");

let sayIt = () => {};
/** The utterance of each user that has no response yet. */
const pending = new Map();
let whose = null;
/** The earlier utterances of this user, the index of the recalled one, and the text that was typed before the recall. */
let said = [];
let recalled = null;
let draft = "";
/** Whether the newest turn is kept in view: true until the user scrolls back. */
let follows = true;

/** Connects the controls. `say(words)` speaks as the current user, and `complain` shows a problem. */
export function connectEcho({ say, complain }) {
  sayIt = say;
  one("#composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.value.trim();
    if (!text || pending.has(whose)) return;
    words.value = "";
    recalled = null;
    // An utterance that failed is restored, so that the user can send it again.
    say(text).then((isHeard) => {
      if (!isHeard && !words.value) words.value = text;
    });
  });
  words.addEventListener("keydown", (event) => {
    if (event.key === "ArrowUp" || event.key === "ArrowDown") recall(event);
  });
  one("#say-next").addEventListener("click", () => say(one("#say-next-words").textContent));

  talk.addEventListener("scroll", () => (follows = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 24));
  // The area below the conversation changes its height with the suggestions.
  new ResizeObserver(showNewest).observe(talk);

  const voice = one("#voice");
  voice.hidden = !speech.canSpeak;
  const showVoice = () => voice.setAttribute("aria-pressed", String(speech.voiceIsOn()));
  voice.addEventListener("click", () => {
    speech.turnVoice(!speech.voiceIsOn());
    showVoice();
  });
  showVoice();

  const mic = one("#mic");
  mic.hidden = !speech.canListen;
  mic.addEventListener("click", async () => {
    mic.setAttribute("aria-pressed", "true");
    try {
      const heard = await speech.hear();
      if (heard) say(heard);
    } catch {
      complain("The browser cannot listen", "It needs a microphone, your permission, and often the network. Typing does the same.");
    } finally {
      mic.removeAttribute("aria-pressed");
    }
  });
}

/** Recalls earlier utterances with the arrow keys, as a shell does. */
function recall(event) {
  const last = said.length;
  const at = (recalled ?? last) + (event.key === "ArrowUp" ? -1 : 1);
  if (at < 0 || (recalled === null && at > last)) return;
  if (recalled === null) draft = words.value;
  event.preventDefault();
  recalled = at >= last ? null : at;
  words.value = recalled === null ? draft : said[recalled];
}

/** Shows an utterance of a user that has no response yet; `null` when the response has arrived. */
export function showPending(user, text) {
  if (text === null) pending.delete(user);
  else pending.set(user, text);
}

/** The suggested utterances, without the utterance of the next step. */
function suggestions({ user, echo, view, model, utterances }, step) {
  const awaits = awaited(echo.turns.at(-1));
  if (awaits === "yes or no") return ["yes", "no"];
  if (awaits === "value") return ["stop"];
  if (!user.linked || !view.isThere) return utterances.start.filter((text) => text !== step.words);
  const ofPrinter = LIKELY[view.printer?.power === "OFF" ? "off" : view.printer?.status];
  const likely = ofPrinter ?? model.intents ?? [];
  const rank = ({ intent }) => (likely.includes(intent) ? likely.indexOf(intent) : likely.length);
  const groups = utterances.groups.toSorted((a, b) => rank(a) - rank(b));
  // The next step is already one of these utterances; another utterance of its group is suggested.
  const texts = groups.map(({ say }) => say.find((text) => text !== step.words)).filter(Boolean);
  return texts.slice(0, CHIPS);
}

export function drawEcho(home, step) {
  const { echo, utterances, user } = home;
  const isNew = whose !== user.user;
  whose = user.user;
  // The history must not be read aloud by a screen reader when the user changes.
  talk.setAttribute("aria-live", isNew ? "off" : "polite");
  said = echo.turns.map((turn) => turn.say).filter((text, index, all) => text && text !== all[index - 1]);
  if (isNew) recalled = null;
  const length = one("#turns").childElementCount;
  const saying = pending.get(user.user) ?? null;

  one("#talk-empty").hidden = echo.turns.length > 0 || saying !== null;
  keyed(one("#turns"), numbered(echo.turns), (turn) => `${user.user} ${turn.key}`, makeTurn);
  const waiting = one("#pending");
  waiting.hidden = saying === null;
  setText(one(".you", waiting), saying ?? "");
  if (isNew || saying !== null || echo.turns.length !== length) follows = true;

  const listening = saying === null && Boolean(echo.turns.at(-1)?.heard.listening);
  one("#listening").hidden = !listening;
  one("#composer").toggleAttribute("data-listening", listening);

  const next = one("#say-next");
  const isNext = step.press === "say" && saying === null;
  next.hidden = !isNext;
  markNext(next, isNext);
  setText(one("#say-next-words"), step.words ?? "");

  keyed(one("#chips"), saying === null ? suggestions(home, step) : [], (text) => text, makeChip);
  drawAllWords(utterances);
  showNewest();
}

function showNewest() {
  if (follows) talk.scrollTop = talk.scrollHeight;
}

function makeTurn(turn) {
  const node = copyOf("turn-template");
  // A request that was sent as JSON has no utterance; its type is shown.
  setText(one(".you-words", node), turn.say ?? turn.request?.request?.type ?? "");
  setText(one(".alexa-words", node), turn.heard.speech);
  one(".carded", node).hidden = !turn.heard.card;
  one(".alexa", node).hidden = !turn.heard.speech;
  const { hint } = turn.heard;
  const hinted = one(".hinted", node);
  hinted.hidden = !hint;
  setText(hinted, `Say “${hint}”`);
  hinted.addEventListener("click", () => sayIt(hint));
  const details = one("details", node);
  details.hidden = !turn.request;
  details.addEventListener("toggle", () => {
    const body = one(".json-body", details);
    if (!details.open || body.childElementCount) return;
    body.append(jsonFigure("Request", turn.request), jsonFigure("Response", turn.response));
  });
  return node;
}

function makeChip(text) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "chip";
  button.textContent = text;
  button.addEventListener("click", () => sayIt(text));
  item.append(button);
  return item;
}

function drawAllWords({ start, groups }) {
  const all = [{ intent: "LaunchRequest", say: start }, ...groups];
  keyed(one("#all-words"), all, (group) => group.intent, (group) => {
    const part = document.createElement("div");
    const title = document.createElement("h3");
    title.textContent = group.intent;
    const list = document.createElement("ul");
    list.className = "chips";
    list.append(...group.say.map(makeChip));
    part.append(title, list);
    return part;
  });
}
