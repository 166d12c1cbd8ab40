"""When a request is sent once more, and after how long."""

from __future__ import annotations

import random

from .errors import Problem, TokenhostError, Unreachable

#: The first wait of our own making, in seconds; it doubles.
FIRST = 0.25
#: The longest.
LONGEST = 5.0

#: What the daemon answers where it has sent nothing to the service.
NOTHING_SENT = frozenset({"too_many_calls", "service_unavailable", "token_failed", "token_pending", "unavailable"})


def may_repeat(error: TokenhostError, repeatable: bool) -> bool:
    """Whether the same request may be sent once more after this failure."""
    if isinstance(error, Problem):
        if error.status not in (429, 502, 503) or error.code == "too_soon":
            return False
        return repeatable or error.code in NOTHING_SENT
    return isinstance(error, Unreachable) and (repeatable or not error.sent)


def wait(attempt: int, error: TokenhostError) -> float:
    """Seconds to wait after so many attempts (1 or more). Part of it is random, so that callers don't return in step."""
    if isinstance(error, Problem) and error.retry_after:
        return error.retry_after * random.uniform(1.0, 1.1)
    return min(FIRST * 2.0 ** (attempt - 1), LONGEST) * random.uniform(0.5, 1.0)
