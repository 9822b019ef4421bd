// The pending changes of a device: the part of the delta of its shadow that the device can apply.

/** Members of the shadow that belong to the skill and the agent, and are not desired by the owner. */
const OWN = ["onboarded", "failures", "commandQueue"];
const ENDS = ["done", "refused", "failed"];

/** The names in the delta that wait for the device. `now` is a Unix time in seconds. */
export function pendingOf({ desired, reported, delta }, model, now = Date.now() / 1000) {
  const waits = (command) => !(command?.expiresAt <= now);
  const isPending = (name) => {
    if (OWN.includes(name)) return false;
    // An empty queue stays in the shadow as an object without members.
    if (name === "commands") return Object.values(desired?.commands ?? {}).some(waits);
    if (name === "command") return isOpen(desired?.command, desired, reported) && waits(desired.command);
    // A property that only the device reports cannot be desired.
    return model.properties.find((property) => property.name === name)?.writtenBy !== "device";
  };
  return new Set(Object.keys(delta ?? {}).filter(isPending));
}

/** Whether the newest command has no answer yet. A device with a queue removes each answered command from the queue. */
function isOpen(command, desired, reported) {
  if (!command?.id) return false;
  if (reported?.commandQueue && desired.commands) return command.id in desired.commands;
  return reported?.command?.id !== command.id || !ENDS.includes(reported.command.status);
}
