// The function in JavaScript: it relays the same command, with ask-sdk and the AWS SDK, and without any check.
//
// `aws-lambda-ric` polls for events with its own build of libcurl. This loop polls with `fetch` and does only what is necessary, so
// the function that Lambda runs starts later and takes more memory than the one measured here.

import { IoTDataPlaneClient, UpdateThingShadowCommand } from "@aws-sdk/client-iot-data-plane";
import Alexa from "ask-sdk-core";

const shadows = new IoTDataPlaneClient({ endpoint: process.env.AWS_ENDPOINT_URL });
const profiles = new Map();

async function profile(token) {
  if (!profiles.has(token)) {
    const answer = await fetch(`${process.env.LWA_ENDPOINT}/user/profile`, { headers: { Authorization: `Bearer ${token}` } });
    profiles.set(token, await answer.json());
  }
  return profiles.get(token);
}

const print = {
  canHandle: ({ requestEnvelope }) => Alexa.getIntentName(requestEnvelope) === "PrintIntent",
  async handle({ requestEnvelope, responseBuilder }) {
    await profile(requestEnvelope.context.System.user.accessToken);
    const now = Math.floor(Date.now() / 1000);
    const command = {
      id: requestEnvelope.request.requestId,
      name: "print",
      args: { model: Alexa.getSlotValue(requestEnvelope, "model") },
      issuedAt: now,
      expiresAt: now + 3600,
    };
    const payload = JSON.stringify({ state: { desired: { command } } });
    await shadows.send(new UpdateThingShadowCommand({ thingName: process.env.THING_NAME, payload }));
    return responseBuilder.speak("Printing.").withShouldEndSession(true).getResponse();
  },
};

const skill = Alexa.SkillBuilders.custom().addRequestHandlers(print).create();
const invocations = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
for (;;) {
  const next = await fetch(`${invocations}/next`);
  const answer = await skill.invoke(await next.json(), {});
  const id = next.headers.get("lambda-runtime-aws-request-id");
  const sent = await fetch(`${invocations}/${id}/response`, { method: "POST", body: JSON.stringify(answer) });
  await sent.arrayBuffer();
}
