"""The contract's types, as ``wit/flow.wit`` has them, for Python.

A class has the fields of its record in their order, and ``WIT`` where the bindings call it otherwise; ``component`` relies on
both. The builders are methods of these very classes: a field is made by :meth:`Field.text`, a request by
:meth:`Request.post`. Nothing here is encoded or sent; the host does that when a request leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from json import dumps
from typing import ClassVar, TypeAlias

__all__ = [
    "Always",
    "Answered",
    "Basic",
    "BasicEncoding",
    "Body",
    "BodyEmpty",
    "BodyForm",
    "BodyJson",
    "BodyRaw",
    "Condition",
    "Derivation",
    "DerivationBasic",
    "DerivationDigest",
    "DerivationHmac",
    "DerivationJwt",
    "DerivationTransform",
    "Derived",
    "Description",
    "Digest",
    "Encoding",
    "Escape",
    "Event",
    "EventAnswered",
    "EventBegin",
    "EventElapsed",
    "EventReturned",
    "EventUnanswered",
    "Field",
    "FieldKind",
    "Form",
    "Hash",
    "Hmac",
    "Json",
    "Jwt",
    "KindChoice",
    "KindFlag",
    "KindMetadataUrl",
    "KindSecret",
    "KindText",
    "KindUrl",
    "KindWords",
    "Location",
    "Member",
    "Method",
    "Never",
    "Part",
    "PartBody",
    "PartSecret",
    "PartSensitive",
    "PartText",
    "Placement",
    "Prompt",
    "Purpose",
    "Raw",
    "Redirect",
    "Remedy",
    "RemedyReacquire",
    "RemedyReconfigure",
    "RemedyRetry",
    "Request",
    "Requirement",
    "Response",
    "Returned",
    "Scheme",
    "SchemeMatch",
    "Send",
    "Signer",
    "Step",
    "StepDone",
    "StepRedirect",
    "StepRevoked",
    "StepSend",
    "StepWait",
    "Templatable",
    "Template",
    "Token",
    "Transform",
    "Transformation",
    "Unanswered",
    "ValueLiteral",
    "ValueText",
    "Wait",
    "When",
    "basic",
    "body",
    "digest",
    "done",
    "hmac",
    "jwt",
    "redirect",
    "revoked",
    "secret",
    "send",
    "sensitive",
    "template",
    "text",
    "transform",
    "wait",
]

# ---- what a flow says of itself -------------------------------------------------------------------------------------


@dataclass
class SchemeMatch:
    """A security scheme as OpenAPI writes it."""

    #: Its ``type``: ``oauth2``, ``http``, ``apiKey``, …; or ``named``: only by ``x-tokenhost-flow``.
    kind: str
    #: The key in ``flows`` (``clientCredentials``), or the ``scheme`` of ``http`` (``basic``).
    detail: str | None = None


@dataclass
class KindText:
    """Any text."""

    WIT: ClassVar[str] = "FieldKind_Text"


@dataclass
class KindSecret:
    """Kept sealed; the flow can place it in a request and doesn't see it."""

    WIT: ClassVar[str] = "FieldKind_Secret"


@dataclass
class KindUrl:
    """An absolute URL. Requests may go to the origins of these fields."""

    WIT: ClassVar[str] = "FieldKind_Url"


@dataclass
class KindMetadataUrl:
    """An absolute URL of a metadata document; requests may also go to the origins of the endpoints that it names."""

    WIT: ClassVar[str] = "FieldKind_MetadataUrl"


@dataclass
class KindChoice:
    """One of these."""

    choices: list[str]
    WIT: ClassVar[str] = "FieldKind_Choice"


@dataclass
class KindFlag:
    """``true`` or ``false``."""

    WIT: ClassVar[str] = "FieldKind_Flag"


@dataclass
class KindWords:
    """Space-separated."""

    WIT: ClassVar[str] = "FieldKind_Words"


FieldKind: TypeAlias = KindText | KindSecret | KindUrl | KindMetadataUrl | KindChoice | KindFlag | KindWords


@dataclass
class Condition:
    """Holds while the named field has one of these values."""

    field: str
    one_of: list[str]


@dataclass
class Always:
    """Must be set in every integration."""

    WIT: ClassVar[str] = "Requirement_Always"


@dataclass
class Never:
    """Needn't be set."""

    WIT: ClassVar[str] = "Requirement_Never"


@dataclass
class When:
    """Must be set while the condition holds."""

    condition: Condition
    WIT: ClassVar[str] = "Requirement_When"


Requirement: TypeAlias = Always | Never | When


