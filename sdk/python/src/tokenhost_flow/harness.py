"""Runs a flow natively, as the host would, so that it is tested by ``pytest`` without WebAssembly.

It sends nothing: a test looks at the request, secrets shown as names, and gives the answer itself. What the host would
refuse, it refuses by an :class:`AssertionError` that says so: values without a field, required fields that are not set,
secrets that are not set, and requests to an origin of none of the URL fields and of no endpoint in the metadata that was
answered. It computes no derived values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace

from .context import Context, Failure
from .contract import (
    Always,
    Answered,
    Basic,
    BasicEncoding,
    BodyForm,
    BodyJson,
    BodyRaw,
    Derivation,
    Description,
    Digest,
    Event,
    EventAnswered,
    EventBegin,
    EventElapsed,
    EventReturned,
    EventUnanswered,
    Field,
    Hmac,
    Jwt,
    KindMetadataUrl,
    KindSecret,
    KindUrl,
    Member,
    PartBody,
    PartSecret,
    PartSensitive,
    Purpose,
    Request,
    Response,
    Returned,
    Scheme,
    Step,
    StepDone,
    StepRedirect,
    StepSend,
    StepWait,
    Template,
    Token,
    Unanswered,
    ValueLiteral,
    ValueText,
    When,
)
from .flow import Flow


def response(
    status: int, body: bytes | str | object = b"", headers: Iterable[tuple[str, str]] = ()
) -> Response:
    """An answer of a provider. Bytes and text are sent as they are, anything else as JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Response(status, [(name.lower(), value) for name, value in headers], body)


class Harness:
    """An integration as a flow sees it. Each method that sets something returns another integration."""

    def __init__(self, flow: type[Flow]) -> None:
        """An integration of this flow in which only the fields' defaults are set. It is 2026-11-22T10:00:00Z."""
        self._flow = flow
        self._context = Context(
            scheme=Scheme("test", "{}"),
            values=[(field.name, field.default) for field in flow.description.fields if field.default is not None],
            secrets=[],
            revealed=[],
            now=1_795_341_600,
            entropy=bytes([7] * 32),
        )
        #: What the provider's metadata document said, to whose endpoints further requests may go.
        self._metadata = b""

    @property
    def description(self) -> Description:
        """What the flow says of itself."""
        return self._flow.description

    def value(self, name: str, value: str) -> Harness:
        """Sets a field that is no secret, or ``token.NAME``."""
        if not name.startswith("token.") and isinstance(self._field(name).kind, KindSecret):
            raise AssertionError(f'{name} is a secret: set it by secret("{name}")')
        return self.context(values=[*(pair for pair in self._context.values if pair[0] != name), (name, value)])

    def values(self, **values: str) -> Harness:
        """Sets several fields that are no secrets."""
        harness = self
        for name, value in values.items():
            harness = harness.value(name, value)
        return harness

    def secret(self, *names: str) -> Harness:
        """Says that secrets are set: fields, or of the present token ``token.NAME``."""
        for name in names:
            if not name.startswith("token.") and not isinstance(self._field(name).kind, KindSecret):
                raise AssertionError(f'{name} is no secret: set it by value("{name}", …)')
        return self.context(secrets=[*self._context.secrets, *names])

    def context(self, **changes: object) -> Harness:
        """Changes anything else of the context by its name: ``now``, ``entropy``, ``callback_url``, …"""
        other = copy(self)
        other._context = replace(self._context, **changes)  # type: ignore[arg-type]
        return other

    def acquire(self) -> Run:
        """Starts an attempt that acquires a token."""
        return self.begin(Purpose.ACQUIRE)

    def refresh(self) -> Run:
        """Starts an attempt that refreshes a token; it has a refresh token."""
        return self.secret("token.refresh_token").begin(Purpose.REFRESH)

    def revoke(self) -> Run:
        """Starts an attempt that revokes a token."""
        return self.secret("token.access_token").begin(Purpose.REVOKE)

    def begin(self, purpose: Purpose) -> Run:
        """Starts an attempt, after the host's check that each required field is set."""
        missing = [field.name for field in self.description.fields if self._lacks(field)]
        if missing:
            raise AssertionError(f"the host would refuse this integration: required and not set: {', '.join(missing)}")
        return self.step(EventBegin(purpose))

    def step(self, event: Event) -> Run:
        """One step, from any event."""
        try:
            outcome: Step | Failure = self._flow().advance(deepcopy(self._context), event)
        except Failure as failure:
            outcome = failure
        if isinstance(outcome, StepSend):
            _check(outcome.value.request, self.description, self._context, self._metadata)
        return Run(self, outcome)

    def told(self, url: str, given: Response) -> Harness:
        """The same after an answer to a request to ``url``: where that was for the provider's metadata, further ones may go
        where it says."""
        other = copy(self)
        fields = [field.name for field in self.description.fields if isinstance(field.kind, KindMetadataUrl)]
        if url in [self._context.value(name) for name in fields]:
            other._metadata = given.body
        return other

    def _field(self, name: str) -> Field:
        found = next((field for field in self.description.fields if field.name == name), None)
        if found is None:
            raise AssertionError(f"flow {self.description.name} has no field {name}")
        return found

    def _lacks(self, field: Field) -> bool:
        """Whether a field must be set and isn't."""
        required = isinstance(field.required, Always)
        if isinstance(field.required, When):
            condition = field.required.condition
            required = (self._context.value(condition.field) or "") in condition.one_of
        return required and self._context.value(field.name) is None and not self._context.has_secret(field.name)


