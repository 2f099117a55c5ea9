"""The types of events, in one place, and names: a misspelt one would make a consumer that never gets
anything."""

import difflib
import logging
import re
from typing import Iterable, List, Optional

logger = logging.getLogger("inotifier")

FILE_TYPES = ("file.completed", "file.stalled", "file.moved", "file.removed")
WATCH_TYPES = (
    "watch.ready",
    "watch.scanned",
    "watch.rescan",
    "watch.lost",
    "watch.restored",
    "watch.degraded",
)
RAW_TYPES = (
    "in_access",
    "in_attrib",
    "in_close_nowrite",
    "in_close_write",
    "in_create",
    "in_delete",
    "in_delete_self",
    "in_ignored",
    "in_modify",
    "in_move_self",
    "in_moved_from",
    "in_moved_to",
    "in_open",
    "in_q_overflow",
    "in_unmount",
)
# What the daemon publishes, but for processors of one's own.
PUBLISHED = FILE_TYPES + WATCH_TYPES + RAW_TYPES
# Reserved: no daemon up to this version publishes them.
RESERVED = ("file.rejected", "directory.completed", "group.completed")
KNOWN = PUBLISHED + RESERVED

_VALID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Of watches and consumers.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NAME_RULE = "letters, digits, _ and -, at most 64, not beginning with _ or -"


def unknown_type(type: str, known: Iterable[str] = KNOWN) -> Optional[str]:
    """Why this cannot be meant as a type of event; None if it can. A daemon may have processors,
    and hence types, of its own."""
    known = list(known)
    if type in known:
        return None
    close = difflib.get_close_matches(type.lower().replace("_", "."), known, 1, 0.75) or (
        difflib.get_close_matches(type.lower(), known, 1, 0.75)
    )
    if close:
        return f'there is no type "{type}"; did you mean "{close[0]}"?'
    if not _VALID.fullmatch(type):
        return f'"{type}" is no type of event: at most 64 letters, digits, ".", "_" and "-"'
    return None


def never_published(type: str) -> Optional[str]:
    """Why no event of this type may ever come; None if the daemon publishes it."""
    if type in PUBLISHED:
        return None
    if type in RESERVED:
        return f'"{type}" is reserved: no daemon of this version publishes it'
    return f'"{type}" is no type of inotifier\'s: only a processor of your own publishes it'


def check_types(types: Iterable[str]) -> List[str]:
    """Raises TypeError and ValueError for what is none, warns of what may never come."""
    if isinstance(types, (str, bytes)):
        raise TypeError(f"types is a list of names, not one: {types!r}")
    checked = list(types)
    for type in checked:
        if not isinstance(type, str):
            raise TypeError(f"types has {type!r}, which is no type of event")
        reason = unknown_type(type)
        if reason:
            raise ValueError(f"types: {reason}")
    for type in checked:
        reason = never_published(type)
        if reason:
            logger.warning("types: %s", reason)
    return checked


def check_watches(watches: Iterable[str]) -> List[str]:
    """Raises TypeError and ValueError."""
    if isinstance(watches, (str, bytes)):
        raise TypeError(f"watches is a list of names, not one: {watches!r}")
    checked = list(watches)
    for watch in checked:
        if not isinstance(watch, str) or not NAME.fullmatch(watch):
            raise ValueError(f"watches: {watch!r} is no watch's name: {NAME_RULE}")
    return checked
