"""What to say, and what can be done, where an answer holds no token.

Messages repeat what a provider says of its error, bounded; the host cleans them of secrets.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from ..context import Context, Failure
from ..contract import Purpose, Response
from .answer import Answer, Unreadable, scalar
from .time import retry_after

#: The longest part of a message that a provider wrote, in characters.
_LONGEST = 300

#: How many member names of an answer without a token are named.
_NAMES = 12

#: Errors that pass by themselves, whatever the status.
_PASSING = {"temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded", "too_many_requests"}

#: Which fields to look at, by error.
_HINTS = {
    "invalid_client": "check client_id, client_secret and client_auth",
    "invalid_grant": "check the credentials",
    "invalid_scope": "check scope",
    "invalid_target": "check resource and audience",
    "unauthorized_client": "the provider must allow this client to use this grant",
    "unsupported_grant_type": "the provider doesn't offer this grant at this address; check token_url",
    "http_404": "check token_url",
}

_CODE = re.compile(r"[A-Za-z0-9_.:-]{0,64}")


def by_status(context: Context, purpose: Purpose, response: Response, answer: Answer | None) -> Failure:
    """The failure of an answer whose status is not 2xx."""
    said, description = _said(answer) if answer else (None, None)
    status = response.status
    code = said or f"http_{status}"
    if 300 <= status < 400:
        message = f"the answer was HTTP {status}: redirects are not followed; check token_url"
        return _unjudged(purpose, "redirected", message)
    plain = _refused(response, code, description, hint=False)
    later = status in (408, 425) or (status >= 400 and code in _PASSING)
    if status == 429 or status >= 500 or (later and purpose is not Purpose.REFRESH):
        return Failure.retry(code, plain, _after(context, response))
    if status >= 400:
        return _judged(purpose, code, _refused(response, code, description, hint=purpose is Purpose.ACQUIRE))
    # Nothing that HTTP knows as a final answer.
    return _unjudged(purpose, code, plain)


def without_token(context: Context, purpose: Purpose, response: Response, answer: Answer) -> Failure:
    """The failure of a readable answer with status 2xx that has no access token."""
    said, description = _said(answer)
    if said is None and description is None:
        names = answer.names(_NAMES)
        return invalid(purpose, "no access_token" + (f"; it has {_clean(', '.join(names))}" if names else ""))
    code = said or "provider_error"
    passing = code in _PASSING
    message = _refused(response, code, description, hint=purpose is Purpose.ACQUIRE and not passing)
    return Failure.retry(code, message, _after(context, response)) if passing else _judged(purpose, code, message)


def unreadable(purpose: Purpose, response: Response, fault: Unreadable) -> Failure:
    """The failure of an answer with status 2xx that can't be read."""
    if fault.kind == "ambiguous":
        return invalid(purpose, "several objects with an access_token")
    what = {"empty": "an empty body", "html": "a web page"}.get(fault.kind, fault.what)
    message = f"the answer was HTTP {response.status} with {what} instead of a token; check token_url"
    return _unjudged(purpose, "invalid_response", message)


def invalid(purpose: Purpose, what: str) -> Failure:
    """The failure of a readable answer that is not what it must be."""
    return _judged(purpose, "invalid_response", f"the answer has {what}")


def _judged(purpose: Purpose, code: str, message: str) -> Failure:
    """A failure after the provider judged the request."""
    make = Failure.reacquire if purpose is Purpose.REFRESH else Failure.reconfigure
    return make(code, message)


def _unjudged(purpose: Purpose, code: str, message: str) -> Failure:
    """A failure after which nobody knows whether the provider saw the request."""
    if purpose is Purpose.REFRESH:
        return Failure.retry(code, message)
    return Failure.reconfigure(code, message)


def _after(context: Context, response: Response) -> int | None:
    """When the provider wants to be asked again."""
    value = response.header("retry-after")
    return None if value is None else retry_after(value, context.now)


def _refused(response: Response, code: str, description: str | None, *, hint: bool) -> str:
    """The message for people."""
    message = f"the provider answered HTTP {response.status}"
    if not code.startswith("http_"):
        message += f", {code}"
    if description is not None:
        message += f": {_clean(description)}"
    if hint and code in _HINTS:
        message += f" ({_HINTS[code]})"
    return message


def _first(of: Callable[[str], object], *names: str) -> str | None:
    return next((value for name in names if (value := scalar(of(name))) is not None), None)


def _said(answer: Answer) -> tuple[str | None, str | None]:
    """The code and the description of the provider's error: as RFC 6749 section 5.2 has it, else as others are seen to
    write it."""
    of = answer.value
    code = _first(of, "error", "error_code", "errorCode")
    description = _first(of, "error_description", "errorDescription", "error_message", "errorMessage", "errorSummary")
    if description is None:
        description = _first(of, "message", "msg", "detail", "title", "faultstring")
    inner = next((value for name in ("error", "errors", "fault") if (value := of(name)) is not ...), None)
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    if isinstance(inner, dict):
        if code is None:
            code = _first(inner.get, "error", "status", "type", "code", "errorCode")
        within = _first(inner.get, "error_description", "message", "description", "detail", "faultstring", "title", "msg")
        description = description if within is None else within
    elif isinstance(inner, str) and code is None and inner.strip():
        code = inner
    # A sentence where a code should be is a description.
    if code is not None and not _CODE.fullmatch(code):
        description = code if description is None else f"{code}: {description}"
        code = None
    return code, description


def _clean(text: str) -> str:
    """One line of bounded length."""
    text = text.strip()
    line = "".join(" " if unicodedata.category(one) == "Cc" else one for one in text[:_LONGEST])
    return line + "…" if len(text) > _LONGEST else line