@dataclass
class Run:
    """An attempt after one of its steps."""

    harness: Harness
    #: What the step came to.
    outcome: Step | Failure

    def request(self) -> str:
        """The request that the flow wants sent, as text: method and URL, headers, body, then what the host computes.

        Secrets and derived values stand as ``{name}``, sensitive text as ``{sensitive}``. Nothing is encoded.
        """
        if not isinstance(self.outcome, StepSend):
            raise self._unexpected("a request")
        return _render(self.outcome.value.request)

    def state(self) -> str:
        """The flow's notes after this step."""
        if not isinstance(self.outcome, StepSend | StepWait | StepRedirect):
            raise self._unexpected("a step with a state")
        return self.outcome.value.state

    def answer(self, status: int, body: bytes | str | object = b"", headers: Sequence[tuple[str, str]] = ()) -> Run:
        """The provider answers with JSON."""
        return self.answer_with(response(status, body, [("content-type", "application/json"), *headers]))

    def answer_with(self, given: Response) -> Run:
        """The provider answers with anything; :func:`response` makes it."""
        harness = self.harness
        if isinstance(self.outcome, StepSend):
            harness = harness.told(self.outcome.value.request.url, given)
        return harness.step(EventAnswered(Answered(self.state(), given)))

    def unanswered(self, left: bool, reason: str) -> Run:
        """The request gets no complete answer; ``left`` says whether any of it may have reached the provider."""
        return self.harness.step(EventUnanswered(Unanswered(self.state(), left, reason)))

    def elapsed(self) -> Run:
        """The wait is over."""
        return self.harness.step(EventElapsed(self.state()))

    def returned(self, query: Sequence[tuple[str, str]]) -> Run:
        """The person comes back with these query parameters."""
        return self.harness.step(EventReturned(Returned(self.state(), list(query))))

    def token(self) -> Token:
        """The token that the attempt ended with."""
        if not isinstance(self.outcome, StepDone):
            raise self._unexpected("a token")
        return self.outcome.token

    def failure(self) -> Failure:
        """The failure that the attempt ended with."""
        if not isinstance(self.outcome, Failure):
            raise self._unexpected("a failure")
        return self.outcome

    def failure_line(self) -> str:
        """The failure that the attempt ended with, as one line: code, remedy, message."""
        return self.failure().line()

    def _unexpected(self, what: str) -> AssertionError:
        got = self.outcome.line() if isinstance(self.outcome, Failure) else repr(self.outcome)
        return AssertionError(f"expected {what}, got {got}")


def _render(request: Request) -> str:
    query = "&".join(f"{name}={_text(value)}" for name, value in request.query)
    url = request.url + (("&" if "?" in request.url else "?") + query if query else "")
    lines = [f"{request.method.name} {url}", *(f"{name}: {_text(value)}" for name, value in request.headers)]
    body = request.body
    if isinstance(body, BodyForm):
        pairs = "&".join(f"{name}={_text(value)}" for name, value in body.parameters)
        lines += ["content-type: application/x-www-form-urlencoded", "", pairs]
    elif isinstance(body, BodyJson):
        lines += ["content-type: application/json", "", _members(body.members)]
    elif isinstance(body, BodyRaw):
        lines += [f"content-type: {body.raw.content_type}", "", _text(body.raw.content)]
    lines += [f"{{{derived.name}}} = {_derivation(derived.value)}" for derived in request.derived]
    return "\n".join(lines) + "\n"


