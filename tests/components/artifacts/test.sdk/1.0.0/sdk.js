// Carries out the steps of steps.json through the unmodified JavaScript SDK and prints each answer and event as a
// line of JSON: {"what": answer}. See sdk.py beside this file: it is the same in another language.

"use strict";

const { readFileSync } = require("fs");
const { greengrasscoreipc } = require("aws-iot-device-sdk-v2");

const steps = process.argv[2];
const asked = new Set();
let client;
let lastDeployment = "none";

function tell(what, answer) {
  console.log(JSON.stringify({ [what]: answer }));
}

/** Name of the client's method for an operation. */
function method(operation) {
  return operation[0].toLowerCase() + operation.slice(1);
}

async function call(operation, payload, onEvent) {
  const request = { ...payload };
  if (request.timestamp !== undefined) {
    request.timestamp = new Date(request.timestamp * 1000);
  }
  for (const member of ["rootComponentVersionsToAdd", "componentToConfiguration"]) {
    if (request[member]) {
      request[member] = new Map(Object.entries(request[member]));
    }
  }
  if (!operation.startsWith("SubscribeTo")) {
    return client[method(operation)](request);
  }
  const stream = client[method(operation)](request);
  stream.on("message", onEvent);
  return stream.activate();
}

async function react(event) {
  if (event.preUpdateEvent) {
    const deploymentId = event.preUpdateEvent.deploymentId;
    const recheckAfterMs = asked.has(deploymentId) ? 0 : 200;
    asked.add(deploymentId);
    tell("defer", await call("DeferComponentUpdate", { deploymentId, recheckAfterMs, message: "busy" }));
  }
  const question = event.validateConfigurationUpdateEvent;
  if (question) {
    const valid = question.configuration.limits.high <= 100;
    const report = { status: valid ? "ACCEPTED" : "REJECTED", deploymentId: question.deploymentId };
    if (!valid) {
      report.message = "that is too high";
    }
    tell("report", await call("SendConfigurationValidityReport", { configurationValidityReport: report }));
  }
}

async function take(step) {
  const request = JSON.parse(JSON.stringify(step.request).replaceAll("$deployment", lastDeployment));
  const onEvent = (event) => {
    tell(step.what + " event", event);
    react(event);
  };
  try {
    let answer;
    for (;;) {
      answer = await call(step.operation, request, onEvent);
      if (!(step.until ?? []).includes(answer.deployment?.status)) {
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    lastDeployment = answer.deploymentId ?? lastDeployment;
    tell(step.what, answer);
  } catch (error) {
    // The SDK hands over the members of a modelled error, not which one it is.
    const modelled = error.serviceError;
    tell(step.what, modelled ? { message: modelled.message } : { failure: String(error), message: error.message });
  }
}

async function main() {
  client = greengrasscoreipc.createClient();
  await client.connect();
  for (const step of JSON.parse(readFileSync(steps, "utf8"))) {
    await take(step);
  }
  tell("done", true);
  // The subscriptions keep the connection, and the connection keeps the process.
  setInterval(() => {}, 1 << 30);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