@dataclass
class Field:
    """One input that a flow asks for. There is a function for each kind.

    ``name`` is in snake_case and ``title`` the label for people. ``required`` is whether it must be set: in every
    integration, or while a :class:`Condition` holds. ``source`` is where the scheme's flow object has the first value,
    e.g. ``tokenUrl``.
    """

    name: str
    title: str
    help: str
    kind: FieldKind
    required: Requirement
    default: str | None
    source: str | None

    @classmethod
    def of(
        cls,
        kind: FieldKind,
        name: str,
        title: str,
        *,
        help: str = "",
        required: bool | Condition = False,
        default: str | None = None,
        source: str | None = None,
    ) -> Field:
        """A field of any kind."""
        requirement: Requirement = Always() if required is True else Never()
        if isinstance(required, Condition):
            requirement = When(required)
        return cls(name, title, help, kind, requirement, default, source)

    @classmethod
    def text(
        cls, name: str, title: str, *, help: str = "", required: bool | Condition = False,
        default: str | None = None, source: str | None = None,
    ) -> Field:  # fmt: skip
        """Any text."""
        return cls.of(KindText(), name, title, help=help, required=required, default=default, source=source)

    @classmethod
    def secret(cls, name: str, title: str, *, help: str = "", required: bool | Condition = False) -> Field:
        """A value that is kept sealed: the flow places it by name and doesn't see it."""
        return cls.of(KindSecret(), name, title, help=help, required=required)

    @classmethod
    def url(
        cls, name: str, title: str, *, help: str = "", required: bool | Condition = False,
        default: str | None = None, source: str | None = None,
    ) -> Field:  # fmt: skip
        """An absolute URL, to whose origin the flow's requests may go."""
        return cls.of(KindUrl(), name, title, help=help, required=required, default=default, source=source)

    @classmethod
    def metadata_url(
        cls, name: str, title: str, *, help: str = "", required: bool | Condition = False, source: str | None = None
    ) -> Field:
        """An absolute URL of a metadata document, whose endpoints requests may also go to."""
        return cls.of(KindMetadataUrl(), name, title, help=help, required=required, source=source)

    @classmethod
    def choice(
        cls, name: str, title: str, choices: Sequence[str], *, help: str = "", required: bool | Condition = False,
        default: str | None = None,
    ) -> Field:  # fmt: skip
        """One of ``choices``."""
        return cls.of(KindChoice(list(choices)), name, title, help=help, required=required, default=default)

    @classmethod
    def flag(cls, name: str, title: str, *, help: str = "", default: str | None = None) -> Field:
        """``true`` or ``false``; see ``Context.flag``."""
        return cls.of(KindFlag(), name, title, help=help, default=default)

    @classmethod
    def words(
        cls, name: str, title: str, *, help: str = "", required: bool | Condition = False, default: str | None = None
    ) -> Field:
        """Words separated by spaces; see ``Context.words``."""
        return cls.of(KindWords(), name, title, help=help, required=required, default=default)


@dataclass
class Description:
    """What a flow says of itself. Without ``handles``, a document picks it by ``x-tokenhost-flow``."""

    #: Unique, kebab-case, e.g. ``client-credentials``.
    name: str
    #: The flow's own semantic version.
    version: str
    #: For people.
    title: str
    #: One paragraph for people: when to choose this flow.
    summary: str = ""
    #: The schemes that this flow can serve.
    handles: list[SchemeMatch] = field(default_factory=lambda: [SchemeMatch("named")])
    #: Whether it can acquire a token without a person.
    unattended: bool = True
    #: In the order in which a form shows them.
    fields: list[Field] = field(default_factory=list)


# ---- what a flow is given -------------------------------------------------------------------------------------------


@dataclass
class Scheme:
    """The security scheme: its name in the document, and its object in OpenAPI 3 form as JSON."""

    name: str
    document: str


class Purpose(Enum):
    """What an attempt is for."""

    ACQUIRE = "acquire"
    REFRESH = "refresh"
    REVOKE = "revoke"


