// The consent page, which replaces Login with Amazon in trying mode.

import * as api from "./api.js";
import { one, setText } from "./dom.js";

const user = new URLSearchParams(location.search).get("user") ?? "";
const back = `/?user=${encodeURIComponent(user)}`;

function complain(title, detail) {
  setText(one("#consent-notice"), [title, detail].filter(Boolean).join(". "));
  one("#consent-notice").hidden = false;
}

async function show() {
  const { users, invocation } = await api.users();
  const index = users.findIndex((one) => one.user === user);
  if (index < 0) return complain("Nobody of that name is a user of this hub", "Go back and choose one");
  const { name, email } = users[index];
  document.body.dataset.hue = String(index % 6);
  setText(one("#consent-name"), name);
  setText(one("#consent-asks"), `The skill “${invocation}” asks to see:`);
  setText(one("#scope-name"), name);
  setText(one("#scope-email"), email);
  one("#agree").disabled = false;
}

one("#cancel").href = back;
one("#consent").addEventListener("submit", async (event) => {
  event.preventDefault();
  one("#agree").disabled = true;
  try {
    await api.link(user);
    location.assign(back);
  } catch (problem) {
    complain(problem.message, problem.detail);
    one("#agree").disabled = false;
  }
});

show().catch((problem) => complain(problem.message, problem.detail));
