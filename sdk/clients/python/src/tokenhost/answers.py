"""What the daemon answers, typed. Reads loosely: a later daemon may add members. What is secret has no ``repr``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .errors import BadAnswer

T = TypeVar("T")


@dataclass(frozen=True)
class Token:
    """A valid token."""

    #: The token itself.
    access_token: str = field(repr=False)
    #: Its number within the integration; name it in a rejection.
    generation: int
    #: How it is used; mostly ``Bearer``.
    token_type: str = "Bearer"
    #: The scopes that the provider granted, space-separated.
    scope: str | None = None
    #: Seconds left, where that is known.
    expires_in: int | None = None
    #: When it ends (RFC 3339), where that is known.
    expires_at: str | None = None
    #: When the request for it left (RFC 3339).
    created_at: str | None = None

    @property
    def authorization(self) -> str:
        """The value of the header ``Authorization`` (RFC 6750 section 2.1, which writes ``Bearer`` so)."""
        kind = "Bearer" if self.token_type.lower() == "bearer" else self.token_type
        return f"{kind} {self.access_token}"

    @classmethod
    def of(cls, document: Any) -> Token:
        """Out of an answer."""
        document = _object(document)
        return cls(
            access_token=_member(document, "access_token", str),
            generation=_member(document, "generation", int),
            token_type=_optional(document, "token_type", str) or "Bearer",
            scope=_optional(document, "scope", str),
            expires_in=_optional(document, "expires_in", int),
            expires_at=_optional(document, "expires_at", str),
            created_at=_optional(document, "created_at", str),
        )


@dataclass(frozen=True)
class Rejection:
    """What became of a rejection."""

    #: ``renewing``, or ``not_current``: there is a newer token already.
    result: str
    #: The number of the newer one.
    generation: int | None

    @classmethod
    def of(cls, document: Any) -> Rejection:
        """Out of an answer."""
        document = _object(document)
        return cls(_member(document, "result", str), _optional(document, "generation", int))


@dataclass(frozen=True)
class Authorization:
    """What to add to a request so that the service lets it in."""

    #: The request's URL at the service.
    url: str
    #: Headers to set.
    headers: Mapping[str, str] = field(repr=False)
    #: Parameters to add to the query.
    query: Mapping[str, str] = field(repr=False)
    #: Cookies to send.
    cookies: Mapping[str, str] = field(repr=False)
    #: The tokens that it came from, each with ``scheme`` and ``generation``.
    tokens: tuple[Mapping[str, Any], ...]
    #: Of the first token: its number.
    generation: int | None
    #: Of the first token: seconds left.
    expires_in: int | None

    @classmethod
    def of(cls, document: Any) -> Authorization:
        """Out of an answer."""
        document = _object(document)
        tokens = document.get("tokens")
        return cls(
            url=_member(document, "url", str),
            headers=_object(document.get("headers", {})),
            query=_object(document.get("query", {})),
            cookies=_object(document.get("cookies", {})),
            tokens=tuple(one for one in (tokens if isinstance(tokens, list) else []) if isinstance(one, dict)),
            generation=_optional(document, "generation", int),
            expires_in=_optional(document, "expires_in", int),
        )


@dataclass(frozen=True)
class Answer:
    """What the service answered to a call, whatever its status."""

    #: The service's status.
    status: int
    #: Its headers, names in lower case.
    headers: Mapping[str, str]
    #: JSON, or text; ``bytes`` where it is neither.
    body: Any = field(repr=False)
    #: The URL that was called.
    url: str | None
    #: What the daemon did: ``tokens``, ``renewed``, ``retried``, ``attempts``.
    done: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    @classmethod
    def of(cls, document: Any) -> Answer:
        """Out of an answer."""
        document = _object(document)
        body = document.get("body")
        if isinstance(encoded := document.get("body_base64"), str):
            try:
                body = base64.b64decode(encoded, validate=True)
            except binascii.Error:
                raise BadAnswer("the daemon's answer has a body_base64 that is none") from None
        return cls(
            status=_member(document, "status", int),
            headers=_object(document.get("headers", {})),
            body=body,
            url=_optional(document, "url", str),
            done=_object(document.get("done", {})),
        )


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadAnswer("something that is no tokenhost daemon answered; is TOKENHOST_URL right?")
    return document


def _optional(document: dict[str, Any], name: str, kind: type[T]) -> T | None:
    value = document.get(name)
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _member(document: dict[str, Any], name: str, kind: type[T]) -> T:
    value = _optional(document, name, kind)
    if value is None:
        raise BadAnswer(f"the daemon's answer holds no {name}; is TOKENHOST_URL right?")
    return value
