"""Carries out the steps of steps.json through the unmodified Python SDK, by its first client (v1) or its second (v2),
and prints each answer and event as a line of JSON: {"what": answer}.

A step is a call or a subscription of the model: {"what", "operation", "request"}; with "until" it is repeated until
the answer has none of those statuses. "$deployment" in a request is the id of the last deployment that was made.
Questions of deployments are answered: the first update of each is put off, a limit over 100 is no valid one.
"""

import json
import sys
import threading
import time

import awsiot.greengrasscoreipc
from awsiot.greengrasscoreipc import client as v1
from awsiot.greengrasscoreipc import clientv2 as v2
from awsiot.greengrasscoreipc import model

generation, steps = sys.argv[1], sys.argv[2]
client = awsiot.greengrasscoreipc.connect() if generation == "v1" else v2.GreengrassCoreIPCClientV2()
writing = threading.Lock()
last_deployment = "none"
asked = set()


def tell(what, answer):
    with writing:
        print(json.dumps({what: answer}, sort_keys=True), flush=True)


def method(prefix, operation):
    """The client's method for an operation; the SDK breaks names into words in its own way."""
    wanted = (prefix + operation).lower()
    return next(getattr(client, name) for name in dir(client) if name.replace("_", "") == wanted)


def call(operation, payload, on_event=None):
    """The answer as it was on the wire, by way of the SDK's own shapes."""
    request = getattr(model, operation + "Request")._from_payload(payload)
    if generation == "v1":
        handler = getattr(v1, operation + "StreamHandler", None)
        arguments = []
        if handler:
            arguments = [type("Handler", (handler,), {"on_stream_event": lambda self, event: on_event(event)})()]
        stream = method("new", operation)(*arguments)
        stream.activate(request).result(20)
        return stream.get_response().result(20)._to_payload()
    arguments = dict(vars(request))
    if operation.startswith("SubscribeTo"):
        response, _ = method("", operation)(**arguments, on_stream_event=on_event)
        return response._to_payload()
    return method("", operation)(**arguments)._to_payload()


def react(event):
    if pre := event.get("preUpdateEvent"):
        put_off = pre["deploymentId"] not in asked
        asked.add(pre["deploymentId"])
        answer = {"deploymentId": pre["deploymentId"], "recheckAfterMs": 200 if put_off else 0, "message": "busy"}
        tell("defer", call("DeferComponentUpdate", answer))
    if question := event.get("validateConfigurationUpdateEvent"):
        valid = question["configuration"]["limits"]["high"] <= 100
        report = {"status": "ACCEPTED" if valid else "REJECTED", "deploymentId": question["deploymentId"]}
        if not valid:
            report["message"] = "that is too high"
        tell("report", call("SendConfigurationValidityReport", {"configurationValidityReport": report}))


def take(step):
    global last_deployment
    operation = step["operation"]
    request = json.loads(json.dumps(step["request"]).replace("$deployment", last_deployment))

    def on_event(event):
        payload = event._to_payload()
        tell(step["what"] + " event", payload)
        # The first client calls back on the thread that reads its socket.
        threading.Thread(target=react, args=[payload]).start()

    try:
        while True:
            answer = call(operation, request, on_event)
            if answer.get("deployment", {}).get("status") not in step.get("until", []):
                break
            time.sleep(0.05)
        last_deployment = answer.get("deploymentId", last_deployment)
        tell(step["what"], answer)
    except model.GreengrassCoreIPCError as error:
        tell(step["what"], {"error": type(error).__name__, "message": getattr(error, "message", None)})
    except Exception as error:
        tell(step["what"], {"failure": type(error).__name__, "message": str(error)})


for step in json.load(open(steps)):
    take(step)
tell("done", True)
threading.Event().wait()
