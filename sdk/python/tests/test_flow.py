"""A flow of several steps, through the harness: what the contract allows, a test can say."""

import pytest
from tokenhost_flow import (
    BasicEncoding, Condition, Context, Derivation, Description, Encoding, Escape, Event, EventAnswered, EventBegin, EventElapsed,
    EventUnanswered, Failure, Field, Flow, Form, Hash, Json, OAuthFlow, Prompt, Request, StepRevoked, StepWait, Token,
    Transformation, basic, body, digest, done, export, hmac, jwt, secret, send, sensitive, token_response, transform, wait,
)  # fmt: skip
from tokenhost_flow.harness import Harness, response


class Ticket(Flow):
    """Asks for a ticket, waits for a person, then takes the token."""

    description = Description(
        "ticket",
        "1.0.0",
        "Ticket",
        unattended=False,
        fields=[
            Field.url("url", "URL", required=True),
            Field.secret("key", "Key", required=Condition("mode", ["keyed"])),
            Field.choice("mode", "Mode", ["keyed", "open"], default="open"),
            Field.flag("slow", "Slow"),
        ],
    )

    def advance(self, context: Context, event: Event):
        url = context.required("url")
        if isinstance(event, EventBegin):
            return send(
                Request.post(f"{url}/tickets")
                .parameter("v", "1")
                .header("x-key", ["k=", secret("signed")])
                .derive("signed", basic("me", secret("key"), BasicEncoding.NONE))
                .json(Json().add("/name", "me").literal("/count", 2).secret("/key", "key")),
                "asked",
            )
        if isinstance(event, EventAnswered):
            if event.value.state != "asked":
                return done(Token("t"))
            found = token_response.Answer.read(event.value.response).text("ticket")
            if found is None:
                raise Failure.retry("invalid_response", "no ticket")
            return wait(60 if context.flag("slow") else 5, found, Prompt("Confirm", code="42"))
        if isinstance(event, EventElapsed):
            return send(Request.get(f"{url}/token?x=1").parameter("ticket", sensitive(event.state)), "taking")
        if isinstance(event, EventUnanswered):
            raise Failure.unanswered(event.value)
        raise Failure.unsupported("no redirect was asked for")


def integration():
    return Harness(Ticket).value("url", "https://id.example").secret("key")


def test_several_steps():
    asked = integration().value("slow", "true").acquire()
    assert asked.request() == (
        "POST https://id.example/tickets?v=1\n"
        "x-key: k={signed}\n"
        "content-type: application/json\n"
        "\n"
        '/name "me"\n'
        "/count 2\n"
        '/key "{key}"\n'
        "{signed} = basic me:{key}\n"
    )
    waiting = asked.answer(200, {"error": "no", "ticket": "T1"})
    assert isinstance(waiting.outcome, StepWait) and waiting.outcome.value.seconds == 60
    taking = waiting.elapsed()
    assert taking.request() == "GET https://id.example/token?x=1&ticket={sensitive}\n"
    assert taking.answer_with(response(200)).token() == Token("t")


@pytest.mark.parametrize(
    ("left", "reason", "expected"),
    [
        (True, "reset", "no_answer, retry: the request got no complete answer: reset"),
        (False, "no such host", "no_answer, retry: the request could not be sent: no such host"),
    ],
)
def test_what_ends_an_attempt(left, reason, expected):
    assert integration().acquire().unanswered(left, reason).failure_line() == expected


class Sending(OAuthFlow):
    description = Description(
        "x", "1.0.0", "X", fields=[Field.url("url", "URL"), Field.secret("key", "Key")]
    )
    what = Request.get("https://id.example")

    def request(self, context, purpose):
        return self.what


def sending(request: Request, *secrets: str):
    flow = type("Sending", (Sending,), {"what": request})
    return Harness(flow).value("url", "https://id.example/x").secret(*secrets).acquire()


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda: Harness(Ticket).acquire(), "required and not set: url"),
        (lambda: Harness(Ticket).values(url="https://id.example", mode="keyed").acquire(), "required and not set: key"),
        (lambda: Harness(Ticket).value("url", "https://id.example").acquire(), "uses key, which is not set"),
        (lambda: Harness(Ticket).value("key", "x"), "key is a secret"),
        (lambda: Harness(Ticket).secret("url"), "url is no secret"),
        (lambda: Harness(Ticket).value("other", "x"), "has no field other"),
        (lambda: sending(Request.get("https://evil.example?https://id.example")), "evil.example is the origin of no"),
        (lambda: sending(Request.post("https://id.example").form(Form().secret("a", "key"))), "uses key, which"),
        (lambda: sending(Request.post("https://id.example").raw("text/plain", body())), "only inside a derivation"),
    ],
)
def test_what_the_host_would_refuse_is_refused(run, expected):
    with pytest.raises(AssertionError, match=expected):
        run()


def test_other_events():
    run = Harness(Sending).value("url", "https://id.example").revoke()
    assert isinstance(run.answer(200).outcome, StepRevoked)
    assert run.answer(503).failure_line().startswith("http_503, retry")
    assert run.elapsed().failure_line().startswith("unexpected_event, retry")


def test_requests_of_every_kind_as_text():
    mac: Derivation = hmac(Hash.SHA1, secret("key"), ["POST\n", secret("digest")], Encoding.HEX)
    request = (
        Request.post("https://id.example")
        .raw("text/xml", ["<a>", secret("key"), "</a>"], Escape.XML)
        .derive("digest", digest(Hash.SHA256, body(), Encoding.BASE64))
        .derive("mac", mac)
        .derive("token", jwt("RS256", "key", Json().add("/iss", "me").literal("/exp", 5)))
        .derive("both", transform(secret("mac"), Transformation.BASE64_DECODE, Transformation.UPPER_CASE))
        .header("x", secret("both"))
    )
    assert sending(request, "key").request() == (
        "POST https://id.example\n"
        "x: {both}\n"
        "content-type: text/xml\n"
        "\n"
        "<a>{key}</a>\n"
        "{digest} = digest sha256 base64 {body}\n"
        "{mac} = hmac sha1 hex {key} POST\n"
        "{digest}\n"
        '{token} = jwt RS256 {key} [] [/iss "me"\n'
        "/exp 5]\n"
        "{both} = transform [base64-decode, upper-case] {mac}\n"
    )


def test_a_flow_needs_a_description():
    class Silent(Flow):
        def advance(self, context, event):
            raise NotImplementedError

    with pytest.raises(TypeError, match="Silent has no description"):
        export(Silent)
