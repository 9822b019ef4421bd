// The pane of the mailbox: the list of mails, and the open mail.

import { mailPart } from "./api.js";
import { copies, copyOf, keyed, markNext, one, setText, showTime, timeOf } from "./dom.js";

let chosen = null;
let newest = null;
let whose = null;
let redraw = () => {};

/** Connects the controls. `start(id)` starts the device with the bundle of this mail. */
export function connectMailbox({ start, draw }) {
  redraw = draw;
  one("#start").addEventListener("click", () => start(chosen));
  one("#mail-view").addEventListener("change", draw);
  copies(one("#copy-command"), () => one("#mail-command code").textContent);
}

export function drawMailbox({ user, mail, view }, step) {
  const mails = [...mail].reverse();
  if (whose !== user.user || mails[0]?.id !== newest) {
    // A new mail is opened automatically.
    whose = user.user;
    newest = mails[0]?.id ?? null;
    chosen = newest;
  }
  const open = mails.find((one) => one.id === chosen);
  one("#mail-empty").hidden = mails.length > 0;
  setText(one("#mail-count"), mails.length ? `${mails.length} ${mails.length === 1 ? "mail" : "mails"}` : "");
  keyed(one("#mails"), mails, (mail) => mail.id, makeItem, (node, mail) => {
    one("button", node).setAttribute("aria-current", String(mail === open));
  });
  one("#reader").hidden = !open;
  if (open) drawReader(open, view, step);
}

function makeItem(mail) {
  const item = copyOf("mail-template");
  setText(one(".mail-subject", item), mail.subject);
  setText(one(".mail-sender", item), mail.from.replace(/\s*<.*>$/, ""));
  showTime(one("time", item), mail.at);
  one("button", item).addEventListener("click", () => {
    chosen = mail.id;
    redraw();
  });
  return item;
}

function drawReader(mail, view, step) {
  setText(one("#mail-subject"), mail.subject);
  setText(one("#mail-from"), mail.from);
  setText(one("#mail-to"), mail.to);
  setText(one("#mail-date"), timeOf(mail.at));
  one("#mail-raw").href = mailPart(mail.id);

  const file = mail.attachment;
  one("#attachment").hidden = !file;
  if (file) {
    setText(one("#attachment-name"), file.name);
    setText(one("#attachment-size"), `${(file.size / 1000).toFixed(1)} kB`);
    one("#attachment-get").href = mailPart(mail.id, "/attachment");
    one("#attachment-get").setAttribute("aria-label", `Download ${file.name}`);
  }
  one("#start").hidden = view.elsewhere;
  one("#started").hidden = !view.elsewhere;
  markNext(one("#start"), step.press === "start" && step.mail === mail.id);

  // The command in the mail, which the user types on the device.
  const command = /^\s*(onething-device .*)$/m.exec(mail.text)?.[1].trim();
  one("#mail-command").hidden = !command;
  setText(one("#mail-command code"), command ?? "");

  const asText = one("#mail-view input:checked").value === "text";
  const frame = one("#mail-html");
  frame.hidden = asText;
  // Setting `src` loads the document, even if the address is unchanged.
  const address = mailPart(mail.id, "/html");
  if (frame.getAttribute("src") !== address) frame.setAttribute("src", address);
  one("#mail-text").hidden = !asText;
  setText(one("#mail-text"), mail.text);
}
