// What the hub can be asked over HTTP, and what it tells by itself.

/** An answer that was not a success, in the words of the hub's problem document. */
export class Problem extends Error {
  constructor(title, detail) {
    super(title);
    this.detail = detail ?? "";
  }
}

const TROUBLE = "The hub does not answer";

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
  if (!answer.ok) throw new Problem(body?.title ?? `${TROUBLE} as it should (${answer.status})`, body?.detail);
  return body;
}

const tell = (path, body) =>
  ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

const of = (user) => `?user=${encodeURIComponent(user)}`;

export const users = () => ask("/api/users");
export const addUser = (name) => tell("/api/users", { name });
export const utterances = () => ask("/api/utterances");
export const echo = (user) => ask(`/api/echo${of(user)}`);
export const say = (user, words) => tell("/echo", { user, say: words });
export const link = (user) => tell("/link", { user });
export const unlink = (user) => tell("/unlink", { user });
export const mail = (user) => ask(`/api/mail${of(user)}`);
export const things = (user) => ask(`/api/things${of(user)}`);
export const device = (user) => ask(`/api/device${of(user)}`);
export const doWithDevice = (user, what, more = {}) => tell("/api/device", { user, do: what, ...more });

export const signInPage = (user) => `/sign-in${of(user)}`;
export const mailPart = (id, part = "") => `/api/mail/${encodeURIComponent(id)}${part}`;

/**
 * Listens to changes for as long as the page lives. `onChange` gets each one, `onDown` is called when the hub
 * is gone, `onUp` when it is (back) there: then everything may have changed.
 */
export function listen({ onChange, onUp, onDown }) {
  const source = new EventSource("/api/events");
  source.addEventListener("open", onUp);
  source.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onDown();
    // A refused connection is tried again by the browser, an answer that is no event stream is not.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen({ onChange, onUp, onDown }), 2000);
  });
}
