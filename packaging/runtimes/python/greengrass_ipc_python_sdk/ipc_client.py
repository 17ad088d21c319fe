"""Invokes functions with Lambda's own HTTP API, which the device answers where it answers the Runtime API."""

import http.client
import itertools
import json
import os
import threading
from urllib.parse import quote


class IPCException(Exception):
    """The device refused a request, or it could not be reached."""


class WorkResult:
    def __init__(self, payload, func_err):
        self.payload = payload
        # "Unhandled"; of a function that answered, empty.
        self.func_err = func_err


class IPCClient:
    def __init__(self, endpoint="localhost", port=None):
        """The arguments are those of Greengrass V1. Where the device is, it says itself."""
        self._host = os.environ["AWS_LAMBDA_RUNTIME_API"]
        self._ids = itertools.count(1)
        self._waiting = {}
        self._lock = threading.Lock()

    def post_work(self, function_arn, payload, client_context, invocation_type="RequestResponse"):
        """Sends the request; its id. An event is queued when this returns."""
        connection = http.client.HTTPConnection(self._host)
        headers = {"X-Amz-Invocation-Type": invocation_type}
        if client_context:
            headers["X-Amz-Client-Context"] = _text(client_context)
        path = f"/2015-03-31/functions/{quote(function_arn, safe='')}/invocations"
        body = payload.encode() if isinstance(payload, str) else payload
        try:
            connection.request("POST", path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise IPCException(f"the device does not answer: {error}") from error
        request_id = str(next(self._ids))
        if invocation_type == "RequestResponse":
            with self._lock:
                self._waiting[request_id] = connection
        else:
            _result(connection)
        return request_id

    def get_work_result(self, function_arn, invocation_id):
        """Waits for the answer to a request."""
        with self._lock:
            connection = self._waiting.pop(invocation_id, None)
        if connection is None:
            raise IPCException(f"nothing was asked of {function_arn} under the id {invocation_id}")
        return _result(connection)


def _result(connection):
    try:
        response = connection.getresponse()
        payload = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise IPCException(f"the device does not answer: {error}") from error
    finally:
        connection.close()
    if response.status >= 300:
        raise IPCException(_message(payload, response))
    return WorkResult(payload, response.headers.get("X-Amz-Function-Error", ""))


def _message(payload, response):
    try:
        return json.loads(payload)["Message"]
    except (ValueError, LookupError, TypeError):
        return f"HTTP status {response.status} {response.reason}"


def _text(text):
    return text.decode() if isinstance(text, bytes) else text
