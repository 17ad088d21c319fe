import os
import sys
import time

from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2

set_point = float(os.environ["SET_POINT"])


def on_message(event):
    celsius = event.json_message.message["celsius"]
    print("heating off" if celsius > set_point else "heating on", flush=True)


client = GreengrassCoreIPCClientV2()
client.subscribe_to_topic(topic=sys.argv[1], on_stream_event=on_message)
while True:
    time.sleep(10)
