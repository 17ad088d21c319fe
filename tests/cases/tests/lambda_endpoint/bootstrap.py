#!/usr/bin/python3
"""A custom runtime: answers with what it was asked, or fails where that is "fail". What is slow takes two seconds."""
import http.client, json, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    work = api.getresponse()
    event = json.loads(work.read())
    id = work.headers["Lambda-Runtime-Aws-Request-Id"]
    print("got", str(event)[:40], flush=True)
    if event == "fail":
        api.request("POST", base + id + "/error", json.dumps({"errorType": "Oops", "errorMessage": "no"}))
    elif event == "context":
        api.request("POST", base + id + "/response", work.headers["Lambda-Runtime-Client-Context"])
    else:
        time.sleep(2 if str(event).startswith("slow") else 0)
        api.request("POST", base + id + "/response", json.dumps(event))
    api.getresponse().read()
