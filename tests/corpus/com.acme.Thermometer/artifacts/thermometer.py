import json
import sys
import time

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
from awsiot.greengrasscoreipc.model import JsonMessage, PublishMessage

topic, interval = sys.argv[1], float(sys.argv[2])
client = GreengrassCoreIPCClientV2()
while True:
    reading = {"celsius": 21.5, "at": time.time()}
    client.publish_to_topic(
        topic=topic, publish_message=PublishMessage(json_message=JsonMessage(message=reading))
    )
    print("published", json.dumps(reading))
    time.sleep(interval)
