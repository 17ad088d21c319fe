#!/usr/bin/python3
"""A custom runtime that does what each event says, none of it well."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time

ADDRESS = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/"
HOST, PORT = ADDRESS.split(":")
api = http.client.HTTPConnection(ADDRESS)


def post(path, body):
    """The status of the answer."""
    api.request("POST", BASE + path, body)
    answer = api.getresponse()
    answer.read()
    return answer.status


def connect():
    return socket.create_connection((HOST, int(PORT)))


def exits(_):
    print("its last words", flush=True)
    os._exit(3)


def is_killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(_):
    os._exit(0)


def hangs(_):
    threading.Event().wait()


def answers_another(_):
    status = post("invocation/8c7f2b66-0000-4000-8000-000000000000/response", "1")
    return {"status": status}


def answers_twice(request):
    first = post(f"invocation/{request}/response", '"first"')
    second = post(f"invocation/{request}/response", '"second"')
    print(f"first {first}, second {second}", flush=True)


def fails(request):
    error = {"errorType": "My.Error", "errorMessage": "it does not want to"}
    post(f"invocation/{request}/error", json.dumps(error))


def sends_garbage(_):
    with connect() as raw:
        raw.sendall(b"\0\xff\xfe PLEASE / HTTQ\r\n\r\n")
        # Whatever it says, it hangs up.
        while raw.recv(4096):
            pass
    return "hung up"


def drips(_):
    """Connections that begin a request and never end it."""
    raw = [connect() for _ in range(4)]
    for one in raw:
        one.sendall(b"P")
    kept.extend(raw)
    return "dripping"


def drips_its_answer(request):
    raw = connect()
    head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
    raw.sendall(head.encode())
    while True:
        raw.sendall(b"1")
        time.sleep(0.2)


def cuts_its_answer(request):
    raw = connect()
    head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
    raw.sendall(head.encode() + b'"the beg')
    os._exit(5)


def answers_a_gibibyte(request):
    size, piece = 1 << 30, bytes(1 << 20)
    raw = connect()
    head = f"POST {BASE}invocation/{request}/response HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    raw.sendall(head.encode())
    for _ in range(size // len(piece)):
        raw.sendall(piece)
    print("all of it is sent", flush=True)


def eats_memory(_):
    while True:
        kept.append(b"\1" * (16 << 20))


def forks(_):
    """Processes until there are no more."""
    children = []
    try:
        while len(children) < 5000:
            children.append(os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}))
    except OSError as error:
        return {"limited": len(children) < 5000, "error": error.errno}
    return {"limited": False}


def fills_its_disk(_):
    written = 0
    try:
        with open("/tmp/full", "wb", buffering=0) as file:
            while True:
                written += file.write(bytes(1 << 20))
    except OSError as error:
        return {"errno": error.errno, "written": written}


def counts(event):
    """Takes its time, so that others wait behind it."""
    time.sleep(0.05)
    print(f"counted {event['number']}", flush=True)
    return event["number"]


def echo(_):
    return "well"


kept = []
DEEDS = {
    deed.__name__: deed
    for deed in (
        exits, is_killed, leaves, hangs, answers_another, sends_garbage, drips, eats_memory, forks, fills_its_disk, echo,
    )
}
ANSWERS_ITSELF = {
    deed.__name__: deed for deed in (answers_twice, fails, drips_its_answer, cuts_its_answer, answers_a_gibibyte)
}

match os.environ.get("BEGINS"):
    case "with an error":
        post("init/error", '{"errorType": "My.InitError", "errorMessage": "nothing works"}')
        sys.exit(1)
    case "with an exit":
        sys.exit(7)
    case "never":
        hangs(None)

while True:
    api.request("GET", BASE + "invocation/next")
    given = api.getresponse()
    event = json.loads(given.read())
    request = given.headers["Lambda-Runtime-Aws-Request-Id"]
    if event["do"] in ANSWERS_ITSELF:
        ANSWERS_ITSELF[event["do"]](request)
        continue
    answer = counts(event) if event["do"] == "counts" else DEEDS[event["do"]](event)
    post(f"invocation/{request}/response", json.dumps(answer))
