// The page: what is known of the home of one user, kept up to date by the hub's events, and drawn into four
// panes. Whatever changes, everything is drawn again; what stays the same is left alone (see dom.js).

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

/** Everything that is drawn. The parts of `emptyHome` belong to `user`, and are drawn when all of them are known. */
let home = { user: null, users: [], names: {}, model: { properties: [], intents: [] }, utterances: { start: [], groups: [] }, ...emptyHome() };

/** How each part is asked for, and where its answer goes. */
const PARTS = {
  users: async () => {
    const { users, ...names } = await api.users();
    // There is nobody while everything is started over; another event follows.
    if (!users.length) return;
    const before = home.user?.user;
    Object.assign(home, { users, names, user: users.find((one) => one.user === before) ?? users[0] });
    // What is drawn is still that of a user who was removed.
    if (before && home.user.user !== before) choose(home.user.user);
  },
  echo: (user) => api.echo(user).then((echo) => () => (home.echo = echo)),
  mail: (user) =>
    Promise.all([api.mail(user), api.outgoing(user)]).then(([{ mail }, { outgoing }]) => () => Object.assign(home, { mail, outgoing })),
  device: (user) => api.device(user).then((device) => () => (home.device = device)),
  shadow: (user) => api.things(user).then(({ things }) => () => (home.thing = things[0] ?? null)),
};
const OF_USER = ["echo", "mail", "device", "shadow"];
/** Where that goes which an event brings along. */
const TOLD = { device: "device", shadow: "thing" };

// Events come faster than answers. A part that is being asked for is asked for once more afterwards (`again`);
// and what an event has told meanwhile (`isTold`) is newer than the answer, which may have been overtaken.
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
      // The answer is about somebody else when the user was switched meanwhile.
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
  // Another hub may be there than before, with other models.
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

/** The pane in which the next step is. */
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

/** On a phone one pane is seen at a time: that where something happens now, unless somebody is typing. */
function bringIntoView(pane) {
  if (!pane || !oneColumn.matches || one("#words").value || one("dialog[open]")) return;
  one(`#${pane}`).scrollIntoView({ block: "start", behavior: "instant" });
}

/** Goes to the control that is the next step; where there is none, to the pane where something happens. */
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
    // What this answers may be older than the event that has come meanwhile, so the device is asked again.
    await api.doWithDevice(user, what, more);
    if (what === "start" && user === home.user.user) home.startedWith = more.mail;
    await refresh("device");
  } catch (problem) {
    complainOf(problem);
    // A switch that was refused goes back.
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
  // What was shown while the hub was away is old until everything has been asked for again.
  onUp: () => {
    one("#notice").hidden = true;
    refreshAll().then(() => reconnecting(false), complainOf);
  },
});
// Back from the sign-in page one goes on where one left.
if (document.referrer.startsWith(`${location.origin}/sign-in`)) one("#app-title").focus({ preventScroll: true });
