"""boto3 as it comes, with keys of the endpoint's own."""
import base64, json, sys, threading
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def client(key="KEY", secret="secret"):
    return boto3.client("lambda", endpoint_url=sys.argv[1], region_name="eu-west-1", aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}, read_timeout=60))

def refused(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"{arguments} was not refused")

name, l = "com.example.Echo", client()
answer = l.invoke(FunctionName=name, Payload='{"a": [1, "ü"]}'.encode(), LogType="Tail")
assert json.loads(answer["Payload"].read()) == {"a": [1, "ü"]}, answer
assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] and "FunctionError" not in answer, answer
assert b"START RequestId" in base64.b64decode(answer["LogResult"]), answer
arn = l.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
context = base64.b64encode(b'{"custom": {"k": "v"}}').decode()
answer = l.invoke(FunctionName=arn, Qualifier=answer["ExecutedVersion"], Payload=b'"context"', ClientContext=context)
assert json.loads(answer["Payload"].read())["custom"] == {"k": "v"}

answer = l.invoke(FunctionName=name, Payload=b'"fail"')
assert answer["FunctionError"] == "Unhandled", answer
assert json.loads(answer["Payload"].read())["errorType"] == "Oops"
assert l.invoke(FunctionName=name, InvocationType="Event", Payload=b'"later"')["StatusCode"] == 202
assert l.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
large = json.dumps("x" * 5_000_000).encode()
assert l.invoke(FunctionName=name, Payload=large)["Payload"].read() == large

events = list(l.invoke_with_response_stream(FunctionName=name, Payload=b'"s"')["EventStream"])
assert events[0]["PayloadChunk"]["Payload"] == b'"s"', events
assert not events[-1]["InvokeComplete"].get("ErrorCode"), events
events = list(l.invoke_with_response_stream(FunctionName=name, Payload=b'"fail"')["EventStream"])
assert events[-1]["InvokeComplete"]["ErrorCode"] == "Oops", events

names = [f["FunctionName"] for page in l.get_paginator("list_functions").paginate() for f in page["Functions"]]
assert names == [name], names
assert l.get_function_configuration(FunctionName=name)["Runtime"] == "provided.al2023"
version = l.get_function(FunctionName=f"{name}:$LATEST")["Configuration"]["Version"]
assert [v["Version"] for v in l.list_versions_by_function(FunctionName=arn)["Versions"]] == ["$LATEST", version]
assert l.list_aliases(FunctionName=name)["Aliases"] == []
partial = arn.split(":", 4)[4]
assert l.get_function_configuration(FunctionName=partial, Qualifier=version)["FunctionArn"] == f"{arn}:{version}"

assert refused(l.invoke, FunctionName="com.example.Nobody") == ("ResourceNotFoundException", 404)
assert refused(l.invoke, FunctionName=name, Qualifier="99") == ("ResourceNotFoundException", 404)
assert refused(l.invoke, FunctionName=f"{name}:1", Qualifier="2") == ("InvalidParameterValueException", 400)
assert refused(l.get_alias, FunctionName=name, Name="prod") == ("ResourceNotFoundException", 404)
assert refused(l.delete_function, FunctionName=name) == ("UnknownOperationException", 404)
assert refused(l.invoke, FunctionName=name, Payload=b"{") == ("InvalidRequestContentException", 400)
try:
    l.invoke(FunctionName=name, Payload=b" " * 6_300_000)
    raise AssertionError("it is too large")
except l.exceptions.RequestTooLargeException as error:
    assert "6291456" in str(error), error
# All that waits and runs may have 8 MiB.
def run_slow():
    try:
        l.invoke(FunctionName=name, Payload=json.dumps("slow" + "x" * 4_000_000))
    except l.exceptions.TooManyRequestsException:
        run_slow()

slow = threading.Thread(target=run_slow)
slow.start()
throttled = None
while slow.is_alive() and throttled is None:
    try:
        l.invoke(FunctionName=name, Payload=large)
    except l.exceptions.TooManyRequestsException as error:
        throttled = error.response
assert throttled["ResponseMetadata"]["HTTPStatusCode"] == 429, throttled
assert "function.invocations-max-size" in throttled["Error"]["Message"], throttled
slow.join()
assert refused(l.invoke, FunctionName=name, ClientContext="%%%") == ("InvalidRequestContentException", 400)
assert refused(client(secret="other").list_functions) == ("InvalidSignatureException", 403)
assert refused(client(key="OTHER").list_functions) == ("UnrecognizedClientException", 403)
narrow = client(key="NARROW")
assert refused(narrow.invoke, FunctionName=name) == ("AccessDeniedException", 403)
assert narrow.list_functions()["Functions"] == []
