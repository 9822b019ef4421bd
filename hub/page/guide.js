// The guide for a new user: the next step, which is one action in one pane. It is a pure function of the state of the page, so
// the whole sequence from "open my printer" to a print is defined in one place.

import { awaited } from "./dialog.js";
import { pendingOf } from "./pending.js";

/** The next step: its pane, its hint, and the control to press (`press`), if there is one. */
export function nextStep(home) {
  const { user, users, names, utterances, echo, mail, outgoing, device, view } = home;
  const said = (intent) => utterances.groups.find((group) => group.intent === intent)?.say[0];
  const start = utterances.start[0];
  const say = (words, hint) => ({ pane: "echo", hint, press: "say", words });

  if (echo.enabled === false) return { pane: "app", hint: "The skill is disabled. Enable it in the Alexa app.", press: "enable" };
  if (!user.linked) {
    if (echo.cards.at(-1)?.card.type !== "LinkAccount") return say(start, `Say “${start}” to the Echo.`);
    return { pane: "app", hint: "The skill does not know you yet. Link your account in the Alexa app.", press: "link" };
  }
  const bundle = mail.findLast((one) => one.attachment);
  const sent = outgoing.at(-1);
  if (view.elsewhere) return withDevice(home, say, said);
  if (view.awaited) {
    const hint = `Your ${names.device} is offline. Switch it on; or, if it is no more, start a simulated one from the mail.`;
    return { pane: "device", hint, press: null };
  }
  if (!bundle && sent?.state === "waiting") {
    const why = sent.failure ?? "the mail server has not answered yet";
    return { pane: "mailbox", hint: `The mail with the certificate could not be sent yet: ${why}. The hub tries again by itself.`, press: null };
  }
  if (!bundle && sent?.state === "failed") return say(start, `The mail with the certificate was not sent: ${sent.failure}. Mend that, and say “${start}” again.`);
  if (!bundle && sent?.state === "sent") {
    return { pane: "mailbox", hint: `The mail with the certificate has gone out to ${sent.to}: it comes to that mailbox, not to this one.`, press: null };
  }
  if (!bundle) return say(start, `You are linked. Say “${start}” again, and your ${names.device} gets an identity of its own.`);

  if (!device.running) {
    return { pane: "mailbox", hint: "A mail has come, with the certificate. Start the device with its bundle.", press: "start", mail: bundle.id };
  }
  if (device.connection === "connecting") return { pane: "device", hint: "The device connects with its certificate …", press: null };
  if (device.connection === "refused") {
    // A replaced certificate is not valid any more. The newest mail may have the new one.
    if (home.startedWith !== bundle.id) {
      return { pane: "mailbox", hint: "The device was refused. Start it with the newest bundle.", press: "start", mail: bundle.id };
    }
    const again = said("SendCertificateIntent") ?? start;
    return say(again, `The device was refused: its certificate is no longer good. Say “${again}”.`);
  }
  if (device.connection === "off") return { pane: "device", hint: "The device is offline. Connect it.", press: "connect" };
  return withDevice(home, say, said);
}

/** The next step when a device is connected. */
function withDevice(home, say, said) {
  const { user, users, utterances, echo, device, view, model } = home;
  const awaits = awaited(echo.turns.at(-1));
  if (awaits === "yes or no") return { pane: "echo", hint: "Alexa has asked you. Answer yes or no.", press: null };
  if (awaits === "value") return { pane: "echo", hint: "Alexa has asked you. Answer in the Echo.", press: null };

  if (view.simulated && device.fails) return { pane: "device", hint: "The device fails, as you wanted. Switch that off, and it is mended.", press: "mend" };
  if (model.picture !== "printer") return withAnyDevice(home, say);
  const { printer } = view;
  if (!printer) return { pane: "device", hint: "The device is connected.", press: null };
  if (printer.power === "OFF") {
    const on = utterances.groups.find((group) => group.intent === "SetPowerIntent")?.say.find((words) => / on\b/.test(words));
    return on ? say(on, `The printer is switched off. Say “${on}”.`) : { pane: "device", hint: "The printer is switched off.", press: null };
  }
  if (printer.status === "printing") {
    return { pane: "device", hint: `It prints: the ${printer.model ?? "thing"} grows layer by layer. Ask for the status, or just watch.`, press: null };
  }
  if (printer.status === "paused") {
    const resume = said("ResumeIntent");
    return resume ? say(resume, `The print is paused. Say “${resume}”.`) : { pane: "device", hint: "The print is paused.", press: null };
  }
  if (printer.progress >= 100) return theEnd(`The ${printer.model ?? "print"} is done.`, user, users);
  const print = said("PrintIntent");
  return print ? say(print, `The device is ready. Say “${print}”.`) : { pane: null, hint: "The device is ready. Say what you like.", press: null };
}

/** The next step for a device that is not the printer: an utterance for the first intents of its model. */
function withAnyDevice({ user, users, names, utterances, device, thing, view, model }, say) {
  const state = thing?.shadow?.state;
  const first = utterances.groups.find(({ intent }) => model.intents.includes(intent))?.say[0];
  if (first && !Object.keys(state?.desired ?? {}).length) return say(first, `Your ${names.device} is connected. Say “${first}”.`);
  if (state && pendingOf(state, model).size) return { pane: "device", hint: `Your ${names.device} was told, and has not done it yet.`, press: null };
  const { command } = state?.desired ?? {};
  const answer = state?.reported?.command;
  if (command?.id && answer?.id === command.id && ["refused", "failed"].includes(answer.status)) {
    return { pane: "device", hint: `Your ${names.device} has not done the last command.`, press: null };
  }
  return theEnd(`Your ${names.device} has got it.`, user, users);
}

/** The final step, which suggests another user if there is an unlinked one. */
function theEnd(done, user, users) {
  const other = users.find((one) => one.user !== user.user && !one.linked);
  return other
    ? { pane: null, hint: `${done} Now be ${other.name}: everybody has an Echo, a mailbox and a device of their own.`, press: "user", user: other.user }
    : { pane: null, hint: `${done} That is the whole story. Say what you like.`, press: null };
}

/** The progress of each pane: `done`, `now` or `later`. */
export function progressOf(home, step) {
  const { thing, model, view } = home;
  const isDone = model.picture === "printer" ? (view.printer?.progress ?? 0) >= 100 : view.isThere && Object.keys(thing?.shadow?.state.desired ?? {}).length > 0;
  const done = {
    echo: home.echo.turns.length > 0,
    app: home.user.linked,
    mailbox: home.view.isThere,
    device: isDone,
  };
  return Object.fromEntries(
    Object.entries(done).map(([pane, isDone]) => [pane, pane === step.pane ? "now" : isDone ? "done" : "later"]),
  );
}
