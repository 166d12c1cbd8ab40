"""Proof Key for Code Exchange (RFC 7636), method ``S256``: what ties a code to the attempt that asked for it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256

from ..context import Context

__all__ = ["challenge", "verifier"]


def verifier(context: Context) -> str:
    """A new code verifier (section 4.1), made of the step's random bytes: 43 characters. It belongs in the flow's state."""
    return _base64url(context.entropy)


def challenge(verifier: str) -> str:
    """The code challenge of a verifier (section 4.2, ``S256``)."""
    return _base64url(sha256(verifier.encode()).digest())


def _base64url(value: bytes) -> str:
    """RFC 4648 section 5, without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()
