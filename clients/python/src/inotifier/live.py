"""Live events (PUB/SUB): what a message means, gaps; and what one can do with a subscriber, written
once for threads and event loops (steps.py)."""

import time
from typing import Any, Callable, Dict, List, Optional, Sequence

import zmq

from . import wire
from .connection import Connection, Monitored
from .errors import ConnectionFailed, Error, Gap
from .event import Event, Roots
from .event_types import check_types, check_watches
from .link import refusal_of, wait_for_peer
from .steps import Process, Steps, Wait, deadline_after

HIGH_WATER_MARK = 100_000


class LiveCore:
    """Messages in, events and gaps out. Positions are text and compare as such; "0" is none."""

    def __init__(
        self, endpoint: str, types: Sequence[str], watches: Sequence[str], roots: Roots
    ) -> None:
        types, watches = check_types(types), check_watches(watches)
        self.live = False
        self.malformed = 0
        self.gaps: List[Gap] = []  # to be told
        self._endpoint = endpoint
        self._watches = frozenset(watches)
        self._roots = roots
        self._prefixes = tuple(
            f"{type}/{watch}/" if watch else f"{type}/"
            for type in types
            for watch in (watches or ("",))
        )
        self._stream = ""  # before the first heartbeat
        self._last: Dict[str, str] = {}  # by topic

    @property
    def subscriptions(self) -> List[bytes]:
        # The heartbeat last: the daemon reads subscriptions in order, so whoever gets a heartbeat
        # gets the rest too.
        prefixes = self._prefixes or ("",)
        return [prefix.encode() for prefix in (*prefixes, wire.HEARTBEAT)]

    def _wanted(self, topic: str) -> bool:
        if self._prefixes:
            return topic.startswith(self._prefixes)
        return not self._watches or topic.partition("/")[2].rstrip("/") in self._watches

    def take(self, frames: Sequence[bytes]) -> Optional[Event]:
        """The event of a message if it is one, and one that is wanted. Raises ProtocolMismatch."""
        self.live = True
        try:
            if len(frames) != 2:
                raise wire.WireError("not two frames")
            topic = frames[0].decode("ascii", "replace")
            if topic == wire.HEARTBEAT:
                self._on_heartbeat(wire.decode(frames[1]))
                return None
            if not self._wanted(topic):
                return None
            event = Event(wire.decode(frames[1]), self._roots)
        except wire.WireError:
            self.malformed += 1
            return None
        self._note(topic, event)
        return event

    def _note(self, topic: str, event: Event) -> None:
        previous = event.previous_position
        if not previous:
            return
        # Before the first heartbeat nobody knows what was there when we came.
        known = self._last.get(topic, "0" if self._stream else previous)
        # A previous one that is older than what we have is that of another stream, begun since.
        if previous > known:
            self.gaps.append(Gap(topic, known, previous))
        self._last[topic] = event.position

    def _on_heartbeat(self, heartbeat: wire.Map) -> None:
        """Everything in `last` was published before this heartbeat, and what reached us came before
        it, too. So a position that we do not have is a loss, save in the first heartbeat: there it
        tells where we came in. After a restart with another stream no such excuse holds: we were
        there all the time, only not connected."""
        stream, last = heartbeat.get("stream"), heartbeat.get("last", {})
        wire.check_protocol(self._endpoint, heartbeat)
        if not isinstance(stream, str) or not isinstance(last, dict):
            raise wire.WireError("no heartbeat")
        first = not self._stream
        restarted = not first and stream != self._stream
        self._stream = stream
        for topic in last:
            position = wire.position_in(last, topic)
            if not position or not self._wanted(topic):
                continue
            known = self._last.get(topic, "0")
            missing = position != known if restarted else position > known
            if not missing:
                continue
            if not (first and topic not in self._last):
                self.gaps.append(Gap(topic, known if known < position else "0", position))
            self._last[topic] = position


class LiveOperations:
    def __init__(
        self,
        connection: Connection,
        core: LiveCore,
        high_water_mark: int,
        on_gap: Callable[[Gap], Any],
    ) -> None:
        self.connection = connection
        self.core = core
        self.before_close: Callable[[], None] = lambda: None
        self.progress: Callable[[], None] = lambda: None  # other tasks may go on
        self.closed = False
        self._high_water_mark = high_water_mark
        self._on_gap = on_gap
        self._monitored: Optional[Monitored] = None
        self._refusal: Optional[ConnectionFailed] = None  # nothing will come any more
        self._process = Process()

    def open(self) -> Steps[Monitored]:
        """Connects if that has not been done. Raises ConnectionFailed."""
        if self.closed:
            raise Error(f"{self.connection.endpoint}: the subscriber is closed")
        self._process.check()
        if self._monitored is not None:
            return self._monitored
        deadline = deadline_after(self.connection.connect_timeout)
        monitored = self._connect()
        try:
            yield from wait_for_peer(self.connection, monitored, deadline)
        except BaseException:
            self.before_close()
            monitored.close()
            raise
        self._monitored = monitored
        return monitored

    def _connect(self) -> Monitored:
        monitored = Monitored(self.connection, zmq.SUB)
        try:
            monitored.socket.setsockopt(zmq.RCVHWM, self._high_water_mark)
            for prefix in self.core.subscriptions:
                monitored.socket.setsockopt(zmq.SUBSCRIBE, prefix)
            monitored.connect()
        except BaseException:
            monitored.close()
            raise
        return monitored

    def next(self, timeout: Optional[float]) -> Steps[Optional[Event]]:
        deadline = deadline_after(timeout)
        while True:
            monitored = yield from self.open()
            event = self._take_one(monitored)
            if event is not None:
                return event
            if monitored.given_up:
                yield from self._ask_again(monitored)
                continue
            while monitored.next_event():
                pass  # ZeroMQ gets over it by itself, but for one
            if monitored.given_up:
                continue  # what came before is given out first
            if time.monotonic() >= deadline:
                return None
            yield Wait([monitored.socket, monitored.monitor], deadline)
            self._check_open()

    def _check_open(self) -> None:
        if self.closed:
            raise Error(f"{self.connection.endpoint}: the subscriber was closed meanwhile")

    def _ask_again(self, monitored: Monitored) -> Steps[None]:
        """A new socket, if the peer has gone. Raises ConnectionFailed, from now on, if it will have
        us no more."""
        if self._refusal is None:
            refusal = yield from refusal_of(self.connection, monitored)
            self._check_open()
            if self._monitored is not monitored:
                return  # another task was quicker
            if refusal is None:
                self.before_close()
                monitored.close()
                self._monitored = None
                self._monitored = self._connect()
                return
            self._refusal = refusal
        raise self._refusal.with_traceback(None)

    def _take_one(self, monitored: Monitored) -> Optional[Event]:
        """An event that is there."""
        while True:
            try:
                frames = monitored.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return None
            self.progress()
            event = self.core.take(frames)
            gaps, self.core.gaps = self.core.gaps, []
            for gap in gaps:
                self._on_gap(gap)
            if event is not None:
                return event

    def close(self) -> None:
        self.closed = True
        if self._monitored is not None and self._process.is_ours:
            self.before_close()
            self._monitored.close()
            self._monitored = None
