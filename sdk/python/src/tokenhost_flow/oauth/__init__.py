"""The token requests of RFC 6749 that most flows share: client authentication, scope, refresh.

They read the fields that :mod:`fields` declares, so a flow that uses them lists those.
"""

from __future__ import annotations

from ..context import Context, Failure
from ..contract import BasicEncoding, Form, Purpose, Request, basic, secret
from . import fields

__all__ = ["acquire", "fields", "refresh", "request"]

#: The name of the derived value that holds the client's Basic credentials.
_CLIENT_BASIC = "client_basic"

_BASIC = {"basic": BasicEncoding.FORM, "basic-raw": BasicEncoding.NONE, "basic-percent": BasicEncoding.PERCENT}


def acquire(context: Context, grant: Form) -> Request:
    """The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): ``grant`` and, where they are set, ``scope``,
    ``audience`` and ``resource``, sent to ``token_url`` by the authenticated client.

    Raises a :class:`Failure` where a field that it needs is not set, or has a value that it can't have.
    """
    grant.optional("scope", _scope(context)).optional("audience", context.value("audience"))
    for resource in context.words("resource"):
        grant.add("resource", resource)
    return _authenticated(context, context.required("token_url"), grant, "client_auth")


def refresh(context: Context) -> Request:
    """The request that refreshes the token (RFC 6749 section 6), sent to ``refresh_url``, else to ``token_url``.

    It repeats ``resource`` (RFC 8707 section 2.2), ``scope`` only where ``scope_on_refresh`` is ``send``, and no
    ``audience``, to which no standard gives a meaning there. Raises a :class:`Failure` where ``refresh`` is ``never``,
    there is no refresh token, or a field has a value that it can't have.
    """
    if context.value("refresh") == "never":
        raise Failure.reacquire("refresh_disabled", "the field refresh is never")
    if not context.has_secret("token.refresh_token"):
        raise Failure.reacquire("no_refresh_token", "the present token has no refresh token")
    parameters = Form().add("grant_type", "refresh_token").secret("refresh_token", "token.refresh_token")
    if context.value("scope_on_refresh") == "send":
        parameters.optional("scope", _scope(context))
    for resource in context.words("resource"):
        parameters.add("resource", resource)
    url = context.value("refresh_url") or context.required("token_url")
    same = (context.value("refresh_client_auth") or "same") == "same"
    return _authenticated(context, url, parameters, "client_auth" if same else "refresh_client_auth")


def request(context: Context, purpose: Purpose, grant: Form) -> Request:
    """A standard flow's request: :func:`acquire` with this grant, :func:`refresh`, and no revocation."""
    if purpose is Purpose.ACQUIRE:
        return acquire(context, grant)
    if purpose is Purpose.REFRESH:
        return refresh(context)
    raise Failure.unsupported("this flow knows no address at which a token is revoked")


def _authenticated(context: Context, url: str, parameters: Form, field: str) -> Request:
    """A ``POST`` by the client, which authenticates itself as the field says (RFC 6749 section 2.3)."""
    method = context.value(field) or "basic"
    if method not in _BASIC and method not in ("post", "none"):
        raise Failure.reconfigure("invalid_field", f"the field {field} can't be {method}")
    client_id = context.required("client_id")
    if method != "none":
        context.required_secret("client_secret")
    made = Request.post(url).header("accept", "application/json")
    if method in _BASIC:
        credentials = basic(client_id, secret("client_secret"), _BASIC[method])
        made.header("authorization", ["Basic ", secret(_CLIENT_BASIC)]).derive(_CLIENT_BASIC, credentials)
    else:
        parameters.add("client_id", client_id)
        if method == "post":
            parameters.secret("client_secret", "client_secret")
    return made.form(parameters)


def _scope(context: Context) -> str | None:
    """The wanted scope, its words separated by one space, if there is any."""
    return " ".join(context.words("scope")) or None
