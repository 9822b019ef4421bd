// The page: the state of one user, updated by the events of the hub and drawn into four panes. Every change draws all panes;
// unchanged elements are not touched (see dom.js).

import * as api from "./api.js";
import { connectApp, drawApp } from "./app.js";
import { connectDevice, drawDevice } from "./device.js";
import { viewOf } from "./device-view.js";
import { keepingFocus, one, setText } from "./dom.js";
import { connectEcho, drawEcho, showPending } from "./echo.js";
import { nextStep, progressOf } from "./guide.js";
import { connectMailbox, drawMailbox } from "./mailbox.js";
import { speak } from "./speech.js";
import { connectUsers, drawUsers } from "./users.js";

const PANES = { echo: drawEcho, app: drawApp, mailbox: drawMailbox, device: drawDevice };
const NO_DEVICE = { running: false, connection: "off", slow: false, fails: false, printer: null, log: [], thing: null };
const emptyHome = () => ({ echo: { turns: [], cards: [] }, mail: [], outgoing: [], device: NO_DEVICE, thing: null, startedWith: null, isKnown: false });

/** The state that is drawn. The members of `emptyHome` belong to `user`, and are drawn when all of them are loaded. */
let home = { user: null, users: [], names: {}, model: { properties: [], intents: [] }, utterances: { start: [], groups: [] }, ...emptyHome() };

/** The request for each part, and the function that applies its response. */
const PARTS = {
  users: async () => {
    const { users, ...names } = await api.users();
    // There is no user during a reset; another event follows.
    if (!users.length) return;
    const before = home.user?.user;
    Object.assign(home, { users, names, user: users.find((one) => one.user === before) ?? users[0] });
    // The panes still show a user who was removed.
    if (before && home.user.user !== before) choose(home.user.user);
  },
  echo: (user) => api.echo(user).then((echo) => () => (home.echo = echo)),
  mail: (user) =>
    Promise.all([api.mail(user), api.outgoing(user)]).then(([{ mail }, { outgoing }]) => () => Object.assign(home, { mail, outgoing })),
  device: (user) => api.device(user).then((device) => () => (home.device = device)),
  shadow: (user) => api.things(user).then(({ things }) => () => (home.thing = things[0] ?? null)),
};
const OF_USER = ["echo", "mail", "device", "shadow"];
/** The member of the state that the value of an event replaces. */
const TOLD = { device: "device", shadow: "thing" };

// Events arrive faster than responses. A part that is being requested is requested once more afterwards (`again`). A value from
// an event during a request (`isTold`) is newer than the response, which is then ignored.
const asking = new Map();

function refresh(part) {
  const running = asking.get(part);
  if (running) {
    running.again = true;
    return running.done;
  }
  const turn = {};
  asking.set(part, turn);
  turn.done = ask(part, turn);
  return turn.done;
}

async function ask(part, turn) {
  try {
    do {
      turn.again = false;
      turn.isTold = false;
      const user = home.user?.user;
      const apply = await PARTS[part](user);
      // The response is about another user if the user was switched meanwhile.
      if (apply && user !== home.user.user) turn.again = true;
      else if (!turn.isTold) apply?.();
    } while (turn.again);
  } finally {
    asking.delete(part);
  }
  draw();
}

function told(part, value) {
  home[TOLD[part]] = value;
  if (asking.has(part)) asking.get(part).isTold = true;
  draw();
}

async function refreshAll() {
  // The hub may have been restarted with other models.
  [home.utterances, home.model] = await Promise.all([api.utterances(), api.model()]);
  setText(one("#version"), home.model.version ?? "");
  await refresh("users");
  await refreshHome();
}

async function refreshHome() {
  const { user } = home.user;
  await Promise.all(OF_USER.map(refresh));
  if (user === home.user.user) home.isKnown = true;
  draw();
}

/** The pane of the next step. */
let aim = null;

const attempt = (work) => work.catch(complainOf);

