"""The one reader of token responses (RFC 6749 sections 5.1 and 5.2), for what providers really send.

It takes: JSON or a form under any content type, a byte order mark, the members up to three objects deeper, their names in
camelCase, numbers as strings, ``expires_in`` missing, null, zero or negative (then the lifetime is unknown), ``expires_at``
in seconds, milliseconds or RFC 3339, scope as an array or with commas, errors with status 200. Of duplicate members the
last counts. It doesn't guess where two objects could be the token, and it never puts any part of an answer that it can't
read into a message: that may hold a token.

What it makes of an answer is what the parsers of the other languages make of it: they share a file of cases.
"""

from __future__ import annotations

import re

from ..context import Context
from ..contract import Purpose, Response, Token
from . import refusal
from .answer import Answer, Unreadable, decode
from .time import rfc3339

__all__ = ["Answer", "Unreadable", "decode", "parse", "revoked"]

#: Lifetimes beyond this count as this: 100 years, in seconds.
_LONGEST = 100 * 365 * 86_400

#: Numbers from here on are milliseconds since the epoch, not seconds: as seconds they'd be in the year 5138.
_MILLISECONDS = 100_000_000_000

_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def parse(context: Context, purpose: Purpose, response: Response) -> Token:
    """The token in the answer to a token request.

    Raises a :class:`Failure` where it holds none: what the provider said, with a remedy that depends on what was asked
    for. After 429 and 5xx it is *retry*, with the provider's ``Retry-After``. Else a complete refusal means *reacquire*
    on refresh and *reconfigure* on acquire. An answer that no token endpoint gives (a redirect, an HTML page) leaves the
    refresh token unjudged: *retry* on refresh, *reconfigure* on acquire.
    """
    answer = _read(response)
    if not 200 <= response.status <= 299:
        raise refusal.by_status(context, purpose, response, answer if isinstance(answer, Answer) else None)
    if isinstance(answer, Unreadable):
        raise refusal.unreadable(purpose, response, answer)
    access_token = answer.text("access_token")
    if access_token is None:
        raise refusal.without_token(context, purpose, response, answer)
    # It ends up in a header (RFC 6749 appendix A.12 allows printable ASCII only).
    if not _PRINTABLE.fullmatch(access_token):
        raise refusal.invalid(purpose, "an access_token with characters that can't stand in a header")
    return Token(
        access_token=access_token,
        refresh_token=answer.text("refresh_token"),
        token_type=_token_type(answer.text("token_type")),
        expires_in=_lifetime(answer.number("expires_in")),
        expires_at=_expires_at(answer),
        refresh_expires_in=_lifetime(answer.number("refresh_expires_in")),
        scope=answer.words("scope"),
    )


def revoked(context: Context, response: Response) -> None:
    """Holds the answer to a revocation request (RFC 7009 section 2.2); a :class:`Failure` if the provider refused."""
    if not 200 <= response.status <= 299:
        answer = _read(response)
        known = answer if isinstance(answer, Answer) else None
        raise refusal.by_status(context, Purpose.REVOKE, response, known)


def _read(response: Response) -> Answer | Unreadable:
    try:
        return Answer.read(response)
    except Unreadable as fault:
        return fault


def _token_type(said: str | None) -> str | None:
    """Scheme names are compared without case (RFC 9110 section 11.1), but services are seen that accept only ``Bearer``.
    Apigee says ``BearerToken``, which is no scheme at all."""
    return "Bearer" if said is not None and said.lower() in ("bearer", "bearertoken") else said


def _lifetime(seconds: int | None) -> int | None:
    return None if seconds is None else min(seconds, _LONGEST)


def _expires_at(answer: Answer) -> int | None:
    """Seconds since the epoch, of a number of seconds or milliseconds, or RFC 3339 text."""
    number = answer.number("expires_at")
    if number is None:
        text = answer.text("expires_at")
        return None if text is None else rfc3339(text)
    return number // 1000 if number >= _MILLISECONDS else number
