"""Subscribes to the sensor's readings and publishes an alarm for each that is over its threshold."""

import json
import sys
import threading

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import JsonMessage, PublishMessage

NAME = "com.example.alarm"
READINGS = "sensors/host"
ALARMS = "alarms/host"


def main():
    client = GreengrassCoreIPCClientV2()
    thresholds = client.get_configuration(component_name=NAME, key_path=["thresholds"]).value
    print("thresholds:", json.dumps(thresholds))

    closed = threading.Event()
    failures = []

    def on_reading(event):
        try:
            reading = event.json_message.message
            for quantity, threshold in thresholds.items():
                if reading.get(quantity, threshold) > threshold:
                    raise_alarm(reading["sequence"], quantity, reading[quantity], threshold)
        except Exception as error:  # the SDK's thread would swallow it
            failures.append(error)
            closed.set()

    def raise_alarm(sequence, quantity, value, threshold):
        alarm = {"sequence": sequence, "quantity": quantity, "value": value, "threshold": threshold}
        client.publish_to_topic(
            topic=ALARMS, publish_message=PublishMessage(json_message=JsonMessage(message=alarm))
        )
        print(json.dumps(alarm))

    client.subscribe_to_topic(
        topic=READINGS,
        on_stream_event=on_reading,
        on_stream_error=lambda error: True,
        on_stream_closed=closed.set,
    )
    print(f"watching {READINGS}")

    # The SDK does not connect again: a new process gets a new connection.
    closed.wait()
    sys.exit(f"the subscription ended: {failures or 'connection closed'}")


if __name__ == "__main__":
    main()
