"""The cases that all languages of the SDK share: what the parser makes of answers, and how standard requests look."""

import base64
import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from tokenhost_flow import Context, Description, Failure, Field, OAuthFlow, Purpose, Scheme, oauth, token_response
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


REQUESTS = json.loads((CASES / "oauth-requests.json").read_text("utf-8"))


def standard(token_url):
    return [
        *oauth.fields.client(),
        Field.text("username", "User name"),
        Field.secret("password", "Password"),
        token_url,
        *oauth.fields.target(),
        *oauth.fields.client_auth(),
        *oauth.fields.refresh(),
        oauth.fields.revocation_url(),
    ]


class Standard(OAuthFlow):
    description = Description("standard", "1.0.0", "Standard", fields=standard(oauth.fields.token_url()))

    def request(self, context, purpose):
        with_user = purpose is Purpose.ACQUIRE and context.value("username")
        grant = oauth.grants.password(context) if with_user else oauth.grants.client_credentials()
        return oauth.request(context, purpose, grant)


class Discovered(Standard):
    description = Description(
        "discovered",
        "1.0.0",
        "Discovered",
        fields=[oauth.discovery.metadata_url(), *standard(Field.url("token_url", "Token URL"))],
    )

    def advance(self, context, event):
        return oauth.discovery.advance(context, event, super().advance)


def begin(flow, values, secrets, purpose):
    """An attempt with what a case sets."""
    return Harness(flow).context(entropy=bytes(range(32))).values(**values).secret(*secrets).begin(purpose)


def shown(run):
    return run.failure_line() if isinstance(run.outcome, Failure) else run.request()


def purposes(case):
    """The purposes that a case names; there must be one."""
    named = [purpose for purpose in Purpose if purpose.value in case]
    assert named, f"no outcome is named for {case}"
    return named


def test_standard_requests():
    for case in REQUESTS["cases"]:
        for purpose in purposes(case):
            values = {"token_url": "https://id.example/token?tenant=7", **case["values"]}
            assert shown(begin(Standard, values, case["secrets"], purpose)) == case[purpose.value], case


def test_discovery():
    for case in REQUESTS["discovery"]:
        metadata = case["metadata"]
        for purpose in purposes(case):
            first = begin(Discovered, case["values"], case["secrets"], purpose)
            if "unanswered" in metadata:
                second = first.unanswered(True, metadata["unanswered"])
            else:
                said = json.dumps(metadata["document"]) if "document" in metadata else body(metadata)
                second = first.answer_with(response(metadata.get("status", 200), said))
            assert [shown(first), shown(second)] == case[purpose.value], case


def test_the_fields_are_those_of_the_other_languages():
    def plain(field):
        kind, required = component_name(field.kind), component_name(field.required)
        return {
            "choices": getattr(field.kind, "choices", None),
            "default": field.default,
            "help": field.help,
            "kind": re.sub("(?<=.)([A-Z])", r"-\1", kind).lower(),
            "name": field.name,
            "required": asdict(field.required.condition) if required == "When" else required == "Always",
            "source": field.source,
            "title": field.title,
        }

    def component_name(value):
        return type(value).WIT.split("_")[1]

    authorize = oauth.authorize
    with_person = [authorize.authorization_url(), *authorize.authorize(), oauth.device.device_authorization_url()]
    assert [plain(field) for field in [*Discovered.description.fields, *with_person]] == REQUESTS["fields"]
