"""Moments in the spellings that providers use, as seconds since the Unix epoch. Asks no clock."""

from __future__ import annotations

import re
from calendar import monthrange, timegm

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_CLOCK = "(?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})"
#: The three forms of a date in HTTP (RFC 9110 section 5.6.7).
_HTTP = [
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>[0-9]{{2}}) (?P<month>[A-Z][a-z]{{2}}) (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]+, (?P<day>[0-9]{{2}})-(?P<month>[A-Z][a-z]{{2}})-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"),
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[ 0-9][0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
]

#: The largest number of seconds that a failure can name.
_MOST = 2**32 - 1


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    """Seconds since the epoch of a date that exists."""
    if not (year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    if not (hour < 24 and minute < 60 and second <= 60):
        return None
    return timegm((year, month, day, hour, minute, min(second, 59)))


def rfc3339(text: str) -> int | None:
    """RFC 3339, e.g. ``2026-11-22T10:00:00Z``. Moments before the epoch are none."""
    found = _RFC3339.fullmatch(text.strip())
    if not found:
        return None
    year, month, day, hour, minute, second = (int(found[index]) for index in range(1, 7))
    local = _seconds(year, month, day, hour, minute, second)
    hours, minutes = int(found[8] or 0), int(found[9] or 0)
    if local is None or hours > 23 or minutes > 59:
        return None
    offset = hours * 3600 + minutes * 60
    at = local + offset if found[7] == "-" else local - offset
    return at if at >= 0 else None


def retry_after(text: str, now: int) -> int | None:
    """``Retry-After`` (RFC 9110 section 10.2.3): seconds, or a date, here counted from ``now``. A date that is over is 0."""
    said = text.strip()
    if re.fullmatch("[0-9]+", said):
        return int(said) if len(said) < 10 else min(int(said[:20]), _MOST)
    found = next((found for form in _HTTP if (found := form.fullmatch(said))), None)
    if not found or found["month"] not in _MONTHS:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year += 2000 if year < 70 else 1900
    hour, minute, second = map(int, found["clock"].split(":"))
    at = _seconds(year, _MONTHS.index(found["month"]) + 1, int(found["day"]), hour, minute, second)
    return None if at is None else min(max(at - now, 0), _MOST)
