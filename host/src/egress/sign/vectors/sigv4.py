#!/usr/bin/env python3
"""Makes sigv4.json: requests that botocore, AWS's own Python library, has signed.

    pip install botocore && ./sigv4.py > sigv4.json

The key is the made-up one of AWS's documentation. The tests sign the same requests and compare.
"""

import datetime
import hashlib
import json
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
SESSION = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGd"
MOMENT = datetime.datetime(2015, 8, 30, 12, 36, 0, tzinfo=datetime.timezone.utc)

# name, method, URL, headers, body (None: none; False: not known), service, region, session token
CASES = [
    ("vanilla", "GET", "https://example.amazonaws.com/", {}, None, "service", "us-east-1", None),
    ("post", "POST", "https://example.amazonaws.com/", {}, None, "service", "us-east-1", None),
    ("query in order", "GET", "https://example.amazonaws.com/?Param2=value2&Param1=value1&Param1=Value0", {}, None, "service", "us-east-1", None),
    ("query encoded", "GET", "https://example.amazonaws.com/?filter=a%20b%2Fc%2Bd~&%E1%88%B4=bar&empty=&bare", {}, None, "service", "us-east-1", None),
    ("query with plus", "GET", "https://example.amazonaws.com/?q=a%2Bb", {}, None, "service", "us-east-1", None),
    ("path encoded", "GET", "https://example.amazonaws.com/a%20b/%E1%88%B4/c~d", {}, None, "service", "us-east-1", None),
    ("path of an ARN", "GET", "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A1%3Afunction%3Af", {}, None, "lambda", "eu-central-1", None),
    ("form", "POST", "https://sqs.eu-central-1.amazonaws.com/", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, "Action=ListQueues&Version=2012-11-05", "sqs", "eu-central-1", None),
    ("json", "POST", "https://dynamodb.us-west-2.amazonaws.com/", {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}, "{}", "dynamodb", "us-west-2", None),
    ("session token", "GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", {}, None, "iam", "us-east-1", SESSION),
    ("gateway", "DELETE", "https://abc123.execute-api.us-east-1.amazonaws.com/prod/pets/5", {}, None, "execute-api", "us-east-1", None),
    ("port", "GET", "http://localhost:4566/x", {}, None, "service", "us-east-1", None),
    ("s3 get", "GET", "https://bucket.s3.eu-west-1.amazonaws.com/a%20b//c/..%2Fd.txt?versionId=1", {}, None, "s3", "eu-west-1", None),
    ("s3 put", "PUT", "https://bucket.s3.eu-west-1.amazonaws.com/photo%2B1.jpg", {"Content-Type": "image/jpeg", "x-amz-acl": "private"}, "not a picture", "s3", "eu-west-1", SESSION),
    ("s3 streamed", "PUT", "https://bucket.s3.eu-west-1.amazonaws.com/large", {}, False, "s3", "eu-west-1", None),
]


class Unsigned(botocore.auth.S3SigV4Auth):
    """S3 as boto signs a body that is streamed."""

    def _should_sha256_sign_payload(self, request):
        return False


def signed(name, method, url, headers, body, service, region, session):
    request = AWSRequest(method, url, headers=dict(headers), data=(body or "").encode())
    # The length isn't signed: it isn't known before a request leaves.
    kind = botocore.auth.SigV4Auth
    if service == "s3":
        request.context["client_config"] = mock.Mock(s3={}, )
        request.context["payload_signing_enabled"] = body is not False
        kind = Unsigned if body is False else botocore.auth.S3SigV4Auth
    clock = {"get_current_datetime": lambda *_, **__: MOMENT.replace(tzinfo=None)}
    patched = [mock.patch.object(botocore.auth, name, value) for name, value in clock.items() if hasattr(botocore.auth, name)]
    for patch in patched:
        patch.start()
    kind(Credentials(*KEY, token=session), service, region).add_auth(request)
    for patch in patched:
        patch.stop()
    names = ("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
    expected = {key.lower(): value for key, value in request.headers.items() if key.lower() in names}
    assert expected["x-amz-date"] == "20150830T123600Z", expected
    return {
        "name": name,
        "method": method,
        "url": url,
        "headers": {key.lower(): value for key, value in headers.items()},
        "body": None if body is False else (body or ""),
        "sha256": None if body is False else hashlib.sha256((body or "").encode()).hexdigest(),
        "service": service,
        "region": region,
        "session_token": session,
        "expected": expected,
    }


print(json.dumps([signed(*case) for case in CASES], indent=1))
