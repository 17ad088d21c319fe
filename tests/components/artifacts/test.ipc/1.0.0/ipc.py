"""Asks everything there is to ask over IPC and prints each answer as a line of JSON: {"what": answer}.

The recipe's startup step: what makes it RUNNING is its own word, and it goes on afterwards.
"""

import json
import threading

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import (
    BinaryMessage,
    JsonMessage,
    PublishMessage,
    ReceiveMode,
    ReportedLifecycleState,
)

TOPIC = "test/ipc/messages"
FAIL = "test/ipc/fail"

client = GreengrassCoreIPCClientV2()
writing = threading.Lock()


def tell(what, answer):
    with writing:
        print(json.dumps({what: answer}, sort_keys=True), flush=True)


def ask(what, call):
    """The answer, or the error's type and what it says."""
    try:
        tell(what, call())
    except Exception as error:
        tell(what, {"error": type(error).__name__, "message": getattr(error, "message", str(error))})


def configuration(*path, component=None):
    return client.get_configuration(component_name=component, key_path=list(path)).value


def details(name):
    found = client.get_component_details(component_name=name).component_details
    return [found.component_name, found.version, found.state]


def listed():
    return sorted(component.component_name for component in client.list_components().components)


def subscribe(what, mode):
    def on_message(event):
        if event.json_message:
            message, context = event.json_message.message, event.json_message.context
        else:
            message, context = event.binary_message.message.decode(), event.binary_message.context
        tell(what, [context.topic, message])

    client.subscribe_to_topic(topic=TOPIC, receive_mode=mode, on_stream_event=on_message)


def publish(topic, **message):
    return client.publish_to_topic(topic=topic, publish_message=PublishMessage(**message)) and "published"


failed = threading.Event()

ask("scalar", lambda: configuration("limits", "high"))
ask("list", lambda: configuration("names"))
ask("map", lambda: configuration("limits"))
ask("other case", lambda: configuration("LIMITS", "High"))
ask("missing", lambda: configuration("limits", "deep"))
ask("of another", lambda: configuration("absent", component="test.absent"))
ask("whole", lambda: sorted(configuration()))
ask("components", listed)
ask("details", lambda: details("test.ipc"))
ask("denied details", lambda: details("test.ticker"))
ask("denied publish", lambda: publish("elsewhere", json_message=JsonMessage(message={})))
ask("denied subscribe", lambda: client.subscribe_to_topic(topic="elsewhere/#", on_stream_event=print))
ask("not provided", lambda: client.get_secret_value(secret_id="test.secret"))

subscribe("all", ReceiveMode.RECEIVE_ALL_MESSAGES)
subscribe("others", ReceiveMode.RECEIVE_MESSAGES_FROM_OTHERS)
client.subscribe_to_topic(topic=FAIL, on_stream_event=lambda event: failed.set())
ask("publish", lambda: publish(TOPIC, json_message=JsonMessage(message={"from": "me"})))
ask("publish bytes", lambda: publish(TOPIC, binary_message=BinaryMessage(message=b"bytes of mine")))

client.update_state(state=ReportedLifecycleState.RUNNING)
failed.wait()
client.update_state(state=ReportedLifecycleState.ERRORED)
threading.Event().wait()
