import socket
import sys
import time

# A program that is made for the field does not give up when the stream manager is not there yet.
for _ in range(int(sys.argv[1])):
    try:
        socket.create_connection(("127.0.0.1", 8088), timeout=1).close()
        print("connected to the stream manager")
        break
    except OSError as error:
        print("no stream manager yet:", error)
while True:
    time.sleep(60)
