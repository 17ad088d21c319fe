"""Says of each reading of the sensor whether the machine is calm, busy or strained: inference with ONNX Runtime."""

import json
import os

import onnxruntime
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import JsonMessage, PublishMessage

CLASSES_TOPIC = "classes/host"


def load(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # Weights stay where they are mapped, read-only and shared by all instances: nothing makes a copy to run faster.
    options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


# Once for each instance, before its first event.
model = load(os.environ["MODEL"])
classes = model.get_modelmeta().custom_metadata_map["classes"].split(",")
client = GreengrassCoreIPCClientV2()


def handler(reading, context):
    [[*scores]] = model.run(None, {"reading": [[reading["load"], reading["memory_used_mb"]]]})[0].tolist()
    best = max(range(len(classes)), key=scores.__getitem__)
    found = {"sequence": reading.get("sequence"), "class": classes[best], "score": round(scores[best], 3)}
    message = PublishMessage(json_message=JsonMessage(message=found))
    client.publish_to_topic(topic=CLASSES_TOPIC, publish_message=message)
    print(json.dumps(found))
    return found
