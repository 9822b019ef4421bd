// MQTT.js, driven by lines of JSON: requests on standard input, events on standard output. The first request is the options of
// `connect`; each later one is an array of the name of a method and its arguments.

const { createInterface } = require("node:readline");
const { readFileSync } = require("node:fs");
const { connect } = require("mqtt");

const tell = (event, ...values) => process.stdout.write(JSON.stringify([event, ...values]) + "\n");
const failure = (error) => ({ message: error.message, code: error.code ?? null });

let client;
createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  if (!client) {
    const files = Object.fromEntries(["ca", "cert", "key"].map((name) => [name, readFileSync(request[name])]));
    client = connect({ ...request, ...files });
    client.on("connect", (answer) => tell("connect", answer.reasonCode ?? answer.returnCode, answer.sessionPresent));
    client.on("error", (error) => tell("error", failure(error)));
    client.on("disconnect", (packet) => tell("disconnect", packet.reasonCode));
    client.on("close", () => tell("close"));
    client.on("message", (topic, payload, packet) => tell("message", topic, payload.toString(), packet.retain, packet.properties ?? null));
    return;
  }
  const [method, ...values] = request;
  if (method === "end") client.end(false, {}, () => process.exit());
  else client[method](...values, (error, answer) => tell(method, error ? failure(error) : null, answer ?? null));
}).on("close", () => process.exit());
