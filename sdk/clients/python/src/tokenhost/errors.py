"""What can go wrong: the daemon's problems (RFC 9457), no answer, and answers that are no daemon's.

No message repeats a token.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


class TokenhostError(Exception):
    """Any failure of the client."""


class Unreachable(TokenhostError):
    """The daemon gave no complete answer."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        #: Whether the request may have reached it.
        self.sent = sent


class BadAnswer(TokenhostError):
    """Something answered that is no tokenhost daemon, or one of another age."""


@dataclass(frozen=True)
class Field:
    """What is wrong with one parameter or member."""

    #: Where, e.g. ``fields.client_id``.
    field: str
    #: E.g. ``missing``.
    code: str
    #: For people.
    message: str


class Problem(TokenhostError):
    """The daemon refused, or has no token. ``code`` never changes its meaning; the guide for automation lists them."""

    def __init__(self, status: int, retry_after: float | None, document: dict[str, Any]) -> None:
        #: The HTTP status.
        self.status = status
        #: The kind of problem, e.g. ``person_needed``. None where something else than a daemon answered.
        self.code: str | None = _text(document, "code")
        #: A few words for people.
        self.title = _text(document, "title") or f"HTTP status {status}"
        #: What is wrong in this case, and what to do.
        self.detail = _text(document, "detail")
        errors = document.get("errors")
        #: What is wrong, by parameter or member: all of them.
        self.fields: tuple[Field, ...] = tuple(
            Field(_text(one, "field") or "", _text(one, "code") or "", _text(one, "message") or "")
            for one in (errors if isinstance(errors, list) else [])
            if isinstance(one, dict)
        )
        #: By which the operator finds the exact reason.
        self.support_id = _text(document, "support_id")
        #: Seconds after which the same call may succeed.
        self.retry_after = retry_after
        #: The whole object as it came.
        self.document = document
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [f"{self.title} ({self.code or self.status})"]
        if self.detail and self.detail != self.title:
            lines.append(self.detail)
        lines += [f"{one.field}: {one.message}" for one in self.fields]
        if self.support_id:
            lines.append(f"support id {self.support_id}")
        return "; ".join(lines)

    @classmethod
    def of(cls, status: int, retry_after: str | None, body: bytes) -> Problem:
        """A problem out of an answer. ``body`` may be anything."""
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("title"), str):
            # Not the daemon's: the text itself is no help, and could be long.
            document = {}
        seconds = document.get("retry_after")
        if retry_after is not None and retry_after.strip().isascii() and retry_after.strip().isdigit():
            seconds = int(retry_after.strip()[:9])
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
            seconds = None
        return cls(status, seconds, document)


def _text(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) else None
