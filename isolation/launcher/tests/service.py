"""Takes names on a bus and answers every call with "here". Arguments: the bus's socket, names."""

import re
import socket
import struct
import sys


def string(text):
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


def message(kind, serial, fields, body=b""):
    packed = b""
    for code, signature, value in fields:
        packed += b"\0" * (-len(packed) % 8)
        packed += bytes([code, len(signature)]) + signature.encode() + b"\0"
        if signature == "g":
            packed += bytes([len(value)]) + value.encode() + b"\0"
        else:
            packed += struct.pack("<I", value) if signature == "u" else string(value)
    head = struct.pack("<cBBBIII", b"l", kind, 0, 1, len(body), serial, len(packed))
    return head + packed + b"\0" * (-len(packed) % 8) + body


def call(member, serial, signature=(), body=b""):
    own = "org.freedesktop.DBus"
    fields = [(1, "o", "/org/freedesktop/DBus"), (6, "s", own), (2, "s", own), (3, "s", member)]
    return message(1, serial, fields + list(signature), body)


bus = socket.socket(socket.AF_UNIX)
bus.connect(sys.argv[1])
bus.sendall(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
stream = bus.makefile("rb")
while not stream.readline().startswith(b"OK"):
    pass
bus.sendall(call("Hello", 1))
for serial, name in enumerate(sys.argv[2:], 2):
    bus.sendall(call("RequestName", serial, [(8, "g", "su")], string(name) + b"\0" * (-len(string(name)) % 4) + struct.pack("<I", 0)))
waiting = len(sys.argv) - 1
serial = 100
while True:
    _, kind, _, _, length, theirs, fields = struct.unpack("<cBBBIII", stream.read(16))
    header = stream.read(fields + -fields % 8)
    stream.read(length)
    if kind == 2:
        waiting -= 1
        if waiting == 0:
            print("ready", flush=True)
    elif kind == 1:
        serial += 1
        caller = re.findall(rb":1\.\d+", header)[-1].decode()
        bus.sendall(message(2, serial, [(5, "u", theirs), (6, "s", caller), (8, "g", "s")], string("here")))
