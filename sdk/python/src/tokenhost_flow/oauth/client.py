"""How a client authenticates itself at an endpoint (RFC 6749 section 2.3, RFC 7523, RFC 8705).

Reads the fields of :func:`fields.client` and :func:`fields.client_auth`. Which method a provider wants is the operator's to
say; nothing is tried in turn here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ..context import Context, Failure
from ..contract import BasicEncoding, Derivation, Form, Json, Request, basic, jwt, secret

__all__ = ["Assertion", "ClientAuth", "audience", "authenticated"]

#: The name of the derived value that holds the client's Basic credentials.
_CLIENT_BASIC = "client_basic"

#: The name of the derived value that holds the client's assertion.
_CLIENT_ASSERTION = "client_assertion"

#: What says that a client's assertion is a JWT (RFC 7523 section 2.2).
_JWT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#: How long an assertion is good, in seconds. Long enough for clocks that differ by minutes, short enough for the providers
#: that allow five minutes at most.
_ASSERTION_LIFETIME = 240


class ClientAuth(Enum):
    """How a client authenticates itself, in the order in which a form shows it; a value is what the fields say."""

    #: By the ``Authorization`` header, name and secret form-encoded first;
    BASIC = "basic"
    #: or not encoded;
    BASIC_RAW = "basic-raw"
    #: or with a space as ``%20``.
    BASIC_PERCENT = "basic-percent"
    #: By ``client_id`` and ``client_secret`` among the parameters.
    POST = "post"
    #: By an assertion that the client's secret signs (OpenID Connect Core section 9).
    SECRET_JWT = "client_secret_jwt"
    #: By an assertion that the client's private key signs (RFC 7523 section 2.2).
    KEY_JWT = "private_key_jwt"
    #: By the certificate of the connection (RFC 8705), which is a setting of the integration's transport; the parameters
    #: only say the ``client_id``.
    TLS = "tls_client_auth"
    #: Not at all: a public client only says its ``client_id`` (RFC 6749 section 3.2.1).
    NONE = "none"

    @classmethod
    def of(cls, context: Context, field: str) -> ClientAuth:
        """The method that a field names; RFC 6749's own where none is named. A :class:`Failure` where the field has a value
        that it can't have."""
        wanted = context.value(field) or "basic"
        try:
            return cls(wanted)
        except ValueError:
            raise Failure.reconfigure("invalid_field", f"the field {field} can't be {wanted}") from None


_BASIC = {
    ClientAuth.BASIC: BasicEncoding.FORM,
    ClientAuth.BASIC_RAW: BasicEncoding.NONE,
    ClientAuth.BASIC_PERCENT: BasicEncoding.PERCENT,
}


def authenticated(context: Context, url: str, parameters: Form, method: ClientAuth) -> Request:
    """A ``POST`` of these parameters to ``url`` by the authenticated client.

    Raises a :class:`Failure` where a field that the method needs is not set, or has a value that it can't have.
    """
    # Grants that say by themselves who is asking need no client.
    client_id = (context.value("client_id") or "") if method is ClientAuth.NONE else context.required("client_id")
    request = Request.post(url).header("accept", "application/json")
    if method in (ClientAuth.TLS, ClientAuth.NONE):
        return _written(context, request, parameters.optional("client_id", client_id))
    if method is ClientAuth.KEY_JWT:
        return _asserted(context, request, parameters, client_id, "private_key", "RS256")
    if method is ClientAuth.SECRET_JWT:
        return _asserted(context, request, parameters, client_id, "client_secret", "HS256")
    context.required_secret("client_secret")
    if method is ClientAuth.POST:
        parameters.add("client_id", client_id).secret("client_secret", "client_secret")
        return _written(context, request, parameters)
    credentials = basic(client_id, secret("client_secret"), _BASIC[method])
    request.header("authorization", ["Basic ", secret(_CLIENT_BASIC)]).derive(_CLIENT_BASIC, credentials)
    return _written(context, request, parameters)


def _written(context: Context, request: Request, parameters: Form) -> Request:
    """The request with these parameters, written as the field ``request_body`` says."""
    how = context.value("request_body") or "form"
    if how == "form":
        return request.form(parameters)
    if how == "json":
        return request.json(parameters.to_json())
    raise Failure.reconfigure("invalid_field", f"the field request_body can't be {how}")


def _asserted(context: Context, request: Request, parameters: Form, client_id: str, key: str, usual: str) -> Request:
    """The same with an assertion that ``key`` signs, by ``usual`` where no algorithm is set.

    ``client_id`` is sent too, though the assertion holds it: RFC 7521 section 4.2 allows that, and many providers find the
    client by it.
    """
    context.required_secret(key)
    aud = audience(context)
    algorithm = context.value("signing_algorithm") or usual
    if algorithm.startswith("HS") != (key == "client_secret"):
        message = f"the field signing_algorithm is {algorithm}, which doesn't go with {key}"
        raise Failure.reconfigure("invalid_field", message)
    assertion = Assertion(key, algorithm, client_id, aud, subject=client_id)
    parameters.add("client_id", client_id)
    parameters.add("client_assertion_type", _JWT_ASSERTION)
    parameters.secret("client_assertion", _CLIENT_ASSERTION)
    return _written(context, request.derive(_CLIENT_ASSERTION, assertion.derivation(context)), parameters)


@dataclass(frozen=True)
class Assertion:
    """A JWT that asserts who its issuer is, or for whom it acts (RFC 7523 section 3)."""

    #: The secret that signs it: PEM, JWK, or for ``HS*`` the bytes themselves.
    key: str
    #: The algorithm of RFC 7518, e.g. ``RS256``.
    algorithm: str
    #: ``iss``.
    issuer: str
    #: ``aud``.
    audience: str
    #: ``sub``; without one, the assertion has none.
    subject: str | None = None
    #: ``scope``, where a provider wants it within the JWT.
    scope: str | None = None

    def derivation(self, context: Context) -> Derivation:
        """The derived value: ``iat`` now, ``exp`` four minutes later, a fresh ``jti``, and ``kid`` from the field ``key_id``.

        The ``jti`` is made of the last 16 bytes of the step's entropy. A flow that needs something unguessable in the same
        step takes the first 16.
        """
        claims = Json().add("/iss", self.issuer)
        if self.subject is not None:
            claims.add("/sub", self.subject)
        claims.add("/aud", self.audience)
        if self.scope is not None:
            claims.add("/scope", self.scope)
        claims.add("/jti", bytes(reversed(context.entropy[-16:])).hex())
        claims.literal("/iat", context.now).literal("/exp", context.now + _ASSERTION_LIFETIME)
        key_id = context.value("key_id")
        header = None if key_id is None else Json().add("/kid", key_id)
        return jwt(self.algorithm, self.key, claims, header)


def audience(context: Context) -> str:
    """The ``aud`` of assertions: the field ``assertion_audience``, else the token URL without its query, for all endpoints
    alike. A :class:`Failure` where neither is set."""
    return context.value("assertion_audience") or re.split("[?#]", context.required("token_url"), maxsplit=1)[0]
