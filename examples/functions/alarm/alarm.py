"""Publishes an alarm for each quantity of a reading that is over its threshold."""

import json

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import JsonMessage, PublishMessage

NAME = "com.example.alarm"
ALARMS = "alarms/host"

# Once for each instance, before its first event.
client = GreengrassCoreIPCClientV2()
thresholds = client.get_configuration(component_name=NAME, key_path=["thresholds"]).value
print("thresholds:", json.dumps(thresholds))


def handler(reading, context):
    over = [name for name, threshold in thresholds.items() if reading.get(name, threshold) > threshold]
    for quantity in over:
        raise_alarm(reading["sequence"], quantity, reading[quantity], thresholds[quantity])
    return {"alarms": len(over)}


def raise_alarm(sequence, quantity, value, threshold):
    alarm = {"sequence": sequence, "quantity": quantity, "value": value, "threshold": threshold}
    message = PublishMessage(json_message=JsonMessage(message=alarm))
    client.publish_to_topic(topic=ALARMS, publish_message=message)
    print(json.dumps(alarm))
