"""The authorization-code grant (RFC 6749 section 4.1) with PKCE (RFC 7636): where a person is sent, what is read of their
return (RFC 9207), and the request that redeems the code."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote_plus

from .. import token_response
from ..context import Context, Failure
from ..contract import (
    Event,
    EventAnswered,
    EventBegin,
    EventReturned,
    EventUnanswered,
    Field,
    Form,
    Purpose,
    Request,
    Returned,
    Step,
    done,
    redirect,
    revoked,
    send,
    sensitive,
)
from . import pkce
from .requests import ask, refresh, revoke, scope

__all__ = ["advance", "authorization_url", "authorize", "code", "parameters", "redeem", "url"]

#: The states after the requests that redeem a code, refresh a token and revoke one. Before, the state is the code verifier.
_REDEEMING = "redeeming"
_REFRESHING = "refreshing"
_REVOKING = "revoking"

#: Parameters that the flow sets itself.
_OWN = ("response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method", "scope")

#: What a person can do about an error.
_ADVICE = {
    "access_denied": " (connect again, and consent)",
    "invalid_scope": " (check scope)",
    "unauthorized_client": " (the provider must allow this client to use this grant)",
    "invalid_target": " (check resource and audience)",
}

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def authorization_url() -> Field:
    """``authorization_url``."""
    return Field.url(
        "authorization_url",
        "Authorization URL",
        help="The provider's page where the person signs in and consents.",
        required=True,
        source="authorizationUrl",
    )


def authorize() -> list[Field]:
    """What else can be said where a person is sent away: ``authorize_parameters`` and ``issuer``."""
    return [
        parameters(),
        Field.text(
            "issuer",
            "Issuer",
            help="The provider's issuer identifier. Set: a return must carry it as iss (RFC 9207), which keeps one "
            "provider's code from being redeemed at another.",
        ),
    ]


def parameters() -> Field:
    """``authorize_parameters``."""
    return Field.words(
        "authorize_parameters",
        "Further parameters",
        help="What the provider wants besides in the person's request, as name=value separated by spaces, e.g. "
        "prompt=consent access_type=offline. A space within a value is written %20.",
    )


def advance(context: Context, event: Event) -> Step:
    """The steps of the grant: the person is sent away, their code redeemed; then refresh and revocation as in every flow.

    Raises a :class:`Failure` where a field is not set or can't be used, the provider refused the person or the client, or its
    answer holds no token.
    """
    if isinstance(event, EventBegin):
        if event.purpose is Purpose.REFRESH:
            return send(refresh(context), _REFRESHING)
        if event.purpose is Purpose.REVOKE:
            return send(revoke(context), _REVOKING)
        verifier = pkce.verifier(context)
        return redirect(url(context, verifier), verifier)
    if isinstance(event, EventReturned):
        return send(redeem(context, code(context, event.value), event.value.state), _REDEEMING)
    if isinstance(event, EventAnswered):
        state, response = event.value.state, event.value.response
        if state == _REVOKING:
            token_response.revoked(context, response)
            return revoked()
        purpose = Purpose.REFRESH if state == _REFRESHING else Purpose.ACQUIRE
        return done(token_response.parse(context, purpose, response))
    if isinstance(event, EventUnanswered):
        raise Failure.unanswered(event.value)
    raise Failure.retry("unexpected_event", "the flow never waits")


def url(context: Context, verifier: str) -> str:
    """The URL to send a person to (RFC 6749 section 4.1.1, RFC 7636 section 4.3), with the challenge of this verifier.

    Raises a :class:`Failure` where a field is not set or can't be used, or the host gave no callback.
    """
    base = context.required("authorization_url")
    if "#" in base:
        raise Failure.reconfigure("invalid_field", "authorization_url has a fragment (#…), which can't be sent")
    callback, state = _returning(context)
    query = [
        ("response_type", "code"),
        ("client_id", context.required("client_id")),
        ("redirect_uri", callback),
        ("state", state),
        ("code_challenge", pkce.challenge(verifier)),
        ("code_challenge_method", "S256"),
    ]
    for name, value in [("scope", scope(context)), ("audience", context.value("audience"))]:
        if value is not None:
            query.append((name, value))
    query += [("resource", resource) for resource in context.words("resource")]
    for word in context.words("authorize_parameters"):
        pairs = parse_qsl(word, keep_blank_values=True, errors="replace")
        if "=" not in word or len(pairs) != 1 or not pairs[0][0] or pairs[0][0] in _OWN:
            raise Failure.reconfigure(
                "invalid_field",
                "authorize_parameters must be name=value, separated by spaces, and none that the flow sets itself",
            )
        query += pairs
    _, mark, own = base.partition("?")
    separator = "?" if not mark else "&" if own else ""
    return base + separator + "&".join(f"{_escape(name)}={_escape(value)}" for name, value in query)


def _escape(text: str) -> str:
    """Text as the URL Standard writes it into a form."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def code(context: Context, returned: Returned) -> str:
    """The code that a person came back with (RFC 6749 section 4.1.2).

    Raises a :class:`Failure` where the provider sent them back with an error, or without a code, or it wasn't the provider
    that they were sent to.
    """

    def parameter(name: str) -> str | None:
        return next((value for known, value in returned.query if known == name), None) or None

    issuer, said = context.value("issuer"), parameter("iss")
    if issuer is not None and said != issuer:
        message = "the person came back from another issuer than the field issuer says; the code is not used"
        if said is None:
            message = "the person came back without iss, though the field issuer is set; unset it if this provider sends none"
        raise Failure.reconfigure("issuer_mismatch", message)
    error = parameter("error")
    if error is not None:
        raise _refused(error, parameter("error_description"))
    found = parameter("code")
    if found is None:
        message = "the provider sent the person back with neither a code nor an error"
        raise Failure.reconfigure("invalid_response", message)
    return found


def _refused(error: str, description: str | None) -> Failure:
    """The failure of an error that a person came back with (RFC 6749 section 4.1.2.1)."""
    known = error if _CODE.fullmatch(error) else "provider_error"
    message = f"the provider sent the person back with {_CONTROL.sub(' ', error[:64])}"
    if description is not None:
        message += f": {_CONTROL.sub(' ', description[:300])}"
    if error in ("server_error", "temporarily_unavailable"):
        return Failure.retry(known, message)
    return Failure.reconfigure(known, message + _ADVICE.get(error, ""))


def redeem(context: Context, code: str, verifier: str) -> Request:
    """The request that redeems a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    Raises a :class:`Failure` where a field is not set or can't be used, or the host gave no callback.
    """
    form = (
        Form()
        .add("grant_type", "authorization_code")
        .add("code", sensitive(code))
        .add("redirect_uri", _returning(context)[0])
        .add("code_verifier", sensitive(verifier))
    )
    for resource in context.words("resource"):
        form.add("resource", resource)
    return ask(context, form)


def _returning(context: Context) -> tuple[str, str]:
    """Where the person is sent back to, and what the provider echoes."""
    if context.callback_url is None or context.return_key is None:
        message = "the host has nowhere to send a person back to; connect the integration"
        raise Failure.reconfigure("no_callback", message)
    return context.callback_url, context.return_key
