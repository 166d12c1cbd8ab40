"""The grants in which a person takes part: the cases that all languages of the SDK share."""

import json
from pathlib import Path

import pytest
from tokenhost_flow import (
    Answered, Description, EventAnswered, EventElapsed, EventReturned, EventUnanswered, Failure, Flow, Purpose, Returned,
    StepDone, StepRedirect, StepRevoked, StepSend, Unanswered, oauth,
)  # fmt: skip
from tokenhost_flow.harness import Harness, response

CASES = json.loads((Path(__file__).parents[2] / "cases" / "oauth-person.json").read_text("utf-8"))["cases"]


def description(*fields):
    standard = [
        *oauth.fields.client(),
        oauth.fields.token_url(),
        *oauth.fields.target(),
        *oauth.fields.client_auth(),
        *oauth.fields.refresh(),
        oauth.fields.revocation_url(),
    ]
    return Description("x", "1.0.0", "X", fields=[*fields, *standard])


class Code(Flow):
    description = description(oauth.authorize.authorization_url(), *oauth.authorize.authorize())

    def advance(self, context, event):
        return oauth.authorize.advance(context, event)


class Device(Flow):
    description = description(oauth.device.device_authorization_url())

    def advance(self, context, event):
        return oauth.device.advance(context, event)


def shown(run):
    """What a step came to, as text."""
    outcome = run.outcome
    if isinstance(outcome, Failure):
        return run.failure_line()
    if isinstance(outcome, StepSend):
        return run.request()
    if isinstance(outcome, StepRedirect):
        return f"redirect {outcome.value.url}"
    if isinstance(outcome, StepDone):
        return f"token {outcome.token.access_token}"
    if isinstance(outcome, StepRevoked):
        return "revoked"
    wait, prompt = outcome.value, outcome.value.prompt
    what = f" | {prompt.message} | {prompt.url} | {prompt.code}" if prompt else ""
    return f"wait {wait.seconds}{what}"


def event(named, state):
    """The event that a case names."""
    if "status" in named:
        return EventAnswered(Answered(state, response(named["status"], named["body"])))
    if "unanswered" in named:
        return EventUnanswered(Unanswered(state, True, named["unanswered"]))
    if "returned" in named:
        return EventReturned(Returned(state, [(name, value) for name, value in named["returned"]]))
    return EventElapsed(state)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["flow"])
def test_shared_cases(case):
    harness = Harness(Code if case["flow"] == "code" else Device).context(entropy=bytes(range(32)))
    if case["flow"] == "code" and "no_callback" not in case:
        harness = harness.context(callback_url="https://host.example/v1/callback", return_key="key 1")
    harness = harness.values(**case["values"]).secret(*case["secrets"])
    run = harness.begin(Purpose(case.get("purpose", "acquire")))
    steps = [shown(run)]
    for named in case["events"]:
        later = harness.context(now=1_795_341_600 + named.get("later", 0))
        run = later.step(event(named, run.state()))
        steps.append(shown(run))
    assert steps == case["steps"]


def test_there_is_something_to_compare():
    assert len(CASES) > 50


def test_the_example_of_rfc_7636_appendix_b():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert oauth.pkce.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
