// The AWS IoT Device SDK for JavaScript, driven by lines of JSON: requests on standard input, events on standard output. The
// first request is the options of `thingShadow`; each later one is an array of the name of a method and its arguments.

const { createInterface } = require("node:readline");
const { thingShadow } = require("aws-iot-device-sdk");

const tell = (event, ...values) => process.stdout.write(JSON.stringify([event, ...values.map((value) => value?.message ?? value ?? null)]) + "\n");

let things;
createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  if (!things) {
    things = thingShadow(request);
    for (const event of ["connect", "close", "error", "status", "delta", "foreignStateChange", "timeout"]) {
      things.on(event, (...values) => tell(event, ...values));
    }
    return;
  }
  const [method, ...values] = request;
  const answer = (...answers) => tell(method, ...answers);
  if (method === "register") things.register(...values, answer);
  else if (method === "end") things.end(false, () => process.exit());
  else answer(things[method](...values));
}).on("close", () => process.exit());
