"""What a flow is given: the scheme, the purpose, and what happened since the last step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias


@dataclass
class Scheme:
    """The security scheme: its name in the document, and its object in OpenAPI 3 form as JSON."""

    name: str
    document: str


class Purpose(Enum):
    """What an attempt is for."""

    ACQUIRE = "acquire"
    REFRESH = "refresh"
    REVOKE = "revoke"


@dataclass
class Response:
    """A provider's answer. Names of headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        wanted = name.lower()
        return next((value for known, value in self.headers if known.lower() == wanted), None)


@dataclass
class Answered:
    """The answer to the request that the last step sent."""

    state: str
    response: Response


@dataclass
class Unanswered:
    """The request of the last step got no complete answer. ``left``: whether any of it may have reached the provider."""

    state: str
    left: bool
    reason: str


@dataclass
class Returned:
    """A person came back from the redirect of the last step, with these query parameters."""

    state: str
    query: list[tuple[str, str]]


@dataclass
class EventBegin:
    """An attempt begins."""

    purpose: Purpose
    WIT: ClassVar[str] = "Event_Begin"


@dataclass
class EventAnswered:
    """See :class:`Answered`."""

    value: Answered
    WIT: ClassVar[str] = "Event_Answered"


@dataclass
class EventUnanswered:
    """See :class:`Unanswered`."""

    value: Unanswered
    WIT: ClassVar[str] = "Event_Unanswered"


@dataclass
class EventElapsed:
    """The wait of the last step is over."""

    state: str
    WIT: ClassVar[str] = "Event_Elapsed"


@dataclass
class EventReturned:
    """See :class:`Returned`."""

    value: Returned
    WIT: ClassVar[str] = "Event_Returned"


Event: TypeAlias = EventBegin | EventAnswered | EventUnanswered | EventElapsed | EventReturned
