"""What a flow answers: the next step, the token at the end, and the remedy of a failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, TypeAlias

from .request import Derived, Request, Template


class Location(Enum):
    """Where a token is placed."""

    HEADER = "header"
    QUERY = "query"
    COOKIE = "cookie"


@dataclass
class Placement:
    """How the token goes into a request to the service."""

    location: Location
    name: str
    value: Template


@dataclass
class Signer:
    """A signer of the host for every request, with its parameters."""

    name: str
    parameters: list[tuple[str, Template]]


@dataclass
class Token:
    """What an attempt ends with. After a refresh, what is absent keeps its old value."""

    access_token: str | None = None
    refresh_token: str | None = None
    token_type: str | None = None
    #: Seconds from when the request left.
    expires_in: int | None = None
    #: Seconds since the Unix epoch; used where there is no ``expires_in``.
    expires_at: int | None = None
    refresh_expires_in: int | None = None
    scope: str | None = None
    #: What else the provider sent along and is no secret, e.g. ``instance_url``.
    values: list[tuple[str, str]] = field(default_factory=list)
    #: What else it sent along and is secret, e.g. a cookie.
    secrets: list[tuple[str, str]] = field(default_factory=list)
    #: How the token goes into a request to the service; none: ``Authorization: <token-type> <access-token>``.
    placements: list[Placement] = field(default_factory=list)
    #: Values for the placements.
    derived: list[Derived] = field(default_factory=list)
    signer: Signer | None = None


@dataclass
class Prompt:
    """What a person has to do."""

    message: str
    url: str | None = None
    code: str | None = None


@dataclass
class Send:
    """See :class:`StepSend`."""

    request: Request
    state: str


@dataclass
class Wait:
    """See :class:`StepWait`."""

    seconds: int
    prompt: Prompt | None
    state: str


@dataclass
class Redirect:
    """See :class:`StepRedirect`."""

    url: str
    state: str


@dataclass
class StepSend:
    """Send this request."""

    value: Send
    WIT: ClassVar[str] = "Step_Send"


@dataclass
class StepWait:
    """Wait so long."""

    value: Wait
    WIT: ClassVar[str] = "Step_Wait"


@dataclass
class StepRedirect:
    """Send the person away."""

    value: Redirect
    WIT: ClassVar[str] = "Step_Redirect"


@dataclass
class StepDone:
    """The attempt ends with a token."""

    token: Token
    WIT: ClassVar[str] = "Step_Done"


@dataclass
class StepRevoked:
    """The revocation ended."""

    WIT: ClassVar[str] = "Step_Revoked"


Step: TypeAlias = StepSend | StepWait | StepRedirect | StepDone | StepRevoked


def send(request: Request, state: str = "") -> Step:
    """The step that sends a request."""
    return StepSend(Send(request, state))


def wait(seconds: int, state: str = "", prompt: Prompt | None = None) -> Step:
    """The step that waits; ``prompt`` is what a person has to do meanwhile."""
    return StepWait(Wait(seconds, prompt, state))


def redirect(url: str, state: str = "") -> Step:
    """The step that sends a person away."""
    return StepRedirect(Redirect(url, state))


def done(token: Token) -> Step:
    """The step that ends an attempt with a token."""
    return StepDone(token)


def revoked() -> Step:
    """The step that ends a revocation."""
    return StepRevoked()


@dataclass
class RemedyRetry:
    """The same request may work later; after so many seconds where the provider said so."""

    seconds: int | None
    WIT: ClassVar[str] = "Remedy_Retry"


@dataclass
class RemedyReacquire:
    """The refresh token is spent: acquire anew."""

    WIT: ClassVar[str] = "Remedy_Reacquire"


@dataclass
class RemedyReconfigure:
    """A person has to correct a field or consent again."""

    WIT: ClassVar[str] = "Remedy_Reconfigure"


Remedy: TypeAlias = RemedyRetry | RemedyReacquire | RemedyReconfigure
