"""The fields that OAuth flows share, in groups, so that every flow names and explains them alike.

A flow puts its own between them: :func:`client`, its own, :func:`token_url`, :func:`target`, :func:`client_auth`,
:func:`refresh`, :func:`revocation_url`.
"""

from __future__ import annotations

from ..contract import Condition, Field
from .client import ClientAuth

#: The ways of client authentication that need a ``client_id``: all but ``none``, with grants that say by themselves who asks.
WITH_CLIENT = tuple(method.value for method in ClientAuth if method is not ClientAuth.NONE)

#: The ways of client authentication in which ``client_secret`` takes part.
WITH_SECRET = ("basic", "basic-raw", "basic-percent", "post", "client_secret_jwt")

_METHODS = [method.value for method in ClientAuth]

#: The algorithms that can sign (RFC 7518 section 3.1, RFC 8037).
_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256", "HS384", "HS512",
)  # fmt: skip


def client() -> list[Field]:
    """``client_id`` and ``client_secret``."""
    return [
        Field.text(
            "client_id", "Client ID", help="The name under which the provider knows this client.", required=True
        ),
        Field.secret(
            "client_secret",
            "Client secret",
            help="The client's password, for the ways of client_auth that need one. During a rotation, give the one to "
            "fall back to as client_secret.2.",
            required=Condition("client_auth", list(WITH_SECRET)),
        ),
    ]


def token_url() -> Field:
    """``token_url``."""
    return Field.url(
        "token_url",
        "Token URL",
        help="Where tokens are requested. Parameters in its query are kept.",
        required=True,
        source="tokenUrl",
    )


def target() -> list[Field]:
    """What the token is for, and how that is written: ``scope``, ``scope_separator``, ``audience``, ``resource`` and
    ``request_body``."""
    return [
        Field.words(
            "scope", "Scope", help="The scopes to ask for, separated by spaces. Empty: the provider's default."
        ),
        scope_separator(),
        Field.text("audience", "Audience", help="Sent as audience when a token is acquired; some providers want it."),
        Field.words(
            "resource",
            "Resource",
            help="The URIs of the services that the token is for, separated by spaces (RFC 8707). Each is sent as "
            "resource.",
        ),
        request_body(),
    ]


def scope_separator() -> Field:
    """``scope_separator``."""
    return Field.choice(
        "scope_separator",
        "Scope separator",
        ["space", "comma", "plus"],
        help="What stands between scopes. space: as RFC 6749 section 3.3 says; comma and plus: as some providers want it.",
        default="space",
    )


def request_body() -> Field:
    """``request_body``."""
    return Field.choice(
        "request_body",
        "Request body",
        ["form", "json"],
        help="How the parameters of requests are written. form: as RFC 6749 says; json: as a JSON object, which some "
        "providers want instead.",
        default="form",
    )


def client_auth() -> list[Field]:
    """How the client authenticates itself: ``client_auth``, and for assertions ``private_key``, ``key_id``,
    ``signing_algorithm`` and ``assertion_audience``."""
    return [
        client_auth_method("basic"),
        private_key(required=Condition("client_auth", ["private_key_jwt"])),
        key_id(),
        signing_algorithm(
            help="The algorithm that signs the JWT by which the client authenticates itself (RFC 7518). Unset: HS256 with "
            "client_secret_jwt, RS256 with private_key_jwt. It has to go with the key."
        ),
        assertion_audience(),
    ]


def client_auth_method(default: str) -> Field:
    """``client_auth``, with its default."""
    return Field.choice(
        "client_auth",
        "Client authentication",
        _METHODS,
        help="How the client authenticates itself. basic: the Authorization header, ID and secret form-encoded first, "
        "as RFC 6749 section 2.3.1 says; basic-raw: the same without encoding; basic-percent: the same with a "
        "space as %20; post: ID and secret among the parameters; client_secret_jwt and private_key_jwt: a JWT "
        "signed with the secret or the private key (RFC 7523); tls_client_auth: the client certificate of the "
        "integration's transport (RFC 8705); none: only the ID. Providers differ; where one says invalid_client "
        "though ID and secret are right, try another.",
        default=default,
    )


def private_key(*, required: bool | Condition = False) -> Field:
    """``private_key``, which nothing requires unless it is said here."""
    return Field.secret(
        "private_key",
        "Private key",
        help="The key that signs JWTs, as PEM (unencrypted) or as JWK.",
        required=required,
    )


def key_id() -> Field:
    """``key_id``."""
    return Field.text(
        "key_id", "Key ID", help="The kid of signed JWTs: how the provider finds the key. Unset: none is sent."
    )


def signing_algorithm(
    *, help: str = "The algorithm that signs JWTs (RFC 7518). It has to go with the key."
) -> Field:
    """``signing_algorithm``."""
    return Field.choice("signing_algorithm", "Signing algorithm", _ALGORITHMS, help=help)


def assertion_audience() -> Field:
    """``assertion_audience``."""
    return Field.text(
        "assertion_audience",
        "Audience of assertions",
        help="The aud of signed JWTs. Unset: the token URL; some providers want their issuer.",
    )


def revocation_url() -> Field:
    """``revocation_url``."""
    return Field.url(
        "revocation_url",
        "Revocation URL",
        help="Where the token is revoked when the integration is deleted (RFC 7009). Unset: it is only forgotten here.",
    )


def refresh() -> list[Field]:
    """How the token is refreshed: ``refresh``, ``refresh_url``, ``refresh_client_auth`` and ``scope_on_refresh``."""
    return [
        Field.choice(
            "refresh",
            "Refresh",
            ["auto", "never"],
            help="auto: use the refresh token where the provider gives one. never: always acquire a new token.",
            default="auto",
        ),
        Field.url(
            "refresh_url",
            "Refresh URL",
            help="Where tokens are refreshed, if not at the token URL.",
            source="refreshUrl",
        ),
        Field.choice(
            "refresh_client_auth",
            "Client authentication on refresh",
            ["same", *_METHODS],
            help="How the client authenticates itself when it refreshes. same: as client_auth says.",
            default="same",
        ),
        Field.choice(
            "scope_on_refresh",
            "Scope on refresh",
            ["auto", "send", "omit"],
            help="Whether the scope is sent again on refresh. auto: as RFC 6749 section 6 allows, it is omitted, which "
            "asks for the same scope as before; send: always; omit: never.",
            default="auto",
        ),
    ]
