// The HTTP interface of the hub, and its server-sent events.

/** A failed request: a title and the cause. */
export class Problem extends Error {
  constructor(title, detail) {
    super(title);
    this.detail = detail ?? "";
  }
}

const TROUBLE = "The hub does not answer";

/** The detail of a problem document as a sentence: with a capital letter and a full stop. */
const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch {
    throw new Problem(TROUBLE, "Is it still running? The page goes on by itself when it is back.");
  }
  if (answer.status === 204) return null;
  // A proxy, or a hub that is about to end, may send a body that is not JSON.
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
 * Receives the events of the hub while the page is open. `onChange` is called for each event, `onDown` when the
 * connection is lost, and `onUp` when the connection is restored or events were lost: all state may have changed then.
 */
export function listen({ onChange, onUp, onDown }) {
  const source = new EventSource("/api/events");
  source.addEventListener("open", onUp);
  source.addEventListener("behind", onUp);
  source.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onDown();
    // The browser repeats a failed connection by itself, but not after a response that is not an event stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen({ onChange, onUp, onDown }), 2000);
  });
}
