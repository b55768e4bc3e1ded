"""Times: Unix nanoseconds from and to what Python has."""

import re
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)

_ISO = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})-([0-9]{2})|([0-9]{2})([0-9]{2}))"
    r"(?:[Tt ]([0-9]{2})(?:(:?)([0-9]{2})(?:\7([0-9]{2})(?:[.,]([0-9]{1,9}))?)?)?"
    r"([Zz]|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)?)?"
)
"""A day of a month, and a time of it, with colons or without, to the nanosecond: what every interpreter reads alike, as `fromisoformat` of
each reads something else."""


def to_ns(time: object) -> int:
    """Unix nanoseconds of a `datetime` (a naive one is local time, as for `datetime.timestamp`) or of a text."""
    if isinstance(time, str):
        return _ns_of_text(time)
    if isinstance(time, datetime):
        return _ns(time)
    raise TypeError(f"a time is seconds, a datetime or a text, not {type(time).__name__}")


def from_ns(ns: int) -> datetime:
    """The aware `datetime` in UTC, to the microsecond. What lies behind the year 9999 is its end."""
    try:
        return _EPOCH + timedelta(microseconds=ns // 1000)
    except OverflowError:
        return datetime.max.replace(tzinfo=timezone.utc)


def _ns(time: datetime) -> int:
    if time.utcoffset() is None:
        try:
            time = time.astimezone(timezone.utc)
        except (OverflowError, ValueError, OSError):
            # At the ends of the calendar, where hours change nothing: no record has such a time.
            pass
    # The offset is taken apart: with it the first and the last day would be in no year. In integers: a double has no room for
    # microseconds of this century and the parts of one that rounding leaves.
    since = time.replace(tzinfo=timezone.utc) - _EPOCH - (time.utcoffset() or timedelta())
    return since // _MICROSECOND * 1000


def _ns_of_text(text: str) -> int:
    read = _ISO.fullmatch(text.strip())
    if read is None:
        raise ValueError(f"{text!r} is no ISO 8601 time: write it as 2026-11-21T17:00:00.123456789Z")
    year, month, day, basic_month, basic_day, hour, _, minute, second, fraction, offset = read.groups()
    try:
        zone = _zone(offset) if offset else None
        day_of_month = int(year), int(month or basic_month), int(day or basic_day)
        time = datetime(*day_of_month, int(hour or 0), int(minute or 0), int(second or 0), tzinfo=zone)
    except ValueError as error:
        raise ValueError(f"{text!r} is no ISO 8601 time: {error}") from None
    return _ns(time) + int((fraction or "").ljust(9, "0"))


def _zone(offset: str) -> timezone:
    if offset in "Zz":
        return timezone.utc
    digits = offset[1:].replace(":", "").ljust(6, "0")
    hours, minutes, seconds = (int(digits[at : at + 2]) for at in (0, 2, 4))
    if minutes > 59 or seconds > 59:
        raise ValueError("an offset has hours, and minutes and seconds below 60")
    distance = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-distance if offset[0] == "-" else distance)
