// The local users, and the dialog to add one. Each user has a colour, which is used in all panes.

import { copyOf, keyed, markNext, one, setText } from "./dom.js";

const HUES = 6;

/** Connects the controls. `choose(user)` switches; `add(name)`, `remove(user)` and `reset()` throw a problem if they fail. */
export function connectUsers({ choose, add, remove, reset }) {
  one("#users").addEventListener("change", (event) => choose(event.target.value));
  const dialog = one("#new-user");
  const name = one("#new-user-name");
  one("#add-user").addEventListener("click", () => {
    complain(null);
    dialog.showModal();
  });
  one("#new-user-cancel").addEventListener("click", () => dialog.close());
  // The input is kept until the request has succeeded.
  const attempt = async (work) => {
    complain(null);
    try {
      await work();
      return true;
    } catch (problem) {
      complain(problem);
      return false;
    }
  };
  one("#new-user-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (await attempt(() => add(name.value.trim()))) {
      name.value = "";
      dialog.close();
    }
  });
  one("#user-list").addEventListener("click", ({ target }) => {
    const user = target.closest("button")?.dataset.user;
    if (user) attempt(() => remove(user));
  });
  const sure = one("#reset-sure");
  one("#reset").addEventListener("click", () => (sure.hidden = !sure.hidden));
  sure.addEventListener("click", () => attempt(reset));
}

function complain(problem) {
  const line = one("#new-user-problem");
  line.hidden = problem === null;
  setText(line, problem ? `${problem.message}. ${problem.detail ?? ""}` : "");
}

export function drawUsers({ users, user }, step) {
  document.body.dataset.hue = String(users.findIndex((one) => one.user === user.user) % HUES);
  keyed(one("#users"), users, (someone) => someone.user, makeUser, (node, someone, index) => {
    const input = one("input", node);
    input.checked = someone.user === user.user;
    node.dataset.hue = String(index % HUES);
    setText(one(".user-name", node), someone.name);
    markNext(input, step.press === "user" && step.user === someone.user);
  });
  keyed(one("#user-list"), users, (someone) => someone.user, makeListed, (node) => {
    one("button", node).disabled = users.length === 1;
  });
}

function makeListed(someone) {
  const node = document.createElement("li");
  const name = document.createElement("span");
  name.textContent = someone.name;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.dataset.user = someone.user;
  button.textContent = "Remove";
  button.setAttribute("aria-label", `Remove ${someone.name}`);
  node.append(name, button);
  return node;
}

function makeUser(someone) {
  const node = copyOf("user-template");
  one("input", node).value = someone.user;
  return node;
}
