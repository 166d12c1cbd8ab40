"""The cases that all languages of the SDK share: what the parser makes of answers, and how standard requests look."""

import base64
import json
from pathlib import Path

import pytest
from tokenhost_flow import Context, Description, Failure, Form, OAuthFlow, Purpose, Scheme, oauth, token_response
from tokenhost_flow.harness import Harness, response

CASES = Path(__file__).parents[2] / "cases"
SHARED = json.loads((CASES / "token-responses.json").read_text("utf-8"))
CONTEXT = Context(Scheme("test", "{}"), [], [], [], SHARED["now"], bytes(32))


def outcome(purpose, given):
    """The outcome as one line: the token's members that are set, or code, remedy and message."""
    try:
        if purpose is Purpose.REVOKE:
            token_response.revoked(CONTEXT, given)
            return "revoked"
        token = token_response.parse(CONTEXT, purpose, given)
    except Failure as failure:
        return failure.line()
    named = {
        "access": token.access_token,
        "refresh": token.refresh_token,
        "type": token.token_type,
        "in": token.expires_in,
        "at": token.expires_at,
        "refresh_in": token.refresh_expires_in,
        "scope": token.scope,
    }
    return " | ".join(f"{name}={value}" for name, value in named.items() if value is not None)


def body(case):
    if "pieces" in case:
        return "".join(text * times for text, times in case["pieces"])
    return base64.b64decode(case["base64"]) if "base64" in case else case.get("body", "")


@pytest.mark.parametrize("group", SHARED["groups"], ids=lambda group: group["name"])
def test_token_responses(group):
    for case in group["cases"]:
        count = 0
        variants = [case["headers"]] if "headers" in case else [[], *([("content-type", t)] for t in SHARED["content_types"])]
        for key, purpose in [
            ("both", Purpose.ACQUIRE),
            ("both", Purpose.REFRESH),
            *((purpose.value, purpose) for purpose in Purpose),
        ]:
            for headers in variants if key in case else []:
                got = outcome(purpose, response(case.get("status", 200), body(case), headers))
                assert got == case[key], (purpose, str(case)[:300])
                count += 1
        assert count > 0, f"no outcome is named for {case}"


def test_damaged_answers_give_some_outcome():
    answer = '{"access_token":"a","expires_in":"3600","scope":["x"],"d":{"error":"é"}}'.encode()
    for end in range(len(answer)):
        outcome(Purpose.ACQUIRE, response(200, answer[:end]))
        for byte in b'\x00"{}\\<=\xff':
            outcome(Purpose.REFRESH, response(200, answer[:end] + bytes([byte]) + answer[end + 1 :]))


def test_long_answers():
    long = "t" * (1 << 20)
    assert outcome(Purpose.ACQUIRE, response(200, {"access_token": long})) == f"access={long}"
    names = {f"{index}{'n' * 100}": 1 for index in range(5000)}
    assert len(outcome(Purpose.ACQUIRE, response(200, names))) < 400
    digits = '{"access_token":"a","expires_in":%s}' % ("9" * 5000)
    assert outcome(Purpose.ACQUIRE, response(200, digits)).startswith("invalid_response, reconfigure")


class Standard(OAuthFlow):
    description = Description(
        "standard",
        "1.0.0",
        "Standard",
        fields=[
            *oauth.fields.client(),
            oauth.fields.token_url(),
            *oauth.fields.target(),
            oauth.fields.client_auth(),
            *oauth.fields.refresh(),
        ],
    )

    def request(self, context, purpose):
        return oauth.request(context, purpose, Form().add("grant_type", "client_credentials"))


def test_standard_requests():
    for case in json.loads((CASES / "oauth-requests.json").read_text("utf-8"))["cases"]:
        for purpose in Purpose:
            if purpose.value not in case:
                continue
            harness = Harness(Standard).value("token_url", "https://id.example/token?tenant=7")
            run = harness.values(**case["values"]).secret(*case["secrets"]).begin(purpose)
            got = run.failure_line() if isinstance(run.outcome, Failure) else run.request()
            assert got == case[purpose.value], case
