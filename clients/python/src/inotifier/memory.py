"""A daemon in memory, and the connection to it: for testing.FakeConsumer."""

import collections
import itertools
import time
import uuid
from typing import Deque, Dict, Iterator, List, Optional, Set, Tuple

from . import wire
from .connection import Connection
from .errors import RequestError
from .event import Event
from .link import Link
from .operations import FailedEvent
from .steps import Call, Step, Steps, Wait

VERSION = "0.1.0"
_positions = itertools.count((1 << 50) + 1)


def next_position() -> str:
    """Rises from call to call."""
    return f"{next(_positions):020d}"


class FakeDaemon:
    """The fetch service with one consumer, as clients/README.md has it, in memory."""

    def __init__(self) -> None:
        self.stream = str(uuid.uuid4())
        self.log: List[Event] = []  # by position, rising
        self.last = "0"
        self.position = self.delivered = "0"
        self.owner: Optional[str] = None
        self.acked: List[Event] = []
        self.failures: Dict[str, FailedEvent] = {}
        self._passed: Set[str] = set()  # positions of failed ones
        self.lost: Optional[Tuple[str, str]] = None
        self.types: List[str] = []
        self.watches: List[str] = []

    def add(self, event: Event) -> None:
        if event.position <= self.last:  # positions rise
            raw = {**event.raw, "sequence": next_position()}
            event = Event(raw, event._roots)
        self.log.append(event)
        self.last = event.position

    def lose(self, count: int) -> None:
        gone = self._pending()[:count]
        if gone:
            first = self.lost[0] if self.lost else gone[0].position
            self.lost = (first, gone[-1].position)
            self.log = [event for event in self.log if event not in gone]

    def answer(self, request: wire.Map) -> wire.Map:
        head = {"ok": True, "protocol": 1, "stream": self.stream, "request": request.get("request")}
        try:
            operation = getattr(self, "_op_" + request["op"], None)
            if operation is None:
                raise RequestError("unknown_op", f"no such op: {request['op']}")
            return {**head, **operation(request)}
        except RequestError as error:
            told = {"code": error.code, "message": error.args[0]}
            return {**head, "ok": False, "error": told}

    def _pending(self) -> List[Event]:
        return [
            event
            for event in self.log
            if event.position > self.position
            and event.position not in self._passed
            and (not self.types or event.type in self.types)
            and (not self.watches or event.watch in self.watches)
        ]

    def _check_owner(self, request: wire.Map) -> None:
        if self.owner != request["client"]:
            raise RequestError("not_owner", "another client has the consumer")

    def _ack(self, request: wire.Map) -> None:
        if request["stream"] != self.stream:
            raise RequestError("stream_changed", "the journal was begun anew")
        self._check_owner(request)
        if request["ack"] > self.delivered:
            raise RequestError("bad_ack", "that position was not delivered to this consumer")
        self.acked += [event for event in self._pending() if event.position <= request["ack"]]
        self.position = max(self.position, request["ack"])
        if self.lost and self.lost[1] <= self.position:
            self.lost = None

    def _op_hello(self, request: wire.Map) -> wire.Map:
        first = self.log[0].position if self.log else "0"
        told = {"version": VERSION, "daemon": "test", "time": wire.time_text(time.time_ns())}
        return {**told, "first": first, "last": self.last, "access": "all"}

    def _op_fetch(self, request: wire.Map) -> wire.Map:
        if "consumer" not in request:
            return {"events": [], "cursor": self.last, "behind": 0, "lost": None}
        if "ack" in request:
            self._ack(request)
        self.owner = request["client"]
        self.types = request.get("types", self.types)
        self.watches = request.get("watches", self.watches)
        pending = self._pending()
        events = pending[: request["limit"]]
        more = len(pending) > len(events)
        cursor = events[-1].position if more else max(self.last, self.position)
        self.delivered = max(self.delivered, cursor)
        return {
            "events": [event.raw for event in events],
            "cursor": cursor,
            "behind": sum(event.position > cursor for event in self.log),
            "lost": self.lost and {"first": self.lost[0], "last": self.lost[1]},
        }

    def _op_ack(self, request: wire.Map) -> wire.Map:
        self._ack(request)
        return {"position": self.position}

    def _op_touch(self, request: wire.Map) -> wire.Map:
        self._check_owner(request)
        return {"expires_in": request.get("lease", 60)}

    def _op_release(self, request: wire.Map) -> wire.Map:
        self._check_owner(request)
        self.owner = None
        return {}

    def _op_fail(self, request: wire.Map) -> wire.Map:
        self._check_owner(request)
        position = request["position"]
        found = [event for event in self.log if event.position == position]
        for event in found:
            now = wire.datetime_of(time.time_ns())
            reason, tries = request.get("reason", ""), request.get("tries", 1)
            self._passed.add(position)
            self.failures[position] = FailedEvent(event, position, reason, tries, now)
        return {"kept": bool(found), "failed": len(self.failures)}

    def _op_failed(self, request: wire.Map) -> wire.Map:
        told = [
            {**each._asdict(), "event": each.event.raw, "time": wire.time_of_datetime(each.time)}
            for each in self.failures.values()
        ]
        return {"failed": sorted(told, key=lambda each: str(each["position"])), "more": False}

    def _op_retry(self, request: wire.Map) -> wire.Map:
        chosen = [p for p in request.get("positions", sorted(self.failures)) if p in self.failures]
        for position in chosen:
            raw = {**self.failures.pop(position).event.raw, "sequence": "0" * 20}
            raw.pop("prevsequence", None)
            self.add(Event(raw))
        return {"retried": len(chosen), "more": False}

    def _op_update(self, request: wire.Map) -> wire.Map:
        self.types = request.get("types", self.types)
        self.watches = request.get("watches", self.watches)
        return {"types": self.types, "watches": self.watches}

    def _op_seek(self, request: wire.Map) -> wire.Map:
        to = request["to"]
        if to == "now":
            self.position = self.last
        elif to == "start":
            self.position = "0"
        elif to.isdigit():
            if request.get("stream") != self.stream:
                raise RequestError("stream_changed", "the journal was begun anew")
            self.position = to
        else:
            try:
                since = wire.nanoseconds(to)
            except ValueError as error:
                raise RequestError("bad_request", str(error)) from None
            earlier = [event.position for event in self.log if event.time_ns < since]
            self.position = max(earlier, default="0")
        self.owner, self.delivered = None, self.position
        return {"position": self.position}

    def _op_consumers(self, request: wire.Map) -> wire.Map:
        told = {"name": "fake", "position": self.position, "behind": len(self._pending())}
        told.update(types=self.types, watches=self.watches, owned=self.owner is not None)
        return {"consumers": [{**told, "failed": len(self.failures), "lost": None}]}

    def _op_status(self, request: wire.Map) -> wire.Map:
        return {"version": VERSION, "daemon": "test", "ready": True, "watches": [], "consumers": 1}


class MemoryLink(Link):
    """A Link whose other end is a FakeDaemon."""

    def __init__(self, daemon: FakeDaemon) -> None:
        super().__init__(Connection("fetch", "ipc://in-memory", None, 0.0))
        self._daemon = daemon
        self._replies: Deque[bytes] = collections.deque()

    def open(self) -> Steps[wire.Map]:
        self.hello = self._daemon.answer({"op": "hello"})
        return self.hello
        yield  # a generator, as the real one

    def waiting(self, until: float) -> Step:
        return Call(lambda: None) if self._replies else Wait([], until)

    def send(self, body: bytes) -> None:
        self._replies.append(wire.encode(self._daemon.answer(wire.decode(body))))

    def receive(self) -> Iterator[bytes]:
        while self._replies:
            yield self._replies.popleft()

    def renew(self) -> None:
        self._replies.clear()

    def disconnected(self) -> bool:
        return False

    def another(self) -> None:
        return None
