"""What a flow says of itself: its description, fields and conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias


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
