"""boto3 over a Unix socket, whose owner says who may call: keys are of no account."""
import json, socket, sys

import boto3
from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool


class UnixConnection(AWSHTTPConnection):
    def _new_conn(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(sys.argv[1])
        return connection


AWSHTTPConnectionPool.ConnectionCls = UnixConnection
l = boto3.client("lambda", endpoint_url="http://localhost", region_name="eu-west-1", aws_access_key_id="any",
    aws_secret_access_key="any")
answer = l.invoke(FunctionName="com.example.Echo", Payload=json.dumps(sys.argv[2]).encode())
print(json.loads(answer["Payload"].read()), end="")
