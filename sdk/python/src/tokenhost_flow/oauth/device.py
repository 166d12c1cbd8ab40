"""Device authorization (RFC 8628): a person enters a code elsewhere, and meanwhile the token endpoint is asked again and
again."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    Form,
    Prompt,
    Purpose,
    Request,
    Response,
    Step,
    done,
    revoked,
    send,
    sensitive,
    wait,
)
from .client import ClientAuth, authenticated
from .requests import ask, refresh, revoke, scope

__all__ = ["Device", "advance", "authorize", "device_authorization_url"]

#: Seconds between two requests where the provider doesn't say (section 3.2).
_INTERVAL = 5
#: Seconds that are added at each ``slow_down`` (section 3.5).
_SLOWER = 5
#: The longest pause, in seconds: a provider that wants more would have its codes expire.
_LONGEST = 300
#: Seconds that a code counts for where the provider, against section 3.2, doesn't say.
_LIFETIME = 900

#: The states after the request for a code, a refresh and a revocation. In between, the state is the :class:`Device`.
_AUTHORIZING = "authorizing"
_REFRESHING = "refreshing"
_REVOKING = "revoking"


def device_authorization_url() -> Field:
    """``device_authorization_url``."""
    return Field.url(
        "device_authorization_url",
        "Device authorization URL",
        help="Where the code for the person is requested (RFC 8628 section 3.1).",
        required=True,
        source="deviceAuthorizationUrl",
    )


def advance(context: Context, event: Event) -> Step:
    """The steps of the grant: a code for the person, then polling; refresh and revocation as in every flow.

    Raises a :class:`Failure` where a field is not set or can't be used, the person or the provider refused, or the code has
    expired.
    """
    if isinstance(event, EventBegin):
        if event.purpose is Purpose.REFRESH:
            return send(refresh(context), _REFRESHING)
        if event.purpose is Purpose.REVOKE:
            return send(revoke(context), _REVOKING)
        return send(authorize(context), _AUTHORIZING)
    if isinstance(event, EventAnswered):
        return _answered(context, event.value.state, event.value.response)
    if isinstance(event, EventElapsed):
        device = Device.of_state(event.state)
        if device is None:
            raise _unexpected()
        return send(device.poll(context), event.state)
    if isinstance(event, EventUnanswered):
        device = Device.of_state(event.value.state)
        if device is None:
            raise Failure.unanswered(event.value)
        return device.later()
    raise _unexpected()


def _answered(context: Context, state: str, response: Response) -> Step:
    """What an answer leads to."""
    if state == _AUTHORIZING:
        return Device.begin(context, response)
    if state == _REFRESHING:
        return done(token_response.parse(context, Purpose.REFRESH, response))
    if state == _REVOKING:
        token_response.revoked(context, response)
        return revoked()
    device = Device.of_state(state)
    if device is None:
        raise _unexpected()
    return device.polled(context, response)


def _unexpected() -> Failure:
    return Failure.retry("unexpected_event", "the flow was given what it did not ask for")


def _expired() -> Failure:
    return Failure.reconfigure("expired_token", "the code has expired before it was entered; connect again")


def _incomplete() -> Failure:
    return Failure.reconfigure(
        "invalid_response",
        "the answer has no device_code, user_code or verification_uri; check device_authorization_url",
    )


def authorize(context: Context) -> Request:
    """The request for a code (section 3.1); a :class:`Failure` where a field is not set or can't be used."""
    form = Form().optional("scope", scope(context)).optional("audience", context.value("audience"))
    for resource in context.words("resource"):
        form.add("resource", resource)
    url = context.required("device_authorization_url")
    return authenticated(context, url, form, ClientAuth.of(context, "client_auth"))


@dataclass(frozen=True)
class Device:
    """A device authorization under way, kept in the flow's state."""

    #: What the token endpoint knows it by.
    device_code: str
    #: Seconds between two requests.
    interval: int
    #: When the code ends, in seconds since the Unix epoch.
    expires_at: int

    @classmethod
    def begin(cls, context: Context, response: Response) -> Step:
        """What the provider's answer to the request for a code (section 3.2) leads to: a wait, in which the person has to do
        something. A :class:`Failure` where it refused, or a member is missing."""
        if not 200 <= response.status <= 299:
            # Refused: says why. With a token in the answer it is no answer to this request either.
            token_response.parse(context, Purpose.ACQUIRE, response)
            raise _incomplete()
        try:
            answer = token_response.Answer.read(response)
        except token_response.Unreadable:
            raise _incomplete() from None
        code, user_code = answer.text("device_code"), answer.text("user_code")
        page = answer.text("verification_uri") or answer.text("verification_url")
        if code is None or user_code is None or page is None:
            raise _incomplete()
        lifetime = answer.number("expires_in") or _LIFETIME
        device = cls(code, min(answer.number("interval") or _INTERVAL, _LONGEST), context.now + lifetime)
        message = f"Open the page, sign in, and enter the code. It counts for {max(lifetime // 60, 1)} min."
        url = answer.text("verification_uri_complete") or answer.text("verification_url_complete") or page
        return wait(device.interval, device.state(), Prompt(message, url, user_code))

    def poll(self, context: Context) -> Request:
        """The request that asks whether the person is done (section 3.4); a :class:`Failure` where the code has expired, or
        a field is not set or can't be used."""
        if context.now >= self.expires_at:
            raise _expired()
        form = Form().add("grant_type", "urn:ietf:params:oauth:grant-type:device_code")
        return ask(context, form.add("device_code", sensitive(self.device_code)))

    def polled(self, context: Context, response: Response) -> Step:
        """What the provider's answer leads to: the token, or another wait (section 3.5). A :class:`Failure` where the person
        refused, the code has expired, or the provider refused the client."""
        try:
            return done(token_response.parse(context, Purpose.ACQUIRE, response))
        except Failure as failure:
            if failure.code == "authorization_pending":
                return self._wait()
            if failure.code == "slow_down":
                return self._after(self.interval + _SLOWER)
            if failure.code == "expired_token":
                raise _expired() from None
            if failure.code == "access_denied":
                message = "the person, or the provider, denied it; connect again, and consent"
                raise Failure.reconfigure("access_denied", message) from None
            if response.status == 429 or response.status >= 500:
                return self.later()
            raise

    def later(self) -> Step:
        """Another wait after a request that got no answer: twice as long as the last (section 3.5)."""
        return self._after(self.interval * 2)

    def _after(self, seconds: int) -> Step:
        """The wait from now on."""
        return replace(self, interval=min(seconds, _LONGEST))._wait()

    def _wait(self) -> Step:
        """The wait until the next request."""
        return wait(self.interval, self.state())

    def state(self) -> str:
        """It as the flow's state."""
        return dumps({"device_code": self.device_code, "interval": self.interval, "expires_at": self.expires_at})

    @classmethod
    def of_state(cls, state: str) -> Device | None:
        """It out of the flow's state. None: the state is another."""
        try:
            kept = loads(state)
        except ValueError:
            return None
        if not isinstance(kept, dict):
            return None
        code, interval, expires_at = kept.get("device_code"), kept.get("interval"), kept.get("expires_at")
        if not (isinstance(code, str) and isinstance(interval, int) and isinstance(expires_at, int)):
            return None
        return cls(code, max(interval, 1), expires_at)
