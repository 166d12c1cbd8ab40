"""A token request signed by HMAC, as many vendors want it, each in their own way.

The host computes the HMAC, since only it has the key: this flow says of what. The text that is signed, and the header that
carries the signature, are patterns in which ``{name}`` stands for a part of the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import TypeVar
from urllib.parse import urlsplit

from tokenhost_flow import (
    Context,
    Description,
    Encoding,
    Failure,
    Field,
    Form,
    Hash,
    Json,
    Method,
    OAuthFlow,
    Part,
    Purpose,
    Request,
    Response,
    Token,
    Transformation,
    body,
    digest,
    export,
    hmac,
    secret,
    text,
    token_response,
    transform,
)

_HASHES = {"sha256": Hash.SHA256, "sha1": Hash.SHA1, "sha384": Hash.SHA384, "sha512": Hash.SHA512}
_ENCODINGS = {"base64": Encoding.BASE64, "base64url": Encoding.BASE64URL, "hex": Encoding.HEX}
_KEYS = {"base64": Transformation.BASE64_DECODE, "hex": Transformation.HEX_DECODE}

#: The names that the host knows the derived values by.
_KEY, _DIGEST, _SIGNATURE = "decoded_key", "body_digest", "signature"

T = TypeVar("T")

_NAME = re.compile(r"\{([a-z_]+)\}")


class HmacToken(OAuthFlow):
    """The flow."""

    description = Description(
        "hmac-token",
        "0.1.0",
        "HMAC-signed token request",
        summary="For services that give a token to whoever signs the request for it with a shared key (HMAC), in the "
        "vendor's own way: which parts are signed, and where the signature stands, is said by patterns.",
        fields=[
            Field.url("token_url", "Token URL", help="Where tokens are requested.", required=True, source="tokenUrl"),
            Field.text("key_id", "Key ID", help="The name of the key, as the service knows it.", required=True),
            Field.secret("key", "Key", help="The shared key.", required=True),
            Field.choice(
                "key_encoding",
                "Encoding of the key",
                ["text", "base64", "hex"],
                help="How the key is written: as it is used, or as base64 or hex of that.",
                default="text",
            ),
            Field.choice("method", "Method", ["POST", "GET", "PUT"], help="Of the token request.", default="POST"),
            Field.choice("content_type", "Content type", ["form", "json"], help="Of its body.", default="form"),
            Field.words(
                "parameters",
                "Parameters",
                help="What the request carries, as name=value, separated by spaces; with GET in the query.",
                default="grant_type=client_credentials",
            ),
            Field.text(
                "canonical",
                "Text to sign",
                help=r"A pattern; \n is a line break. {method} {path} {query} {host} {timestamp} {nonce} {key_id} "
                "{body_digest} stand for parts of the request.",
                default=r"{method}\n{path}\n{timestamp}\n{nonce}\n{body_digest}",
            ),
            Field.choice("hash", "Hash", list(_HASHES), help="Of the HMAC and of the body's digest.", default="sha256"),
            Field.choice(
                "encoding",
                "Encoding of the signature",
                list(_ENCODINGS),
                help="Of the signature and of the body's digest.",
                default="base64",
            ),
            Field.choice(
                "timestamp",
                "Timestamp",
                ["seconds", "milliseconds", "iso"],
                help="How the time is written: since 1970, or as 2026-11-22T10:00:00Z.",
                default="seconds",
            ),
            Field.words(
                "headers",
                "Headers",
                help="Headers of the request as name=pattern, separated by spaces; {signature} stands for the signature, "
                "the rest as in the text to sign. In a pattern, \\s is a space.",
                default=r"Authorization=HMAC\s{key_id}:{signature} X-Timestamp={timestamp} X-Nonce={nonce}",
            ),
            Field.text(
                "lifetime",
                "Lifetime",
                help="In seconds, where the answer doesn't say how long the token is good.",
            ),
        ],
    )

    def request(self, context: Context, purpose: Purpose) -> Request:
        """The signed request."""
        if purpose is Purpose.REFRESH:
            raise Failure.reacquire("no_refresh", "a new token takes another signed request")
        if purpose is Purpose.REVOKE:
            raise Failure.unsupported("this flow knows no address at which a token is revoked")
        context.required_secret("key")
        method = Method((context.value("method") or "POST").lower())
        request = Request(method, context.required("token_url"))
        members = _pairs(context, "parameters")
        if method is Method.GET:
            for name, value in members:
                request.parameter(name, value)
        elif context.value("content_type") == "json":
            document = Json()
            for name, value in members:
                document.add("/" + name.replace("~", "~0").replace("/", "~1"), value)
            request.json(document)
        else:
            form = Form()
            for name, value in members:
                form.add(name, value)
            request.form(form)
        _sign(context, request, dict(members) if method is Method.GET else {})
        return request

    def token(self, context: Context, purpose: Purpose, response: Response) -> Token:
        """What the answer says, and the lifetime that is known beforehand."""
        token = token_response.parse(context, purpose, response)
        lifetime = context.value("lifetime")
        if lifetime is not None and token.expires_in is None and token.expires_at is None:
            if not lifetime.isdecimal():
                raise Failure.reconfigure("invalid_field", "the field lifetime isn't a number of seconds")
            token.expires_in = int(lifetime[:12])
        return token


def _sign(context: Context, request: Request, query: dict[str, str]) -> None:
    """Declares the signature, and adds the headers."""
    hash = _choice(context, "hash", _HASHES)
    encoding = _choice(context, "encoding", _ENCODINGS)
    parts = _parts(context, request, query)
    key: Part = secret("key")
    how = context.value("key_encoding") or "text"
    if how in _KEYS:
        request.derive(_KEY, transform(key, _KEYS[how]))
        key = secret(_KEY)
    canonical = context.value("canonical") or ""
    headers = _pairs(context, "headers")
    if any("{body_digest}" in pattern for pattern in [canonical, *(value for _, value in headers)]):
        request.derive(_DIGEST, digest(hash, body(), encoding))
    request.derive(_SIGNATURE, hmac(hash, key, _fill("canonical", canonical.replace(r"\n", "\n"), parts), encoding))
    parts["signature"] = secret(_SIGNATURE)
    for name, pattern in headers:
        request.header(name, _fill("headers", pattern.replace(r"\s", " "), parts))


def _parts(context: Context, request: Request, query: dict[str, str]) -> dict[str, Part]:
    """What the names in patterns stand for."""
    url = urlsplit(request.url)
    own = [url.query] if url.query else []
    moment: dict[str, Callable[[], str]] = {
        "seconds": lambda: str(context.now),
        "milliseconds": lambda: f"{context.now}000",
        "iso": lambda: datetime.fromtimestamp(context.now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {
        "method": text(request.method.name),
        "path": text(url.path or "/"),
        "query": text("&".join(own + [f"{name}={value}" for name, value in query.items()])),
        "host": text(url.netloc.rpartition("@")[2]),
        "timestamp": text(_choice(context, "timestamp", moment)()),
        "nonce": text(context.entropy[:16].hex()),
        "key_id": text(context.required("key_id")),
        "body_digest": secret(_DIGEST),
    }


def _fill(field: str, pattern: str, parts: dict[str, Part]) -> list[str | Part]:
    """A pattern as a template."""
    filled: list[str | Part] = []
    for index, piece in enumerate(_NAME.split(pattern)):
        if index % 2 == 0:
            filled += [piece] if piece else []
        elif piece in parts:
            filled.append(parts[piece])
        else:
            known = ", ".join(parts)
            raise Failure.reconfigure("invalid_field", f"the field {field} names {{{piece}}}; there are {known}")
    return filled


def _pairs(context: Context, field: str) -> list[tuple[str, str]]:
    """A field of words, each ``name=value``."""
    pairs = [word.partition("=") for word in context.words(field)]
    if any(not name or not sign for name, sign, _ in pairs):
        raise Failure.reconfigure("invalid_field", f"the field {field} has a word that isn't name=value")
    return [(name, value) for name, _, value in pairs]


def _choice(context: Context, field: str, choices: dict[str, T]) -> T:
    """What the value of a field stands for."""
    value = context.value(field) or next(iter(choices))
    if value not in choices:
        raise Failure.reconfigure("invalid_field", f"the field {field} can't be {value}")
    return choices[value]


Flow = export(HmacToken)
