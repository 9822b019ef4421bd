// What the hub can be asked over HTTP, and what it tells by itself.

/** Something that did not work: what, and why. */
export class Problem extends Error {
  constructor(title, detail) {
    super(title);
    this.detail = detail ?? "";
  }
}

const TROUBLE = "The hub does not answer";

/** The detail of a problem document is made to stand in a line; here it is a sentence. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Problem(TROUBLE, "Is it still running? The page goes on by itself when it is back.");
  }
  if (answer.status === 204) return null;
  // A proxy in between, or a hub that is just ending, may answer with something that is no JSON.
  const body = await answer.json().catch(() => null);
  if (!answer.ok && body?.detail) throw new Problem("That did not work", sentence(body.detail));
  if (!answer.ok || body === null) throw new Problem(`${TROUBLE} as it should`, `It says ${answer.status}.`);
  return body;
}

const tell = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const of = (user) => `?user=${encodeURIComponent(user)}`;

export const users = () => ask("/api/users");
export const addUser = (name) => tell("/api/users", { name });
export const removeUser = (user) => tell("/api/users/remove", { user });
export const reset = () => tell("/api/reset", {});
export const disable = (user) => tell("/disable", { user });
export const enable = (user) => tell("/enable", { user });
export const utterances = () => ask("/api/utterances");
export const model = () => ask("/api/model");
export const echo = (user) => ask(`/api/echo${of(user)}`);
export const say = (user, words) => tell("/echo", { user, say: words });
export const link = (user) => tell("/link", { user });
export const unlink = (user) => tell("/unlink", { user });
export const mail = (user) => ask(`/api/mail${of(user)}`);
export const outgoing = (user) => ask(`/api/outgoing-mail${of(user)}`);
export const things = (user) => ask(`/api/things${of(user)}`);
export const device = (user) => ask(`/api/device${of(user)}`);
export const doWithDevice = (user, what, more = {}) => tell("/api/device", { user, do: what, ...more });

export const signInPage = (user) => `/sign-in${of(user)}`;
export const mailPart = (id, part = "") => `/api/mail/${encodeURIComponent(id)}${part}`;

/**
 * Listens to changes for as long as the page lives. `onChange` gets each one, `onDown` is called when the hub
 * is gone, `onUp` when it is (back) there or some changes were missed: then everything may be different.
 */
export function listen({ onChange, onUp, onDown }) {
  const source = new EventSource("/api/events");
  source.addEventListener("open", onUp);
  source.addEventListener("behind", onUp);
  source.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onDown();
    // A refused connection is tried again by the browser, an answer that is no event stream is not.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen({ onChange, onUp, onDown }), 2000);
  });
}
