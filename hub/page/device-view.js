// The view of a user's device: the simulated device of this page, or a device elsewhere that is connected with the same identity
// and is known from its shadow only.

/**
 * The device as it is shown. `elsewhere`: a device that is not simulated here is connected. `awaited`: such a device was
 * connected and may reconnect. A simulated device with the same identity would disconnect it, again and again.
 */
export function viewOf({ device, thing, model }) {
  const elsewhere = Boolean(thing?.elsewhere);
  const reported = thing?.shadow?.state.reported ?? {};
  // The skill itself writes `onboarded` into the reported state.
  const hasReported = Object.keys(reported).some((name) => name !== "onboarded");
  const awaited = !elsewhere && !device.running && hasReported;
  const isSeen = elsewhere || awaited;
  const connection = elsewhere ? "connected" : device.running ? device.connection : awaited ? "off" : "none";
  const printer = isSeen ? hasReported && printerOf(reported, model) : device.printer;
  return { elsewhere, awaited, isSeen, simulated: !isSeen && device.running, isThere: isSeen || device.running, connection, printer, reported };
}

/** The state of a printer from its reported properties. A missing property has its value at rest. */
function printerOf(reported, model) {
  if (model.picture !== "printer") return null;
  const at = (name) => (typeof reported[name] === "number" ? reported[name] : 0);
  const { power = "ON", status = "idle", model: what = null } = reported;
  return {
    power, status, model: what, progress: at("progress"), nozzle: at("nozzle"), bed: at("bed"),
    nozzleTarget: at("nozzleTarget"), bedTarget: at("bedTarget"), copies: 1, copy: 1,
  };
}
