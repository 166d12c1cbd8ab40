"""Discovery in front of other flows: the provider's metadata document says where its endpoints are (OpenID Connect
Discovery 1.0 section 4, RFC 8414).

:func:`advance` fetches the document first in every attempt, and then gives the flow behind it a context in which the
endpoints stand as if they had been set. A URL that is set by hand wins. Nothing is kept between attempts: the host lets
requests go to endpoints that were learned in this attempt only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from json import dumps, loads

from .. import token_response
from ..context import Context, Failure
from ..contract import (
    Event,
    EventAnswered,
    EventBegin,
    EventElapsed,
    EventUnanswered,
    Field,
    Purpose,
    Request,
    Response,
    Step,
    StepRedirect,
    StepSend,
    StepWait,
    send,
)
from ..token_response.answer import parse_json

__all__ = ["advance", "metadata_url"]

#: The fields that the document can fill, and the members that fill them.
_ENDPOINTS = {
    "token_url": "token_endpoint",
    "authorization_url": "authorization_endpoint",
    "device_authorization_url": "device_authorization_endpoint",
    "revocation_url": "revocation_endpoint",
    "issuer": "issuer",
}

#: The state while the document is fetched, before the purpose.
_FETCHING = "metadata:"


def metadata_url() -> Field:
    """``metadata_url``."""
    return Field.metadata_url(
        "metadata_url",
        "Metadata URL",
        help="The provider's metadata document, such as https://id.example/.well-known/openid-configuration. It says "
        "where tokens are requested.",
        required=True,
        source="openIdConnectUrl",
    )


def advance(context: Context, event: Event, behind: Callable[[Context, Event], Step]) -> Step:
    """One step: of the discovery, or of the flow behind it.

    Raises a :class:`Failure` where the document can't be had or read, or the flow behind gives up.
    """
    if isinstance(event, EventBegin):
        request = Request.get(context.required("metadata_url")).header("accept", "application/json")
        return send(request, _FETCHING + event.purpose.value)
    state = event.state if isinstance(event, EventElapsed) else event.value.state
    if state.startswith(_FETCHING):
        if isinstance(event, EventUnanswered):
            raise Failure.unanswered(event.value)
        if not isinstance(event, EventAnswered):
            raise _lost()
        found = _read(context, event.value.response)
        begin = EventBegin(_purpose(state.removeprefix(_FETCHING)))
        return _keeping(behind(context.filled(found), begin), found)
    found, state = _split(state)
    return _keeping(behind(context.filled(found), _with_state(event, state)), found)


def _purpose(name: str) -> Purpose:
    return Purpose(name) if name in ("refresh", "revoke") else Purpose.ACQUIRE


def _read(context: Context, response: Response) -> dict[str, str]:
    """The endpoints in the document, by field."""
    if response.status == 429 or response.status >= 500:
        # The provider may do better later, as with a token request.
        token_response.parse(context, Purpose.ACQUIRE, response)
        raise _unreadable()
    if response.status != 200:
        raise _invalid(f"the metadata URL answered HTTP {response.status}")
    document = _members(response.body)
    # Who shows a certificate does so at endpoints of their own, where there are any (RFC 8705 section 5).
    aliases = document.get("mtls_endpoint_aliases")
    if context.value("client_auth") == "tls_client_auth" and isinstance(aliases, dict):
        document = {**document, **aliases}
    if not isinstance(document.get("token_endpoint"), str):
        raise _unreadable()
    # Who doesn't say that people come back with ``iss`` sends them back without (RFC 9207 section 3).
    says_issuer = document.get("authorization_response_iss_parameter_supported") is True
    found: dict[str, str] = {}
    for field, name in _ENDPOINTS.items():
        url = document.get(name)
        if isinstance(url, str) and url and (field != "issuer" or says_issuer):
            found[field] = url
    return found


def _members(body: bytes) -> dict[str, object]:
    """The members of the document, read as strictly as the host does, which lets no request go to the endpoints of one that
    it can't read."""
    try:
        document = parse_json(body.decode("utf-8"))
    except ValueError:
        raise _unreadable() from None
    if not isinstance(document, dict):
        raise _unreadable()
    return document


def _unreadable() -> Failure:
    return _invalid("what is at the metadata URL is no metadata document with a token_endpoint")


def _invalid(what: str) -> Failure:
    return Failure.reconfigure("invalid_metadata", f"{what}; the URL usually ends with /.well-known/openid-configuration")


def _lost() -> Failure:
    return Failure.retry("unexpected_event", "the flow was given an event that it has no notes on")


def _with_state(event: Event, state: str) -> Event:
    """The event, as the flow behind would have been given it."""
    if isinstance(event, EventBegin):
        return event
    if isinstance(event, EventElapsed):
        return EventElapsed(state)
    if isinstance(event, EventAnswered):
        return EventAnswered(replace(event.value, state=state))
    if isinstance(event, EventUnanswered):
        return EventUnanswered(replace(event.value, state=state))
    return replace(event, value=replace(event.value, state=state))


def _keeping(step: Step, found: dict[str, str]) -> Step:
    """The step, its state kept together with what was found."""
    if isinstance(step, StepSend):
        return StepSend(replace(step.value, state=_keep(step.value.state, found)))
    if isinstance(step, StepWait):
        return StepWait(replace(step.value, state=_keep(step.value.state, found)))
    if isinstance(step, StepRedirect):
        return StepRedirect(replace(step.value, state=_keep(step.value.state, found)))
    return step


def _keep(state: str, found: dict[str, str]) -> str:
    return dumps({"found": found, "state": state})


def _split(state: str) -> tuple[dict[str, str], str]:
    """What was found, and the state of the flow behind."""
    try:
        kept = loads(state)
    except ValueError:
        raise _lost() from None
    if not (isinstance(kept, dict) and isinstance(kept.get("found"), dict) and isinstance(kept.get("state"), str)):
        raise _lost()
    return kept["found"], kept["state"]
