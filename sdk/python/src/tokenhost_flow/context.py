"""Reading the context, and saying why a flow gives up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .contract import Remedy, RemedyReacquire, RemedyReconfigure, RemedyRetry, Scheme, Unanswered


@dataclass
class Context:
    """What a flow is given at a step."""

    scheme: Scheme
    #: All that is set and not secret, by name: fields, and of the present token ``token.NAME``.
    values: list[tuple[str, str]]
    #: The names of the secrets that are set: fields, ``token.access_token``, ``token.refresh_token``, ``token.NAME``.
    secrets: list[str]
    #: Secrets that the operator lets this very component read. Empty unless granted by name and digest.
    revealed: list[tuple[str, str]]
    #: Seconds since the Unix epoch.
    now: int
    #: 32 random bytes, fresh for each step. What must last belongs in the state.
    entropy: bytes
    #: For flows that send a person away: where to send them back to,
    callback_url: str | None = None
    #: and the value for the provider to echo (``state`` in RFC 6749), by which the host knows the attempt.
    return_key: str | None = None

    def value(self, name: str) -> str | None:
        """The value of a field, or of the present token as ``token.NAME``. An empty value counts as none."""
        found = next((value for known, value in self.values if known == name), "")
        return found.strip() or None

    def required(self, name: str) -> str:
        """The value of a field that the flow can't do without; a :class:`Failure` that names it if it isn't set."""
        value = self.value(name)
        if value is None:
            raise _missing(name)
        return value

    def words(self, name: str) -> list[str]:
        """The words of a field of kind ``words``."""
        return (self.value(name) or "").split()

    def flag(self, name: str) -> bool:
        """Whether a field of kind ``flag`` is ``true``."""
        return self.value(name) == "true"

    def filled(self, values: Mapping[str, str]) -> Context:
        """The same context, in which these values stand where nothing is set."""
        unset = [(name, value) for name, value in values.items() if self.value(name) is None]
        # One that is set to nothing would be found first.
        names = {name for name, _ in unset}
        return replace(self, values=[*(pair for pair in self.values if pair[0] not in names), *unset])

    def has_secret(self, name: str) -> bool:
        """Whether a secret of this name is set, e.g. ``client_secret`` or ``token.refresh_token``."""
        return name in self.secrets

    def required_secret(self, name: str) -> None:
        """Holds that a secret is set that the flow can't do without; a :class:`Failure` that names it if it isn't."""
        if not self.has_secret(name):
            raise _missing(name)


class Failure(Exception):
    """Why an attempt ends without a token, and what can be done. A flow raises it.

    Any other exception that leaves a flow is a fault of the flow: the host stops the step, and keeps the provider's
    answer for a repaired version.
    """

    def __init__(self, code: str, message: str, remedy: Remedy) -> None:
        super().__init__(message)
        #: Of RFC 6749 where one fits, e.g. ``invalid_grant``.
        self.code = code
        #: For people.
        self.message = message
        #: What can be done.
        self.remedy = remedy

    @classmethod
    def retry(cls, code: str, message: str, seconds: int | None = None) -> Failure:
        """The same request may work later, after ``seconds`` where the provider said so."""
        return cls(code, message, RemedyRetry(seconds))

    @classmethod
    def reacquire(cls, code: str, message: str) -> Failure:
        """The refresh token is no use any more: acquire anew."""
        return cls(code, message, RemedyReacquire())

    @classmethod
    def reconfigure(cls, code: str, message: str) -> Failure:
        """A person has to correct a field or consent again."""
        return cls(code, message, RemedyReconfigure())

    @classmethod
    def unsupported(cls, message: str) -> Failure:
        """The flow doesn't do this, e.g. revoke."""
        return cls.reconfigure("unsupported", message)

    @classmethod
    def unanswered(cls, what: Unanswered) -> Failure:
        """What a standard flow answers where its request got no complete answer."""
        how_far = "got no complete answer" if what.left else "could not be sent"
        return cls.retry("no_answer", f"the request {how_far}: {what.reason}")

    def line(self) -> str:
        """The failure as one line: code, remedy, message."""
        remedy = type(self.remedy).__name__.removeprefix("Remedy").lower()
        if isinstance(self.remedy, RemedyRetry) and self.remedy.seconds is not None:
            remedy += f" after {self.remedy.seconds}"
        return f"{self.code}, {remedy}: {self.message}"


def _missing(name: str) -> Failure:
    return Failure.reconfigure("missing_field", f"the field {name} is not set")
