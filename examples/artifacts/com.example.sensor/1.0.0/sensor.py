"""Publishes readings of the machine it runs on to a local topic, once an interval.

    sensor.py probe       what this machine can measure (the recipe's install step)
    sensor.py publish     the readings, until it is stopped
    sensor.py farewell    how many were published (the recipe's shutdown step)
"""

import glob
import json
import sys
import time
from pathlib import Path

NAME = "com.example.sensor"
COUNT = Path("published")  # in the component's work directory


def load():
    return float(Path("/proc/loadavg").read_text().split()[0])


def memory_used_mb():
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines}
    return round((kilobytes["MemTotal"] - kilobytes["MemAvailable"]) / 1000, 1)


def temperature_celsius():
    """The warmest of the machine's thermometers, or None where it has none."""
    celsius = []
    for pattern in ("/sys/class/thermal/thermal_zone*/temp", "/sys/class/hwmon/hwmon*/temp*_input"):
        for path in glob.glob(pattern):
            try:
                celsius.append(int(Path(path).read_text()) / 1000)
            except (OSError, ValueError):
                pass  # a sensor that is switched off answers with an error
    return max(celsius, default=None)


def read():
    reading = {"load": load(), "memory_used_mb": memory_used_mb()}
    temperature = temperature_celsius()
    if temperature is not None:
        reading["temperature_celsius"] = temperature
    return reading


def publish():
    from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2
    from awsiot.greengrasscoreipc.model import JsonMessage, PublishMessage

    client = GreengrassCoreIPCClientV2()
    configuration = client.get_configuration(component_name=NAME, key_path=[]).value
    topic = configuration["topic"]
    interval = float(configuration["interval_seconds"])
    print(f"publishing to {topic} every {interval:g} s")

    # A failed publish ends the program: the connection is gone, and a new process gets a new one.
    sequence = int(COUNT.read_text()) if COUNT.exists() else 0
    while True:
        sequence += 1
        message = {"sequence": sequence, **read()}
        client.publish_to_topic(
            topic=topic, publish_message=PublishMessage(json_message=JsonMessage(message=message))
        )
        COUNT.write_text(str(sequence))
        print(json.dumps(message))
        time.sleep(interval)


def main():
    match sys.argv[1:]:
        case ["probe"]:
            print("this machine measures", ", ".join(read()))
        case ["publish"]:
            publish()
        case ["farewell"]:
            print("published", COUNT.read_text() if COUNT.exists() else 0, "readings so far")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
