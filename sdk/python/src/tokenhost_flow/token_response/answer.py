"""The members of an answer, whatever it is written in. Knows nothing of what they mean."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from ..contract import Response

#: How many objects deep the token's members may lie: ``{"a":{"b":{…}}}`` is two deep.
_DEEPEST = 3

#: How deep any answer may nest.
_NESTING = 127

#: Larger numbers count as this, which no lifetime and no moment reaches.
_LARGEST = 2**63

_ALIASES: dict[str, tuple[str, ...]] = {
    "access_token": ("accessToken",),
    "refresh_token": ("refreshToken",),
    "token_type": ("tokenType",),
    "expires_in": ("expiresIn",),
    "expires_at": ("expiresAt", "expires_on", "expiresOn"),
    "refresh_expires_in": ("refresh_token_expires_in", "refreshExpiresIn", "refreshTokenExpiresIn"),
    "scope": ("scopes",),
}

_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_NESTS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)

T = TypeVar("T")


class Unreadable(Exception):
    """Why an answer has no members: ``empty``, ``html``, ``ambiguous``, or ``other`` with the way in which it fails."""

    def __init__(self, kind: str, what: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.what = what


class Answer:
    """What an answer says, by member name."""

    def __init__(self, root: Mapping[str, object], objects: list[Mapping[str, object]], form: bool) -> None:
        self._root = root
        #: The object that holds the token or the error, then those around it.
        self._objects = objects
        #: Whether it was a form, whose keys may be anything that was sent.
        self._form = form

    @classmethod
    def read(cls, response: Response) -> Answer:
        """Reads the body as JSON or as a form, whatever its content type says: providers say the wrong one.

        Raises :class:`Unreadable` where it is neither, or holds several tokens side by side.
        """
        text = decode(response.body).strip()
        if not text:
            raise Unreadable("empty")
        if text[0] == "<":
            raise Unreadable("html")
        form = text[0] not in "{["
        root = _of_form(text) if form else _of_json(text)
        return cls(root, _find(root, _has_token) or _error_path(root), form)

    def text(self, name: str) -> str | None:
        """A member's text: a string that isn't empty, or a number. Looked for beside the token, then in the objects
        around it."""
        return self._first(name, scalar)

    def number(self, name: str) -> int | None:
        """A member's number, if it is above zero: an integer, a fraction (rounded down), or a string of one."""
        return self._first(name, _number)

    def words(self, name: str) -> str | None:
        """A member's words, separated by one space: of an array, of a string, or of a string with commas and no
        spaces."""
        return self._first(name, _words)

    def value(self, name: str) -> object:
        """A member as it is; ``...`` if there is none."""
        return next((found[name] for found in self._objects if name in found), ...)

    def names(self, most: int) -> list[str]:
        """The names of the members, if they are known to hold nothing that was sent: at most so many."""
        return [] if self._form else sorted(self._root)[:most]

    def _first(self, name: str, read: Callable[[object], T | None]) -> T | None:
        """What ``read`` makes of the first member of this name, or of another name for it, of which it makes anything."""
        for found in self._objects:
            for known in (name, *_ALIASES.get(name, ())):
                made = read(found[known]) if known in found else None
                if made is not None:
                    return made
        return None


def decode(body: bytes) -> str:
    """The text of a body. A byte order mark says which Unicode it is; without one it is UTF-8."""
    if body.startswith(b"\xef\xbb\xbf"):
        return body[3:].decode("utf-8", "replace")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        kind = "utf-16-le" if body.startswith(b"\xff") else "utf-16-be"
        return body[2 : len(body) // 2 * 2].decode(kind, "replace")
    return body.decode("utf-8", "replace")


def _refuse_constant(_: str) -> float:
    raise ValueError


def parse_json(text: str) -> object:
    """What the text says as JSON. Raises :class:`ValueError` where it is none, or nests deeper than any honest answer."""
    if _too_deep(text):
        raise ValueError("nests too deep")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nests too deep") from None


def _of_json(text: str) -> Mapping[str, object]:
    """The members of a JSON object, or of the only object of an array."""
    try:
        value = parse_json(text)
    except ValueError:
        # Not the parser's own words, which may quote what was sent.
        raise Unreadable("other", "broken JSON") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise Unreadable("other", "JSON, but no object")
    return value


def _too_deep(text: str) -> bool:
    """Whether so much is open at once that no honest answer does it."""
    # The quick look is nearly always enough.
    if text.count("{") + text.count("[") <= _NESTING:
        return False
    depth = 0
    for found in _NESTS.finditer(text):
        sign = found.group()
        if sign in ("{", "["):
            depth += 1
            if depth > _NESTING:
                return True
        elif sign in ("}", "]"):
            depth -= 1
    return False


def _of_form(text: str) -> Mapping[str, object]:
    """The members of a form. Any text could be one, so it must have a member that matters."""
    members: dict[str, object] = dict(parse_qsl(text, keep_blank_values=True, errors="replace"))
    if _has_token(members) or _has_error(members):
        return members
    raise Unreadable("other", "neither JSON nor a form")


def _has_token(found: Mapping[str, object]) -> bool:
    """Whether this object holds a token."""
    return any(scalar(found.get(name)) is not None for name in ("access_token", "accessToken"))


def _has_error(found: Mapping[str, object]) -> bool:
    """Whether this object holds an error."""
    error = found.get("error")
    return bool(error.strip()) if isinstance(error, str) else isinstance(error, dict) and bool(error)


def _error_path(root: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The objects from the one with the error outwards; the root where there is none."""
    try:
        return _find(root, _has_error) or [root]
    except Unreadable:
        return [root]


def _find(
    root: Mapping[str, object], wanted: Callable[[Mapping[str, object]], bool]
) -> list[Mapping[str, object]] | None:
    """The one object that ``wanted`` holds for, the least deep first, and those around it."""
    level: list[tuple[Mapping[str, object], ...]] = [(root,)]
    for _ in range(_DEEPEST + 1):
        hits = [way for way in level if wanted(way[0])]
        if len(hits) > 1:
            raise Unreadable("ambiguous")
        if hits:
            return list(hits[0])
        level = [
            (below, *way) for way in level for value in way[0].values() if (below := _inner(value)) is not None
        ]
    return None


def _inner(value: object) -> Mapping[str, object] | None:
    """The object that a member is, or that is the only item of the array that it is."""
    only = value[0] if isinstance(value, list) and len(value) == 1 else value
    return only if isinstance(only, dict) else None


def scalar(value: object) -> str | None:
    """A string that isn't empty, or a number as it is written."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None


def _number(value: object) -> int | None:
    """A number above zero, rounded down."""
    text = scalar(value)
    if text is None:
        return None
    if text.lower() in ("inf", "+inf", "infinity", "+infinity"):
        return _LARGEST
    if not _DECIMAL.fullmatch(text):
        return None
    # No digits are too many for a float, and whole numbers of an honest size are exact in it.
    number = float(text)
    whole = _LARGEST if math.isinf(number) and number > 0 else int(min(number, float(_LARGEST)))
    return whole if whole > 0 else None


def _words(value: object) -> str | None:
    """Words separated by one space."""
    if isinstance(value, list):
        joined = " ".join(item for item in map(scalar, value) if item is not None)
    elif isinstance(value, str):
        joined = value if len(value.split()) > 1 else value.replace(",", " ")
    else:
        return None
    return " ".join(joined.split()) or None
