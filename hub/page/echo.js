// The Echo: what one says, what Alexa says, and both sides of the wire on demand.

import { copyOf, keyed, markNext, one, setText } from "./dom.js";
import { jsonFigure } from "./json-view.js";
import * as speech from "./speech.js";

const CHIPS = 4;
const talk = one("#talk");
const words = one("#words");

let sayIt = () => {};
/** What each user has said and was not answered yet. */
const pending = new Map();
let whose = null;

/** Connects the controls. `say(words)` says something as the current user, and `complain` shows a problem. */
export function connectEcho({ say, complain }) {
  sayIt = say;
  one("#composer").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.value.trim();
    if (!text || pending.has(whose)) return;
    words.value = "";
    say(text);
  });
  one("#say-next").addEventListener("click", () => say(one("#say-next-words").textContent));

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

/** What a user is saying; `null` when the answer is there. */
export function showPending(user, text) {
  if (text === null) pending.delete(user);
  else pending.set(user, text);
}

/** What can be said now, without what the next step says already. */
function suggestions({ user, echo, mail, utterances }, step) {
  const last = echo.turns.at(-1);
  if (last?.heard.listening && asksYesOrNo(last)) return ["yes", "no"];
  const all = user.linked && mail.length ? utterances.groups.map((group) => group.say[0]) : utterances.start;
  return all.filter((text) => text !== step.words).slice(0, CHIPS);
}

function asksYesOrNo({ heard, response }) {
  const directives = response?.response?.directives ?? [];
  if (directives.some((directive) => directive.type?.startsWith("Dialog.Confirm"))) return true;
  // Without a directive the words have to tell: "Shall I …?", but not "Shall I switch it on or off?".
  const question = heard.speech.split(/(?<=[.?!]) /).at(-1);
  return question.includes("yes or no") || (/^(shall|do you)\b/i.test(question) && !/ or /.test(question));
}

export function drawEcho(home, step) {
  const { echo, utterances, user } = home;
  const isNew = whose !== user.user;
  whose = user.user;
  // What was said before is there to be read, not to be read out.
  talk.setAttribute("aria-live", isNew ? "off" : "polite");
  const length = one("#turns").childElementCount;
  const saying = pending.get(user.user) ?? null;

  one("#talk-empty").hidden = echo.turns.length > 0 || saying !== null;
  keyed(one("#turns"), echo.turns, (turn, index) => `${user.user} ${turn.at} ${index}`, makeTurn);
  const waiting = one("#pending");
  waiting.hidden = saying === null;
  setText(one(".you", waiting), saying ?? "");
  if (isNew || saying !== null || echo.turns.length !== length) talk.scrollTop = talk.scrollHeight;

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
}

function makeTurn(turn) {
  const node = copyOf("turn-template");
  setText(one(".you-words", node), turn.say);
  setText(one(".alexa-words", node), turn.heard.speech);
  one(".carded", node).hidden = !turn.heard.card;
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
