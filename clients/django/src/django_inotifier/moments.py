"""Times as people write them on a command line."""

import datetime
import re

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> datetime.timedelta:
    """ "90m", "1h30m", "7d". Raises ValueError."""
    parts = re.findall(r"(\d+)([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'"{text}" is no duration; 90m, 12h and 7d are')
    return sum(
        (datetime.timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts),
        datetime.timedelta(),
    )


def moment(text: str) -> datetime.datetime:
    """A duration before now, or a date or time in the site's time zone. Raises ValueError."""
    if re.fullmatch(r"(\d+[smhdw])+", text):
        return timezone.now() - duration(text)
    when = parse_datetime(text)
    if when is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f'"{text}" is no time; 2h, 2026-11-22 and 2026-11-22T10:00 are')
        when = datetime.datetime.combine(day, datetime.time())
    if settings.USE_TZ and timezone.is_naive(when):
        return timezone.make_aware(when)
    if not settings.USE_TZ and timezone.is_aware(when):
        return timezone.make_naive(when)
    return when
