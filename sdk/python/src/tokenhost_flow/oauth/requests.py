"""The requests that most flows share: acquire with a grant, refresh, revoke. They read the fields that :mod:`fields`
declares."""

from __future__ import annotations

from ..context import Context, Failure
from ..contract import Form, Purpose, Request
from .client import ClientAuth, authenticated

__all__ = ["acquire", "ask", "refresh", "request", "revoke", "scope"]


def acquire(context: Context, grant: Form) -> Request:
    """The request that acquires a token (RFC 6749 sections 4.3.2 and 4.4.2): ``grant`` and, where they are set, ``scope``,
    ``audience`` and ``resource``, sent to ``token_url`` by the authenticated client.

    Raises a :class:`Failure` where a field that it needs is not set, or has a value that it can't have.
    """
    grant.optional("scope", scope(context)).optional("audience", context.value("audience"))
    for resource in context.words("resource"):
        grant.add("resource", resource)
    return ask(context, grant)


def ask(context: Context, parameters: Form) -> Request:
    """A request of exactly these parameters, sent to ``token_url`` by the authenticated client: for grants that write scope
    and audience in their own way. Raises as :func:`acquire`."""
    return authenticated(context, context.required("token_url"), parameters, ClientAuth.of(context, "client_auth"))


def refresh(context: Context) -> Request:
    """The request that refreshes the token (RFC 6749 section 6), sent to ``refresh_url``, else to ``token_url``.

    It repeats ``resource`` (RFC 8707 section 2.2), ``scope`` only where ``scope_on_refresh`` is ``send``, and no
    ``audience``, to which no standard gives a meaning there. Raises a :class:`Failure` where ``refresh`` is ``never``,
    there is no refresh token, or a field is not set or has a value that it can't have.
    """
    if context.value("refresh") == "never":
        raise Failure.reacquire("refresh_disabled", "the field refresh is never")
    if not context.has_secret("token.refresh_token"):
        raise Failure.reacquire("no_refresh_token", "the present token has no refresh token")
    same = (context.value("refresh_client_auth") or "same") == "same"
    method = ClientAuth.of(context, "client_auth" if same else "refresh_client_auth")
    url = context.value("refresh_url") or context.required("token_url")
    parameters = Form().add("grant_type", "refresh_token").secret("refresh_token", "token.refresh_token")
    if context.value("scope_on_refresh") == "send":
        parameters.optional("scope", scope(context))
    for resource in context.words("resource"):
        parameters.add("resource", resource)
    return authenticated(context, url, parameters, method)


def revoke(context: Context) -> Request:
    """The request that revokes the token (RFC 7009 section 2.1), sent to ``revocation_url``: the refresh token where there is
    one, since its end is the end of the access tokens got with it, else the access token.

    Raises a :class:`Failure`: ``unsupported`` where ``revocation_url`` is not set; there is no token, or a field is not set
    or has a value that it can't have.
    """
    url = context.value("revocation_url")
    if url is None:
        raise Failure.unsupported("the field revocation_url is not set, so that no token can be revoked")
    hint = "refresh_token" if context.has_secret("token.refresh_token") else "access_token"
    context.required_secret(f"token.{hint}")
    parameters = Form().secret("token", f"token.{hint}").add("token_type_hint", hint)
    return authenticated(context, url, parameters, ClientAuth.of(context, "client_auth"))


def request(context: Context, purpose: Purpose, grant: Form) -> Request:
    """A standard flow's request: :func:`acquire` with this grant, :func:`refresh`, or :func:`revoke`."""
    if purpose is Purpose.ACQUIRE:
        return acquire(context, grant)
    return refresh(context) if purpose is Purpose.REFRESH else revoke(context)


def scope(context: Context) -> str | None:
    """The wanted scope, its words separated as the field ``scope_separator`` says, if there is any."""
    separator = {"comma": ",", "plus": "+"}.get(context.value("scope_separator") or "", " ")
    return separator.join(context.words("scope")) or None