def _text(parts: Template) -> str:
    """A template, its secrets as names."""

    def show(part: object) -> str:
        if isinstance(part, PartSecret):
            return f"{{{part.name}}}"
        if isinstance(part, PartSensitive):
            return "{sensitive}"
        return "{body}" if isinstance(part, PartBody) else part.text  # type: ignore[attr-defined]

    return "".join(map(show, parts))


def _members(members: list[Member]) -> str:
    """The members of a JSON document, a pointer each."""

    def show(value: ValueText | ValueLiteral) -> str:
        return value.json if isinstance(value, ValueLiteral) else f'"{_text(value.template)}"'

    return "\n".join(f"{member.pointer} {show(member.value)}" for member in members)


def _derivation(derivation: Derivation) -> str:
    """What the host is to compute."""
    value = derivation.value
    if isinstance(value, Basic):
        encoding = "" if value.encoding is BasicEncoding.NONE else f"-{value.encoding.value}"
        return f"basic{encoding} {_text(value.user)}:{_text(value.password)}"
    if isinstance(value, Jwt):
        return f"jwt {value.algorithm} {{{value.key}}} [{_members(value.header)}] [{_members(value.claims)}]"
    if isinstance(value, Hmac):
        return f"hmac {value.hash.value} {value.encoding.value} {_text(value.key)} {_text(value.message)}"
    if isinstance(value, Digest):
        return f"digest {value.hash.value} {value.encoding.value} {_text(value.message)}"
    return f"transform [{', '.join(how.value for how in value.how)}] {_text(value.value)}"


def _endpoints(metadata: bytes) -> list[str]:
    """The endpoints that a metadata document names."""
    try:
        document = json.loads(metadata)
    except (ValueError, RecursionError):
        return []
    if not isinstance(document, dict):
        return []
    aliases = document.get("mtls_endpoint_aliases")
    named = [*document.items(), *(aliases.items() if isinstance(aliases, dict) else [])]
    return [url for name, url in named if name.endswith("_endpoint") and isinstance(url, str)]


def _check(request: Request, description: Description, context: Context, metadata: bytes) -> None:
    """Holds a request against what the host would refuse."""
    urls = [field.name for field in description.fields if isinstance(field.kind, KindUrl | KindMetadataUrl)]
    values = [value for name in urls if (value := context.value(name))]
    allowed = {_origin(url).lower() for url in [*values, *_endpoints(metadata)]}
    if _origin(request.url).lower() not in allowed:
        origin = _origin(request.url)
        raise AssertionError(f"the host would refuse this request: {origin} is the origin of no URL field")
    known = set(context.secrets)
    for derived in request.derived:
        for name in _inside(derived.value):
            if name not in known:
                raise AssertionError(f"the derived value {derived.name} uses {name}, which is not set")
        if derived.name in known:
            raise AssertionError(f"the derived value {derived.name} has a secret's name")
        known.add(derived.name)
    templates = [value for _, value in [*request.query, *request.headers]]
    if isinstance(request.body, BodyForm):
        templates += [value for _, value in request.body.parameters]
    elif isinstance(request.body, BodyJson):
        templates += map(_of_member, request.body.members)
    elif isinstance(request.body, BodyRaw):
        templates.append(request.body.raw.content)
    for part in (part for one in templates for part in one):
        if isinstance(part, PartSecret) and part.name not in known:
            raise AssertionError(f"the request uses {part.name}, which is not set")
        if isinstance(part, PartBody):
            raise AssertionError("the body can stand only inside a derivation")


def _inside(derivation: Derivation) -> list[str]:
    """The names of the secrets and derived values that a derivation uses."""
    value = derivation.value
    if isinstance(value, Basic):
        templates = [value.user, value.password]
    elif isinstance(value, Jwt):
        templates = [_of_member(member) for member in [*value.header, *value.claims]]
    elif isinstance(value, Hmac):
        templates = [value.key, value.message]
    elif isinstance(value, Digest):
        templates = [value.message]
    else:
        templates = [value.value]
    names = [part.name for one in templates for part in one if isinstance(part, PartSecret)]
    return [value.key, *names] if isinstance(value, Jwt) else names


def _of_member(member: Member) -> Template:
    """The template of a member, if it has one."""
    return member.value.template if isinstance(member.value, ValueText) else []


def _origin(url: str) -> str:
    """Scheme and authority of a URL."""
    found = re.match(r"[^/]*://[^/?#]*", url)
    return found.group() if found else url
