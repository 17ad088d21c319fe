import signal
import sys
import time


def stop(_number, _frame):
    print("said goodbye")
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
print("waiting")
while True:
    time.sleep(1)
