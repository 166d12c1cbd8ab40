"""The two ways to write a flow: :class:`OAuthFlow`, which is a description and one function, and :class:`Flow`, which is
the whole state machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from . import token_response
from .context import Context, Failure
from .contract import (
    Description,
    Event,
    EventAnswered,
    EventBegin,
    EventElapsed,
    EventUnanswered,
    Purpose,
    Request,
    Response,
    Step,
    Token,
    done,
    revoked,
    send,
)


class Flow(ABC):
    """A flow as the contract has it: a pure function from context and event to the next step.

    Each step has an instance of its own, in a fresh interpreter: what must last from one to the next goes into the state.
    """

    #: What the flow is.
    description: ClassVar[Description]

    @abstractmethod
    def advance(self, context: Context, event: Event) -> Step:
        """The next step of an attempt. It raises a :class:`Failure` where the attempt ends without a token."""


class OAuthFlow(Flow):
    """An ordinary OAuth flow: one request, and its answer holds the token."""

    @abstractmethod
    def request(self, context: Context, purpose: Purpose) -> Request:
        """The request that acquires, refreshes or revokes a token; ``tokenhost_flow.oauth`` makes the standard ones."""

    def token(self, context: Context, purpose: Purpose, response: Response) -> Token:
        """The token in the answer. Unless overridden: what :func:`token_response.parse` finds."""
        return token_response.parse(context, purpose, response)

    def advance(self, context: Context, event: Event) -> Step:
        """Sends the request, and reads the answer."""
        if isinstance(event, EventBegin):
            return send(self.request(context, event.purpose), event.purpose.value)
        if isinstance(event, EventAnswered):
            try:
                purpose = Purpose(event.value.state)
            except ValueError:
                raise _unexpected("an answer to a request that it did not send") from None
            if purpose is Purpose.REVOKE:
                token_response.revoked(context, event.value.response)
                return revoked()
            return done(self.token(context, purpose, event.value.response))
        if isinstance(event, EventUnanswered):
            raise Failure.unanswered(event.value)
        if isinstance(event, EventElapsed):
            raise _unexpected("the end of a wait that it did not ask for")
        raise _unexpected("a person back that it did not send away")


def _unexpected(what: str) -> Failure:
    return Failure.retry("unexpected_event", f"the flow was given {what}")