@dataclass
class Response:
    """A provider's answer. Names of headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        wanted = name.lower()
        return next((value for known, value in self.headers if known.lower() == wanted), None)


@dataclass
class Answered:
    """The answer to the request that the last step sent."""

    state: str
    response: Response


@dataclass
class Unanswered:
    """The request of the last step got no complete answer. ``left``: whether any of it may have reached the provider."""

    state: str
    left: bool
    reason: str


@dataclass
class Returned:
    """A person came back from the redirect of the last step, with these query parameters."""

    state: str
    query: list[tuple[str, str]]


@dataclass
class EventBegin:
    """An attempt begins."""

    purpose: Purpose
    WIT: ClassVar[str] = "Event_Begin"


@dataclass
class EventAnswered:
    """See :class:`Answered`."""

    value: Answered
    WIT: ClassVar[str] = "Event_Answered"


@dataclass
class EventUnanswered:
    """See :class:`Unanswered`."""

    value: Unanswered
    WIT: ClassVar[str] = "Event_Unanswered"


@dataclass
class EventElapsed:
    """The wait of the last step is over."""

    state: str
    WIT: ClassVar[str] = "Event_Elapsed"


@dataclass
class EventReturned:
    """See :class:`Returned`."""

    value: Returned
    WIT: ClassVar[str] = "Event_Returned"


Event: TypeAlias = EventBegin | EventAnswered | EventUnanswered | EventElapsed | EventReturned

# ---- what a flow answers: requests ----------------------------------------------------------------------------------


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


# ---- what a flow answers: steps -------------------------------------------------------------------------------------


class Location(Enum):
    """Where a token is placed."""

    HEADER = "header"
    QUERY = "query"
    COOKIE = "cookie"


@dataclass
class Placement:
    """How the token goes into a request to the service."""

    location: Location
    name: str
    value: Template


@dataclass
class Signer:
    """A signer of the host for every request, with its parameters."""

    name: str
    parameters: list[tuple[str, Template]]


@dataclass
class Token:
    """What an attempt ends with. After a refresh, what is absent keeps its old value."""

    access_token: str | None = None
    refresh_token: str | None = None
    token_type: str | None = None
    #: Seconds from when the request left.
    expires_in: int | None = None
    #: Seconds since the Unix epoch; used where there is no ``expires_in``.
    expires_at: int | None = None
    refresh_expires_in: int | None = None
    scope: str | None = None
    #: What else the provider sent along and is no secret, e.g. ``instance_url``.
    values: list[tuple[str, str]] = field(default_factory=list)
    #: What else it sent along and is secret, e.g. a cookie.
    secrets: list[tuple[str, str]] = field(default_factory=list)
    #: How the token goes into a request to the service; none: ``Authorization: <token-type> <access-token>``.
    placements: list[Placement] = field(default_factory=list)
    #: Values for the placements.
    derived: list[Derived] = field(default_factory=list)
    signer: Signer | None = None


@dataclass
class Prompt:
    """What a person has to do."""

    message: str
    url: str | None = None
    code: str | None = None


@dataclass
class Send:
    """See :class:`StepSend`."""

    request: Request
    state: str


@dataclass
class Wait:
    """See :class:`StepWait`."""

    seconds: int
    prompt: Prompt | None
    state: str


@dataclass
class Redirect:
    """See :class:`StepRedirect`."""

    url: str
    state: str


@dataclass
class StepSend:
    """Send this request."""

    value: Send
    WIT: ClassVar[str] = "Step_Send"


@dataclass
class StepWait:
    """Wait so long."""

    value: Wait
    WIT: ClassVar[str] = "Step_Wait"


@dataclass
class StepRedirect:
    """Send the person away."""

    value: Redirect
    WIT: ClassVar[str] = "Step_Redirect"


@dataclass
class StepDone:
    """The attempt ends with a token."""

    token: Token
    WIT: ClassVar[str] = "Step_Done"


@dataclass
class StepRevoked:
    """The revocation ended."""

    WIT: ClassVar[str] = "Step_Revoked"


Step: TypeAlias = StepSend | StepWait | StepRedirect | StepDone | StepRevoked


def send(request: Request, state: str = "") -> Step:
    """The step that sends a request."""
    return StepSend(Send(request, state))


def wait(seconds: int, state: str = "", prompt: Prompt | None = None) -> Step:
    """The step that waits; ``prompt`` is what a person has to do meanwhile."""
    return StepWait(Wait(seconds, prompt, state))


def redirect(url: str, state: str = "") -> Step:
    """The step that sends a person away."""
    return StepRedirect(Redirect(url, state))


def done(token: Token) -> Step:
    """The step that ends an attempt with a token."""
    return StepDone(token)


def revoked() -> Step:
    """The step that ends a revocation."""
    return StepRevoked()


@dataclass
class RemedyRetry:
    """The same request may work later; after so many seconds where the provider said so."""

    seconds: int | None
    WIT: ClassVar[str] = "Remedy_Retry"


@dataclass
class RemedyReacquire:
    """The refresh token is spent: acquire anew."""

    WIT: ClassVar[str] = "Remedy_Reacquire"


@dataclass
class RemedyReconfigure:
    """A person has to correct a field or consent again."""

    WIT: ClassVar[str] = "Remedy_Reconfigure"


Remedy: TypeAlias = RemedyRetry | RemedyReacquire | RemedyReconfigure
