// Who is at home: the local users, and one more on demand. Each has a colour that runs through their panes.

import { copyOf, keyed, markNext, one, setText } from "./dom.js";

const HUES = 6;

/** Connects the controls. `choose(user)` switches, `add(name)` makes one more and says whether it worked. */
export function connectUsers({ choose, add }) {
  one("#users").addEventListener("change", (event) => choose(event.target.value));
  const dialog = one("#new-user");
  const name = one("#new-user-name");
  one("#add-user").addEventListener("click", () => {
    name.value = "";
    dialog.showModal();
  });
  one("#new-user-cancel").addEventListener("click", () => dialog.close());
  one("#new-user-form").addEventListener("submit", () => add(name.value.trim()));
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
}

function makeUser(someone) {
  const node = copyOf("user-template");
  one("input", node).value = someone.user;
  return node;
}
