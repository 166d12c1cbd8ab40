"""A thin client of the tokenhost daemon: tokens that work, authorized calls, and typed errors.

It holds no credential but the caller's own, and knows nothing of how tokens are got. ``tokenhost.requests`` and
``tokenhost.httpx`` are adapters for those libraries; the client itself needs only the standard library.
"""

from .answers import Answer, Authorization, Rejection, Token
from .client import Client
from .errors import BadAnswer, Field, Problem, TokenhostError, Unreachable

__all__ = [
    "Answer",
    "Authorization",
    "BadAnswer",
    "Client",
    "Field",
    "Problem",
    "Rejection",
    "Token",
    "TokenhostError",
    "Unreachable",
]
