"""What a flow answers with a request: parts in which secrets stand by name, bodies, and values that the host computes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from json import dumps
from typing import ClassVar, TypeAlias


@dataclass
class PartText:
    """Literal text."""

    text: str
    WIT: ClassVar[str] = "Part_Text"


@dataclass
class PartSensitive:
    """Text that the flow made or was told and that no record shall show."""

    text: str
    WIT: ClassVar[str] = "Part_Sensitive"


@dataclass
class PartSecret:
    """The value of the secret, or of the derived value, of this name."""

    name: str
    WIT: ClassVar[str] = "Part_Secret"


@dataclass
class PartBody:
    """The request's body as it will be sent; only inside a derivation."""

    WIT: ClassVar[str] = "Part_Body"


Part: TypeAlias = PartText | PartSensitive | PartSecret | PartBody
#: Parts, joined.
Template: TypeAlias = list[Part]
#: What becomes a template: literal text, a part, or parts joined.
Templatable: TypeAlias = str | Part | Iterable[str | Part]


def text(value: str) -> Part:
    """Literal text."""
    return PartText(value)


def sensitive(value: str) -> Part:
    """Text that no record shall show: a code, a verifier."""
    return PartSensitive(value)


def secret(name: str) -> Part:
    """The value of the secret, or of the derived value, of this name."""
    return PartSecret(name)


def body() -> Part:
    """The request's body as it will be sent; only inside a derivation."""
    return PartBody()


def template(value: Templatable) -> Template:
    """Parts, joined."""
    parts: Iterable[str | Part] = (
        [value] if isinstance(value, str | PartText | PartSensitive | PartSecret | PartBody) else value
    )
    return [PartText(part) if isinstance(part, str) else part for part in parts]


class Method(Enum):
    """A request's method."""

    GET = "get"
    POST = "post"
    PUT = "put"
    PATCH = "patch"
    DELETE = "delete"


@dataclass
class ValueText:
    """A string made of parts."""

    template: Template
    WIT: ClassVar[str] = "JsonValue_Text"


@dataclass
class ValueLiteral:
    """Any JSON value, as JSON text."""

    json: str
    WIT: ClassVar[str] = "JsonValue_Literal"


@dataclass
class Member:
    """A member of a JSON document, set by JSON pointer (RFC 6901)."""

    pointer: str
    value: ValueText | ValueLiteral


class Escape(Enum):
    """How a secret is written into raw content."""

    NONE = "none"
    JSON = "json"
    XML = "xml"
    FORM = "form"


@dataclass
class Raw:
    """Content of the flow's own making."""

    content_type: str
    content: Template
    escape: Escape


@dataclass
class BodyEmpty:
    """No body."""

    WIT: ClassVar[str] = "Body_Empty"


@dataclass
class BodyForm:
    """``application/x-www-form-urlencoded``."""

    parameters: list[tuple[str, Template]]
    WIT: ClassVar[str] = "Body_Form"


@dataclass
class BodyJson:
    """``application/json``."""

    members: list[Member]
    WIT: ClassVar[str] = "Body_Json"


@dataclass
class BodyRaw:
    """See :class:`Raw`."""

    raw: Raw
    WIT: ClassVar[str] = "Body_Raw"


Body: TypeAlias = BodyEmpty | BodyForm | BodyJson | BodyRaw


class BasicEncoding(Enum):
    """How user and password are encoded first. RFC 6749 section 2.3.1 says ``FORM``; providers differ."""

    NONE = "none"
    FORM = "form"
    PERCENT = "percent"


