"""Asks for everything that the SDK of Greengrass v1 can be asked for, and answers with what it said."""

import base64
import json

import greengrasssdk

try:
    import stream_manager
except ImportError:
    stream_manager = None

CALLEE = "arn:aws:lambda:eu-west-1:123456789012:function:callee:3"
CONTEXT = base64.b64encode(b'{"custom": {"subject": "by hand"}}')

iot = greengrasssdk.client("iot-data")
functions = greengrasssdk.client("lambda")
secrets = greengrasssdk.client("secretsmanager")


def said(ask, *arguments):
    try:
        return ask(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def publish(topic, *policy):
    more = {"queueFullPolicy": policy[0]} if policy else {}
    iot.publish(topic=topic, payload=json.dumps({"on": topic}), **more)
    return "published"


def invoke(function, payload, kind="RequestResponse"):
    answer = functions.invoke(
        FunctionName=function, InvocationType=kind, Payload=json.dumps(payload).encode(), ClientContext=CONTEXT
    )
    payload = answer["Payload"]
    return [answer["FunctionError"], (payload if isinstance(payload, bytes) else payload.read()).decode()]


def handler(event, context):
    if "invoke" in event:
        return said(invoke, event["invoke"], {})
    topic = "v1/" + event["as"]
    return {
        "sdk": f"greengrasssdk {greengrasssdk.__version__}, {'with' if stream_manager else 'without'} stream_manager",
        "publish": said(publish, topic + "/to/callee"),
        "publish locally": said(publish, topic + "/local"),
        "publish to the cloud": said(publish, topic + "/cloud"),
        "publish to nobody": said(publish, topic + "/nobody"),
        "publish to a component": said(publish, topic + "/component"),
        "publish to all or none": said(publish, topic + "/mixed", "AllOrException"),
        "publish to some": said(publish, topic + "/mixed", "BestEffort"),
        "invoke": said(invoke, CALLEE, [1]),
        "invoke by name": said(invoke, "com.example.Callee", "ü"),
        "invoke what fails": said(invoke, CALLEE, "fail"),
        "invoke later": said(invoke, CALLEE, {"later": event["as"]}, "Event"),
        "invoke without a right": said(invoke, "com.example.Secluded", 1),
        "invoke nobody": said(invoke, "com.example.Nobody", 1),
        "invoke another version": said(invoke, CALLEE.replace(":3", ":4"), 1),
        "shadow": said(lambda: iot.get_thing_shadow(thingName="t")),
        "shadow update": said(lambda: iot.update_thing_shadow(thingName="t", payload=b"{}")),
        "secret": said(lambda: secrets.get_secret_value(SecretId="s")),
    }
