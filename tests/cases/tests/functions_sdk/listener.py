"""A component that hears a local topic."""

import threading

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2


def hear(event):
    print("heard", event.binary_message.context.topic, event.binary_message.message.decode(), flush=True)


GreengrassCoreIPCClientV2().subscribe_to_topic(topic="v1/+/local", on_stream_event=hear)
print("listening", flush=True)
threading.Event().wait()
