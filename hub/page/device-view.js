// What there is to be seen of a user's device: the simulated one of this page, or one elsewhere that is connected with the same
// identity, of which its shadow tells.

/**
 * The device as it is shown. `elsewhere`: a device that is not simulated here is connected. `awaited`: one was, and may come
 * again. A simulated device beside one of these would take its connection away, again and again.
 */
export function viewOf({ device, thing, model }) {
  const elsewhere = Boolean(thing?.elsewhere);
  const reported = thing?.shadow?.state.reported ?? {};
  // The skill itself leaves a mark in what is reported.
  const hasReported = Object.keys(reported).some((name) => name !== "onboarded");
  const awaited = !elsewhere && !device.running && hasReported;
  const isSeen = elsewhere || awaited;
  const connection = elsewhere ? "connected" : device.running ? device.connection : awaited ? "off" : "none";
  const printer = isSeen ? hasReported && printerOf(reported, model) : device.printer;
  return { elsewhere, awaited, isSeen, simulated: !isSeen && device.running, isThere: isSeen || device.running, connection, printer, reported };
}

/** The state of a printer, out of what it reports. What it does not report is as at rest. */
function printerOf(reported, model) {
  if (model.picture !== "printer") return null;
  const at = (name) => (typeof reported[name] === "number" ? reported[name] : 0);
  const { power = "ON", status = "idle", model: what = null } = reported;
  return {
    power, status, model: what, progress: at("progress"), nozzle: at("nozzle"), bed: at("bed"),
    nozzleTarget: at("nozzleTarget"), bedTarget: at("bedTarget"), copies: 1, copy: 1,
  };
}
