"""For the tests of programs that react to events: no daemon, no sockets, no files.

    def test_thumbnails():
        consumer = FakeConsumer([make_event(path="/srv/in/a.png")])
        react(consumer)
        assert [event.path for event in consumer.acked] == ["/srv/in/a.png"]

FakeConsumer is the real client on a daemon in memory: what it acknowledges, redelivers and keeps as
failed is decided by the same code.
"""

import hashlib
import os
import posixpath
import time
import urllib.parse
import uuid
from typing import Any, Dict, Iterable, List, Optional, Union

from . import aio, wire
from .consumer import Consumer
from .event import Event, Roots
from .link import Link
from .memory import FakeDaemon, MemoryLink, next_position
from .operations import FailedEvent
from .steps import Call, Steps


def make_event(
    type: str = "file.completed",
    path: Union[str, bytes, "os.PathLike[Any]", None] = None,
    watch: str = "incoming",
    root: Union[str, "os.PathLike[str]", None] = None,
    roots: Optional[Roots] = None,
    **data: Any,
) -> Event:
    """An event as a daemon would tell it; each call gives the next position.

    `path`: None leaves it out of the types that speak of a watch, else it is a file "example" below
    the root. `root`: the watch's directory; None: that of the path. Anything else is put into the
    event's `data`; of a file that exists size, mtime and the like are taken if they are not given.
    """
    if path is None and not type.startswith("watch."):
        path = posixpath.join(os.fspath(root or "/srv/incoming"), "example")
    position = next_position()
    full = None if path is None else os.path.abspath(os.fsencode(path))
    top = os.path.abspath(os.fsencode(root or (os.path.dirname(full) if full else "/srv/incoming")))
    now = wire.time_text(time.time_ns())
    told: Dict[str, Any] = {"watch": watch, "root": top.decode("utf-8", "replace")}
    raw: Dict[str, Any] = {"specversion": "1.0", "source": f"//test/{watch}", "type": type}
    if full is not None:
        relative = os.path.relpath(full, top)
        if relative.startswith(b"../"):
            raise ValueError(f"{path!r} is not below {root!r}")
        quoted = urllib.parse.quote(relative, safe="/!$&'()*+,;=:@-._~")
        raw["subject"] = "./" + quoted if ":" in quoted.split("/")[0] else quoted
        told["path"] = full.decode("utf-8", "replace")
        if told["path"].encode() != full:
            told["path_bytes"] = full
    if type.startswith("file."):
        told.update(_of_file(full), origin="live", first_seen=now)
        if type not in ("file.stalled", "file.removed"):
            told["evidence"] = "close_write"
    told.update(data)
    fact = repr((type, watch, raw.get("subject"), told.get("inode"), told.get("mtime"), position))
    raw.update(
        id=hashlib.sha256(fact.encode()).hexdigest()[:32],
        time=now,
        sequence=position,
        prevsequence="0",
        data=told,
    )
    return Event(raw, roots)


def _of_file(path: Optional[bytes]) -> Dict[str, Any]:
    try:
        status = os.lstat(path or b"")
    except OSError:
        return {"size": 0, "mtime": wire.time_text(0), "inode": "0"}
    return {
        "size": status.st_size,
        "mtime": wire.time_text(status.st_mtime_ns),
        "inode": str(status.st_ino),
        "mode": status.st_mode,
        "uid": status.st_uid,
        "gid": status.st_gid,
    }


class Fake:
    """What both kinds of FakeConsumer can do besides what a Consumer can."""

    _operations: Any

    def __init__(self, events: Iterable[Event] = (), name: str = "fake", **options: Any) -> None:
        self.daemon = FakeDaemon()
        self.feed(*events)
        options["wait"] = 0
        super().__init__(name, **options)  # type: ignore[call-arg]

    def _make_link(self, *_: Any) -> Link:
        return MemoryLink(self.daemon)

    def feed(self, *events: Event) -> None:
        """These happen now."""
        for event in events:
            self.daemon.add(event)

    @property
    def acked(self) -> List[Event]:
        """The events that were acknowledged, or would be if the consumer were closed now."""
        operations = self._operations
        if operations.core is not None and not operations.closed:
            _finish(operations.flush(1.0))
        return list(self.daemon.acked)

    @property
    def failures(self) -> List[FailedEvent]:
        """What fail() was called for."""
        self.acked  # tells what is done
        return [self.daemon.failures[position] for position in sorted(self.daemon.failures)]

    def lose(self, count: int = 1) -> None:
        """The next so many events are no longer kept: on_lost is called, batches have `lost`."""
        self.daemon.lose(count)

    def reset(self, code: str = "not_owner") -> None:
        """What was given out is not ours any more, and comes again: another process had the
        consumer ("not_owner"), or the journal was begun anew ("stream_changed": everything comes
        again)."""
        if code == "stream_changed":
            self.daemon.stream = str(uuid.uuid4())
            self.daemon.position = self.daemon.delivered = "0"
        elif code != "not_owner":
            raise ValueError(f'"not_owner" or "stream_changed", not {code!r}')
        self.daemon.owner = None

    def restart(self) -> None:
        """The program was killed and runs again: what was not acknowledged comes again. Works on a
        closed consumer, too."""
        operations = self._operations
        operations.core = None
        operations.link.renew()
        operations.closed = False
        self.daemon.owner = None


class FakeConsumer(Fake, Consumer):
    """A Consumer of `events`, in memory. It does not wait: next() returns None and a loop ends when
    there is nothing more; feed() brings more. Takes the options of Consumer that make sense:
    `types`, `watches`, `limit`, `roots`, `on_lost`, `on_state`, `on_reset`.
    """


class FakeAsyncConsumer(Fake, aio.Consumer):
    """FakeConsumer for programs that use inotifier.aio."""


def _finish(steps: Steps[Any]) -> None:
    """Runs an operation in memory, where nothing has to be waited for."""
    answer = None
    try:
        while True:
            step = steps.send(answer)
            answer = step.function() if isinstance(step, Call) else None
    except StopIteration:
        pass
