// What the device still has to do: of the delta of a shadow, that which the device can bring about.

/** These are the skill's and the agent's own, and no wishes. */
const OWN = ["onboarded", "failures", "commandQueue"];
const ENDS = ["done", "refused", "failed"];

/** The names in the delta that wait for the device. `now` is in seconds since the epoch. */
export function pendingOf({ desired, reported, delta }, model, now = Date.now() / 1000) {
  const waits = (command) => !(command?.expiresAt <= now);
  const isPending = (name) => {
    if (OWN.includes(name)) return false;
    // An emptied queue stays in the shadow as an object without members.
    if (name === "commands") return Object.values(desired?.commands ?? {}).some(waits);
    if (name === "command") return isOpen(desired?.command, desired, reported) && waits(desired.command);
    // What only the device reports nobody can wish.
    return model.properties.find((property) => property.name === name)?.writtenBy !== "device";
  };
  return new Set(Object.keys(delta ?? {}).filter(isPending));
}

/** Whether the newest command has no answer yet. A device with a queue takes each command out that it has answered. */
function isOpen(command, desired, reported) {
  if (!command?.id) return false;
  if (reported?.commandQueue && desired.commands) return command.id in desired.commands;
  return reported?.command?.id !== command.id || !ENDS.includes(reported.command.status);
}