class Hash(Enum):
    """A hash function."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class Encoding(Enum):
    """How bytes become text."""

    RAW = "raw"
    HEX = "hex"
    BASE64 = "base64"
    BASE64URL = "base64url"


class Transformation(Enum):
    """What is done to a value."""

    BASE64 = "base64"
    BASE64URL = "base64url"
    HEX = "hex"
    BASE64_DECODE = "base64-decode"
    HEX_DECODE = "hex-decode"
    PERCENT = "percent"
    FORM = "form"
    LOWER_CASE = "lower-case"
    UPPER_CASE = "upper-case"


@dataclass
class Basic:
    """RFC 7617."""

    user: Template
    password: Template
    encoding: BasicEncoding


@dataclass
class Jwt:
    """RFC 7519: a signed JWT in compact form."""

    algorithm: str
    key: str
    header: list[Member]
    claims: list[Member]


@dataclass
class Hmac:
    """An HMAC."""

    hash: Hash
    key: Template
    message: Template
    encoding: Encoding


@dataclass
class Digest:
    """A digest."""

    hash: Hash
    message: Template
    encoding: Encoding


@dataclass
class Transform:
    """A value, transformed."""

    value: Template
    how: list[Transformation]


@dataclass
class DerivationBasic:
    """See :class:`Basic`."""

    value: Basic
    WIT: ClassVar[str] = "Derivation_Basic"


@dataclass
class DerivationJwt:
    """See :class:`Jwt`."""

    value: Jwt
    WIT: ClassVar[str] = "Derivation_Jwt"


@dataclass
class DerivationHmac:
    """See :class:`Hmac`."""

    value: Hmac
    WIT: ClassVar[str] = "Derivation_Hmac"


@dataclass
class DerivationDigest:
    """See :class:`Digest`."""

    value: Digest
    WIT: ClassVar[str] = "Derivation_Digest"


@dataclass
class DerivationTransform:
    """See :class:`Transform`."""

    value: Transform
    WIT: ClassVar[str] = "Derivation_Transform"


Derivation: TypeAlias = DerivationBasic | DerivationJwt | DerivationHmac | DerivationDigest | DerivationTransform


@dataclass
class Derived:
    """A value that the host computes, and its name."""

    name: str
    value: Derivation


@dataclass
class Request:
    """A request that the host is asked to send. The URL may have a query of its own."""

    method: Method
    url: str
    query: list[tuple[str, Template]] = field(default_factory=list)
    headers: list[tuple[str, Template]] = field(default_factory=list)
    body: Body = field(default_factory=BodyEmpty)
    derived: list[Derived] = field(default_factory=list)

    @classmethod
    def post(cls, url: str) -> Request:
        """A ``POST``."""
        return cls(Method.POST, url)

    @classmethod
    def get(cls, url: str) -> Request:
        """A ``GET``."""
        return cls(Method.GET, url)

    def parameter(self, name: str, value: Templatable) -> Request:
        """Adds a parameter to the URL's query."""
        self.query.append((name, template(value)))
        return self

    def header(self, name: str, value: Templatable) -> Request:
        """Adds a header."""
        self.headers.append((name, template(value)))
        return self

    def form(self, form: Form) -> Request:
        """Sends this form."""
        self.body = BodyForm(form.parameters)
        return self

    def json(self, document: Json) -> Request:
        """Sends this JSON document."""
        self.body = BodyJson(document.members)
        return self

    def raw(self, content_type: str, content: Templatable, escape: Escape = Escape.NONE) -> Request:
        """Sends content of the flow's own making; ``escape`` says how secrets are written into it."""
        self.body = BodyRaw(Raw(content_type, template(content), escape))
        return self

    def derive(self, name: str, value: Derivation) -> Request:
        """Declares a value that the host computes; a template places it by ``secret(name)``."""
        self.derived.append(Derived(name, value))
        return self


@dataclass
class Form:
    """The parameters of an ``application/x-www-form-urlencoded`` body."""

    parameters: list[tuple[str, Template]] = field(default_factory=list)

    def add(self, name: str, value: Templatable) -> Form:
        """Adds a value: text, a part, or parts."""
        self.parameters.append((name, template(value)))
        return self

    def optional(self, name: str, value: str | None) -> Form:
        """Adds literal text, if there is any."""
        return self.add(name, value) if value else self

    def secret(self, name: str, secret_name: str) -> Form:
        """Adds a secret by its name."""
        return self.add(name, PartSecret(secret_name))

    def to_json(self) -> Json:
        """The same parameters as members of a JSON object; one that is there several times is an array."""
        names = [name for name, _ in self.parameters]
        json = Json()
        for name, value in self.parameters:
            end = "/-" if names.count(name) > 1 else ""
            json.add(f"/{name.replace('~', '~0').replace('/', '~1')}{end}", value)
        return json


@dataclass
class Json:
    """The members of an ``application/json`` body, each set by its JSON pointer (RFC 6901), e.g. ``/user/name``."""

    members: list[Member] = field(default_factory=list)

    def add(self, pointer: str, value: Templatable) -> Json:
        """Sets a string: text, a part, or parts."""
        self.members.append(Member(pointer, ValueText(template(value))))
        return self

    def secret(self, pointer: str, secret_name: str) -> Json:
        """Sets a string to a secret, by its name."""
        return self.add(pointer, PartSecret(secret_name))

    def literal(self, pointer: str, value: object) -> Json:
        """Sets any JSON value."""
        self.members.append(Member(pointer, ValueLiteral(dumps(value))))
        return self


def basic(user: Templatable, password: Templatable, encoding: BasicEncoding = BasicEncoding.FORM) -> Derivation:
    """RFC 7617: base64 of ``user:password``, both encoded first."""
    return DerivationBasic(Basic(template(user), template(password), encoding))


def jwt(algorithm: str, key: str, claims: Json, header: Json | None = None) -> Derivation:
    """RFC 7519: a signed JWT in compact form. ``key`` names the secret that holds the key."""
    return DerivationJwt(Jwt(algorithm, key, header.members if header else [], claims.members))


def hmac(hash: Hash, key: Templatable, message: Templatable, encoding: Encoding) -> Derivation:
    """An HMAC."""
    return DerivationHmac(Hmac(hash, template(key), template(message), encoding))


def digest(hash: Hash, message: Templatable, encoding: Encoding) -> Derivation:
    """A digest."""
    return DerivationDigest(Digest(hash, template(message), encoding))


def transform(value: Templatable, *how: Transformation) -> Derivation:
    """A value, transformed in this order."""
    return DerivationTransform(Transform(template(value), list(how)))
