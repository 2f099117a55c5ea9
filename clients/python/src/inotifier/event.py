"""One event, as a program wants it: the path that open() takes, a datetime, plain attributes."""

import base64
import binascii
import datetime
import functools
import json
import math
import os
import posixpath
import urllib.parse
from typing import Any, Dict, Mapping, Optional, Tuple, Type

from . import wire
from .errors import NoPath

Roots = Mapping[str, str]


@functools.lru_cache(maxsize=16)
def _parse_roots(text: str) -> Dict[str, str]:
    roots = {}
    for part in filter(None, text.split(":")):
        name, equals, path = part.partition("=")
        if not (name and equals and path):
            raise ValueError(f'INOTIFIER_ROOTS: "{part}" is not WATCH=/path')
        roots[name] = path
    return roots


def roots_or_default(roots: Optional[Roots]) -> Roots:
    """`roots`, or those of INOTIFIER_ROOTS="incoming=/mnt/dicom:other=/mnt/o" if it is None."""
    return _parse_roots(os.environ.get("INOTIFIER_ROOTS", "")) if roots is None else roots


def _whole(value: Any) -> Optional[int]:
    """An integer; on the wire it may be a float."""
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _text(value: Any) -> Optional[str]:
    return value if isinstance(value, str) else None


class Event:
    """What the daemon said: immutable, hashable, comparable, to be pickled.

    `data` and `raw` are the maps as received: do not change them.
    """

    __slots__ = ("raw", "_roots")

    raw: Dict[str, Any]
    _roots: Roots

    def __init__(self, raw: Mapping[str, Any], roots: Optional[Roots] = None) -> None:
        """`raw`: the event's map as decoded from MessagePack. Raises WireError if it is no event.

        `roots`: where this program sees the root of a watch, by the watch's name; None means those
        of INOTIFIER_ROOTS.
        """
        for key in ("id", "source", "type"):
            if not isinstance(raw.get(key), str):
                raise wire.WireError(f"an event without {key}")
        if not wire.position_in(raw, "sequence"):
            raise wire.WireError("an event without sequence")
        if not isinstance(raw.get("data") or {}, dict):
            raise wire.WireError("an event whose data is no map")
        object.__setattr__(self, "raw", raw)
        object.__setattr__(self, "_roots", roots_or_default(roots))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"an event cannot be changed: {name}")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.raw == other.raw and self.display_path == other.display_path

    def __hash__(self) -> int:
        return hash((self.id, self.position))

    def __repr__(self) -> str:
        what = self.path if self.has_path else self.watch
        return f"<Event {self.type} {what!r} {self.position}>"

    def __reduce__(self) -> Tuple[Type["Event"], Tuple[Dict[str, Any], Dict[str, str]]]:
        return Event, (self.raw, dict(self._roots))

    @property
    def id(self) -> str:
        """The same fact about a file has the same id however often it is told."""
        return str(self.raw["id"])

    @property
    def type(self) -> str:
        """ "file.completed", "watch.ready", "in_create", …"""
        return str(self.raw["type"])

    @property
    def source(self) -> str:
        """ "//<daemon name>/<watch>"."""
        return str(self.raw["source"])

    @property
    def subject(self) -> Optional[str]:
        """The path relative to the root, percent-encoded; None if it speaks of the watch itself."""
        return _text(self.raw.get("subject"))

    @property
    def time_ns(self) -> int:
        """When it was established: nanoseconds since 1970; 0 if that is not told."""
        try:
            return wire.nanoseconds(self.raw["time"])
        except (KeyError, ValueError, TypeError):
            return 0

    @property
    def time(self) -> datetime.datetime:
        """The same as an aware datetime in UTC, nanoseconds cut off."""
        return wire.datetime_of(self.time_ns)

    @property
    def position(self) -> str:
        """The place in the journal, 20 digits; compares as text. On the wire: sequence."""
        return str(self.raw["sequence"])

    @property
    def previous_position(self) -> str:
        """Of the event before this one of the same type and watch; "0" for the first, "" if not
        told."""
        return wire.position_in(self.raw, "prevsequence")

    @property
    def data(self) -> Dict[str, Any]:
        return self.raw.get("data") or {}

    @property
    def watch(self) -> str:
        return _text(self.data.get("watch")) or ""

    @property
    def root(self) -> str:
        """The watch's directory, as this program sees it (`roots`)."""
        return self._roots.get(self.watch) or _text(self.data.get("root")) or ""

    @property
    def has_path(self) -> bool:
        """Whether it speaks of a file or directory; if not, of a watch as a whole."""
        return self.subject is not None or self.data.get("path") is not None

    @property
    def path(self) -> str:
        """What open() takes, also for a name that is no UTF-8. Raises NoPath where there is none;
        file events have one."""
        mapped = self._roots.get(self.watch)
        if mapped is not None and self.subject is not None:
            return posixpath.join(mapped, self.relative_path)
        return self.daemon_path

    @property
    def display_path(self) -> str:
        """`path` for databases, pages and logs: always valid Unicode, bytes that are no UTF-8 as
        \\xNN, so that two names stay two; "" where there is none."""
        return displayed(self.path) if self.has_path else ""

    @property
    def daemon_path(self) -> str:
        """The path as the daemon sees it, whatever `roots` say. Raises NoPath."""
        exact = self.data.get("path_bytes")
        if isinstance(exact, bytes):
            return os.fsdecode(exact)
        path = _text(self.data.get("path"))
        if path is None:
            raise self._no_path()
        return os.fsdecode(path.encode("utf-8", "surrogateescape"))

    @property
    def relative_path(self) -> str:
        """Below the watch's root; also for open(), with surrogates for what is no UTF-8. Raises
        NoPath."""
        subject = self.subject
        if subject is None:
            raise self._no_path()
        # "./" stands before a first part with a colon only.
        plain = subject[2:] if subject.startswith("./") else subject
        return os.fsdecode(urllib.parse.unquote_to_bytes(plain))

    def _no_path(self) -> NoPath:
        return NoPath(
            f"{self.type} of the watch {self.watch} has no path: look at type or has_path first, "
            'or subscribe to types=["file.completed"] alone'
        )

    @property
    def size(self) -> Optional[int]:
        """Bytes."""
        return _whole(self.data.get("size"))

    @property
    def evidence(self) -> Optional[str]:
        """Why the file is held complete: "rename", "close_write", "link", "scan", …"""
        return _text(self.data.get("evidence"))

    @property
    def origin(self) -> Optional[str]:
        """How the daemon came to look: "live", "startup", "overflow", …"""
        return _text(self.data.get("origin"))

    def as_dict(self) -> Dict[str, Any]:
        """The event as JSON has it: CloudEvents, binary values in base64."""
        plain: Dict[str, Any] = _jsonable(self.raw)
        return plain

    def as_json(self) -> str:
        """One line of ASCII. from_json() makes the event of it again."""
        return json.dumps(self.as_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], roots: Optional[Roots] = None) -> "Event":
        """Of as_dict(), or of a map as decoded from MessagePack. Raises WireError."""
        data = value.get("data")
        if isinstance(data, dict) and isinstance(data.get("path_bytes"), str):
            try:
                exact = base64.b64decode(data["path_bytes"], validate=True)
            except binascii.Error as error:
                raise wire.WireError(f"an event whose path_bytes are no base64: {error}") from None
            value = {**value, "data": {**data, "path_bytes": exact}}
        return cls(dict(value), roots)

    @classmethod
    def from_json(cls, text: str, roots: Optional[Roots] = None) -> "Event":
        """Of as_json(), or of a line of `inotifier sub --json`. Raises ValueError, WireError."""
        value = json.loads(text)
        if not isinstance(value, dict):
            raise wire.WireError("an event is a map")
        return cls.from_dict(value, roots)


def displayed(path: str) -> str:
    """A path from the file system as valid Unicode."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return value
