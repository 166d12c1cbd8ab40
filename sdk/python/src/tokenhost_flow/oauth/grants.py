"""What is special to the grants that several flows know: the parameters that ``acquire`` sends besides its own."""

from __future__ import annotations

from ..context import Context
from ..contract import Form

__all__ = ["client_credentials", "password"]


def client_credentials() -> Form:
    """The client-credentials grant (RFC 6749 section 4.4.2)."""
    return Form().add("grant_type", "client_credentials")


def password(context: Context) -> Form:
    """The password grant (RFC 6749 section 4.3.2), of the fields ``username`` and ``password``; a :class:`Failure` where one
    of them is not set."""
    context.required_secret("password")
    grant = Form().add("grant_type", "password").add("username", context.required("username"))
    return grant.secret("password", "password")