function draw() {
  if (!home.isKnown) return;
  home.view = viewOf(home);
  const step = nextStep(home);
  const progress = progressOf(home, step);
  drawUsers(home, step);
  setText(one("#guide-text"), step.hint);
  one(".guide").toggleAttribute("data-rest", step.press === null);
  for (const [name, drawPane] of Object.entries(PANES)) {
    const pane = one(`#${name}`);
    pane.dataset.progress = progress[name];
    keepingFocus(pane, () => drawPane(home, step));
  }
  if (aim !== null && step.pane !== aim) bringIntoView(step.pane);
  aim = step.pane;
  one("#guide-go").hidden = !one("[data-next]") && !aim;
}

const oneColumn = window.matchMedia("(max-width: 719px)");

/** On a phone, which shows one pane at a time, scrolls to the pane of the next step, unless the user is typing. */
function bringIntoView(pane) {
  if (!pane || !oneColumn.matches || one("#words").value || one("dialog[open]")) return;
  one(`#${pane}`).scrollIntoView({ block: "start", behavior: "instant" });
}

/** Moves to the control of the next step, or to the pane of the next step if it has no control. */
function showNext() {
  const next = one("[data-next]") ?? one(`#${aim} h2`);
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: next.matches("h2") ? "start" : "center", behavior: still ? "auto" : "smooth" });
}

async function say(words) {
  const user = home.user.user;
  showPending(user, words);
  draw();
  try {
    const { heard } = await api.say(user, words);
    await Promise.all(["echo", "users"].map(refresh));
    speak(heard.speech);
    return true;
  } catch (problem) {
    complainOf(problem);
    return false;
  } finally {
    showPending(user, null);
    draw();
  }
}

function choose(name) {
  const user = home.users.find((one) => one.user === name);
  home = { ...home, ...emptyHome(), user };
  history.replaceState(null, "", `/?user=${encodeURIComponent(name)}`);
  attempt(refreshHome());
}

async function addUser(name) {
  const { user } = await api.addUser(name);
  await refresh("users");
  choose(user);
}

async function removeUser(name) {
  await api.removeUser(name);
  await refresh("users");
}

async function reset() {
  await api.reset();
  location.assign("/");
}

async function act(what, more) {
  const user = home.user.user;
  try {
    // The response may be older than an event that has arrived meanwhile, so the state of the device is requested again.
    await api.doWithDevice(user, what, more);
    if (what === "start" && user === home.user.user) home.startedWith = more.mail;
    await refresh("device");
  } catch (problem) {
    complainOf(problem);
    // Draws the previous state of a control whose action was rejected.
    draw();
  }
}

function onChange({ user, what, device, thing }) {
  if (what === "users" || what === "link") attempt(refresh("users"));
  if (user !== home.user?.user) return;
  if (what === "device" && device) told(what, device);
  else if (what === "shadow" && thing) told(what, thing);
  else if (OF_USER.includes(what)) attempt(refresh(what));
}

function complain(title, detail) {
  setText(one("#notice-title"), title);
  setText(one("#notice-detail"), detail ?? "");
  one("#notice").hidden = false;
}

function complainOf(problem) {
  complain(problem.message, problem.detail);
}

function reconnecting(isDown) {
  document.body.toggleAttribute("data-down", isDown);
  setText(one("#reconnecting"), isDown ? "The hub is away. Reconnecting …" : "");
}

one("#notice-close").addEventListener("click", () => (one("#notice").hidden = true));
one("#guide-go").addEventListener("click", showNext);
connectEcho({ say, complain });
const withApp = (work) => () => attempt(work(home.user.user).then(() => Promise.all(["users", "echo"].map(refresh))));
connectApp({ unlink: withApp(api.unlink), disable: withApp(api.disable), enable: withApp(api.enable) });
connectMailbox({ start: (mail) => act("start", { mail }), draw });
connectDevice({ act });
connectUsers({ choose, add: addUser, remove: removeUser, reset });

const wanted = new URLSearchParams(location.search).get("user");
if (wanted) home.user = { user: wanted };
api.listen({
  onChange,
  onDown: () => reconnecting(true),
  // The page is outdated after a lost connection until all parts are requested again.
  onUp: () => {
    one("#notice").hidden = true;
    refreshAll().then(() => reconnecting(false), complainOf);
  },
});
// After the return from the sign-in page, the focus is at the pane of the Alexa app.
if (document.referrer.startsWith(`${location.origin}/sign-in`)) one("#app-title").focus({ preventScroll: true });
