"""The durable client without its sockets: requests out, replies in, time as an argument.

Who drives it (operations.py) hands over each reply, tells of lost connections, calls turn() and
sends what is in `outgoing`; `news` is what the user's callbacks are to be told. Requests are under
way while the caller works: `requests` are those that have no reply yet.
"""

import collections
import dataclasses
import uuid
from typing import Any, Deque, Dict, List, Optional

from . import wire
from .errors import Lost, RequestError, Reset
from .event import Event
from .model import (
    ACK_INTERVAL,
    DISCONNECTED,
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    LONGEST_REASON,
    OWNER,
    PATIENCE,
    PAUSE,
    STANDBY,
    Failure,
    News,
    Options,
    Request,
    State,
)
from .window import Window


class ConsumerCore:
    def __init__(self, options: Options, endpoint: str, stream: str, now: float) -> None:
        self.options = options
        self.endpoint = endpoint
        self.stream = stream
        self.client = uuid.uuid4().hex
        self.state: State = DISCONNECTED
        self.behind: Optional[int] = None
        self.lost: Optional[Lost] = None  # as in the last reply
        self.empty = False  # the last fetch had nothing new, and nothing lay behind it
        self._looked = 0  # the last fetch that was answered
        self.malformed = 0
        self.window = Window()
        self.failures: Deque[Failure] = collections.deque()
        self.acked = ""  # told to the daemon and confirmed
        self.resets = 0

        self.news: Deque[News] = collections.deque()
        self.outgoing: Deque[bytes] = collections.deque()
        self.renewal_due = False  # a new socket is wanted; then renewed()

        self._before: State = STANDBY  # the connection was lost
        self._started = False
        self._known = False  # the consumer exists
        self._answered = False  # whether we own it has been told since the beginning or a reset
        self._told_lost = ""
        self._useless = False  # the last fetch had nothing new while something was out
        self._asked_from = ""  # what the last fetch acked
        self._peeked = ""
        self._requests: List[Request] = []
        self._last_id = 0
        self.last_contact = now
        self._last_ack = now - ACK_INTERVAL
        self._ask_at = self._ack_at = self._fail_at = self._renew_at = now
        self._last_renewal = now - LONGEST_BACKOFF
        self._backoff = FIRST_BACKOFF

    # What the daemon is asked and told

    @property
    def asked(self) -> int:
        """The last request so far."""
        return self._last_id

    def nothing_since(self, asked: int) -> bool:
        """Who does not want to wait has asked after that request, and there is nothing."""
        idle = self.empty or self.state == STANDBY
        return not self.options.wait and self._looked > asked and idle

    @property
    def started(self) -> bool:
        """The daemon has answered a fetch."""
        return self._started

    @property
    def known(self) -> bool:
        return self._known

    def under_way(self, kind: str) -> bool:
        return any(request.kind == kind for request in self._requests)

    def _send(
        self,
        now: float,
        kind: str,
        arguments: Dict[str, Any],
        wait: float = 0.0,
        position: str = "",
    ) -> Request:
        self._last_id += 1
        op = "fetch" if kind == "peek" else kind
        body = wire.encode_request(op, self._last_id, **arguments)
        patience = wait + PATIENCE
        request = Request(self._last_id, kind, body, patience, now + patience, position)
        self._requests.append(request)
        self.outgoing.append(body)
        return request

    def _as_owner(self, now: float) -> Dict[str, Any]:
        self.last_contact = now
        return {"consumer": self.options.name, "client": self.client}

    def _send_fetch(self, now: float, wait: float) -> Request:
        options = self.options
        arguments: Dict[str, Any] = {}
        position = self._asked_from = self.window.ackable()
        if position:
            arguments.update(stream=self.stream, ack=position)
        if not self._known:
            # The same filters are asked for once only: somebody may change them meanwhile.
            arguments.update(
                types=list(options.types) or None,
                watches=list(options.watches) or None,
                start=options.start,
            )
        # A consumer that was forgotten while we used it must not begin anew at the oldest event.
        if self._known or not options.create:
            arguments["create"] = False
        arguments.update(limit=options.limit, lease=options.lease, wait=wait)
        arguments.update(self._as_owner(now))
        self._last_ack = now
        return self._send(now, "fetch", arguments, wait, position)

    def _send_peek(self, now: float) -> None:
        """Something is unfinished, so a fetch would return at once with that. Reading without the
        consumer does wait, and wakes us when there is more."""
        options = self.options
        arguments = {
            "after": max(self._peeked, self.window.cursor),
            "stream": self.stream,
            "types": list(options.types) or None,
            "watches": list(options.watches) or None,
            "limit": 1,
            "wait": options.wait,
        }
        self._send(now, "peek", arguments, options.wait)

    def ask(self, now: float) -> None:
        """Asks for more events if that makes sense now."""
        if self.window.in_hand or now < self._ask_at or self.under_way("fetch"):
            return
        if not self.window.undone:
            # The first tells whether we have to stand by, which nobody should have to wait for.
            self._send_fetch(now, self.options.wait if self._answered else 0.0)
        elif not self._useless or self.window.ackable() > self._asked_from:
            self._send_fetch(now, 0.0)
        elif not self.behind and not self.under_way("peek"):
            self._send_peek(now)
        # else: so many are out that no reply can hold more

    def look_now(self, now: float) -> int:
        """Asks what there is at this moment, also when a fetch waits, which this one ends; the
        number of the request, for looked()."""
        return self._send_fetch(now, 0.0).id

    def looked(self, number: int) -> bool:
        """The daemon has answered that request, or a later one; or it cannot be asked."""
        return self._looked >= number or (self._started and self.state == DISCONNECTED)

    def fetch_to_leave(self, now: float) -> None:
        """Replaces a fetch that waits for its turn, which would be given the consumer after we
        left."""
        self._send_fetch(now, 0.0)

    def release(self, now: float) -> None:
        self._send(now, "release", self._as_owner(now))

    def call(self, now: float, op: str, **arguments: Any) -> Request:
        """A request that the caller waits for: until its `answer` or `error` is there."""
        request = self._send(now, op, arguments)
        request.asked = True
        return request

    def fail(self, event: Event, reason: str, tries: int) -> None:
        if not self.window.is_open(event.position):
            return
        text = reason.encode("utf-8", "replace")[:LONGEST_REASON].decode("utf-8", "ignore")
        self.failures.append(Failure(event.position, text, tries))

    def may_tell(self) -> bool:
        """There is somebody to tell what is done."""
        to = self._before if self.state == DISCONNECTED else self.state
        return self._started and to == OWNER and not self.renewal_due

    def _may_fail(self) -> bool:
        return bool(self.failures) and not self.under_way("fail")

    def _may_ack(self) -> bool:
        return self.window.ackable() > self.acked and not self.under_way("ack")

    def _may_touch(self) -> bool:
        return not self.under_way("touch") and not self.under_way("fetch")

    def _next_ack(self) -> float:
        return max(self._ack_at, self._last_ack + ACK_INTERVAL)

    def _next_touch(self) -> float:
        return self.last_contact + self.options.lease / 3

    def tell(self, now: float, at_once: bool = False) -> None:
        """Failures, acks, the lease: what is due."""
        if not self.may_tell():
            return
        if self._may_fail() and now >= self._fail_at:
            failure = self.failures[0]
            arguments = self._as_owner(now)
            arguments.update(dataclasses.asdict(failure), stream=self.stream)
            self._send(now, "fail", arguments)
        if self._may_ack() and now >= (self._ack_at if at_once else self._next_ack()):
            position = self.window.ackable()
            arguments = self._as_owner(now)
            arguments.update(stream=self.stream, ack=position)
            self._send(now, "ack", arguments, position=position)
            self._last_ack = now
        elif self._may_touch() and now >= self._next_touch():
            self._send(now, "touch", {**self._as_owner(now), "lease": self.options.lease})

    # Time and the connection

    def connection_lost(self, now: float) -> None:
        self._enter(DISCONNECTED)
        self._renew_at = max(self._renew_at, self._last_renewal + self._backoff)
        self.renewal_due = True

    def wants_renewal(self, now: float) -> bool:
        """Whether a new socket is to be made now; then renewed()."""
        for request in self._requests:
            if now >= request.deadline and not self.renewal_due:
                self._enter(DISCONNECTED)
                self.renewal_due = True
                self._renew_at = now
        return self.renewal_due and now >= self._renew_at

    def renewed(self, now: float) -> None:
        """There is a new socket: what has no reply is asked again."""
        self.renewal_due = False
        self._last_renewal = now
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)
        self.outgoing.clear()
        for request in self._requests:
            self.outgoing.append(request.body)
            request.deadline = now + request.patience

    def next_turn(self, now: float, deadline: float) -> float:
        """When there is something to do if nothing comes."""
        times = [deadline]
        if self.renewal_due:
            times.append(self._renew_at)
        else:
            times.extend(request.deadline for request in self._requests)
        if self.may_tell():
            if self._may_fail():
                times.append(self._fail_at)
            if self._may_ack():
                times.append(self._next_ack())
            if self._may_touch():
                times.append(self._next_touch())
        if self._ask_at > now:
            times.append(self._ask_at)
        return min(times)

    # What the daemon says

    def receive(self, body: bytes, now: float) -> None:
        """A reply. Raises what the daemon will not do (RequestError), and ProtocolMismatch."""
        try:
            reply = wire.decode(body)
        except wire.WireError:
            self.malformed += 1
            return
        found = [request for request in self._requests if request.id == reply.get("request")]
        if not found:
            return  # a late one, of a time before a reset
        wire.check_protocol(self.endpoint, reply)
        request = found[0]
        self._requests.remove(request)
        self._backoff = FIRST_BACKOFF
        error = wire.error_in(reply)
        if request.asked:
            self._connected_again()
            request.answer, request.error = reply, error
        elif error is not None:
            self._on_error(request, reply, error, now)
        elif request.kind == "fetch":
            self._on_fetch(request, reply, now)
        elif request.kind == "peek":
            self._connected_again()
            self._peeked = max(self._peeked, wire.position_in(reply, "cursor"))
            self._useless = False  # also for what reading does not show: retried events
            if not self.options.wait:
                self._ask_at = now + PAUSE
        else:
            if request.kind == "ack":
                self.acked = max(self.acked, request.position)
            elif request.kind == "fail":
                failure = self.failures.popleft()  # they are told one by one
                self.window.finish(failure.position)
            if request.kind != "release":
                self._enter(OWNER)

    def _connected_again(self) -> None:
        if self.state == DISCONNECTED and self._started:
            self._enter(self._before)

    def _on_fetch(self, request: Request, reply: wire.Map, now: float) -> None:
        stream = str(reply.get("stream", ""))
        if stream and stream != self.stream:
            had = bool(self.window.seen)
            self.stream = stream
            if had:
                # The journal was begun anew, and no position of ours showed it.
                self._reset(Reset("stream_changed", "the daemon's journal was begun anew"))
                return
        self._known = True
        self._looked = max(self._looked, request.id)
        self._answered = True
        if "standby" in reply:
            self._enter(STANDBY)
            # Not at once, whatever becomes of `wait`.
            self._ask_at = now + (FIRST_BACKOFF if self.options.wait else PAUSE)
            return
        self.acked = max(self.acked, request.position)
        events = self._events_in(reply)
        cursor = wire.position_in(reply, "cursor")
        behind = reply.get("behind")
        self.behind = int(behind) if isinstance(behind, (int, float)) else 0
        if self.behind and not events and not cursor > self.window.cursor:
            self._ask_at = now + FIRST_BACKOFF  # a state that does not come yet
        self.window.take_fetched(events, cursor)
        self._useless = not self.window.in_hand
        self.empty = self._useless and not self.behind
        self._tell_lost(reply)
        self._enter(OWNER)

    def _events_in(self, reply: wire.Map) -> List[Event]:
        events = []
        for raw in reply.get("events") or ():
            try:
                events.append(Event(raw, self.options.roots))
            except (wire.WireError, AttributeError, TypeError):
                self.malformed += 1
        return events

    def _tell_lost(self, reply: wire.Map) -> None:
        told = reply.get("lost")
        self.lost = None
        if not isinstance(told, dict):
            return
        self.lost = Lost(wire.position_in(told, "first"), wire.position_in(told, "last"))
        if self.lost.last != self._told_lost:  # it is repeated until acked past
            self._told_lost = self.lost.last
            self.news.append(self.lost)

    def _on_error(self, request: Request, reply: wire.Map, error: RequestError, now: float) -> None:
        if request.kind == "release":
            return
        self._connected_again()
        stream = str(reply.get("stream", ""))
        if error.code == "busy":
            if request.kind == "fail":
                self._fail_at = now + PAUSE
            elif request.kind == "ack":
                self._ack_at = now + PAUSE
            else:
                self._ask_at = now + PAUSE
        elif error.code in ("stream_changed", "not_owner", "bad_ack"):
            if error.code == "stream_changed":
                self.stream = stream
                self._known = False
            self._reset(Reset(error.code, str(error.args[0])))
        elif error.code == "unknown_consumer" and self._known and stream != self.stream:
            self.stream = stream
            self._known = False
            self._reset(Reset("stream_changed", "the daemon's journal was begun anew"))
        elif error.code == "unknown_op":
            raise wire.unknown_op(self.endpoint, request.kind)
        else:
            if request.kind == "fail":
                self.failures.popleft()
            raise error

    def _reset(self, why: Reset) -> None:
        self.forget()
        self.news.append(why)

    def forget(self) -> None:
        """What was given out is not ours any more, or will come again."""
        self._requests = [request for request in self._requests if request.asked]
        self.failures.clear()
        self.window = Window()
        self.resets += 1
        self.acked = self._told_lost = self._peeked = self._asked_from = ""
        self.lost = None
        self._useless = self.empty = self._answered = False

    def wants(self, types: List[str], watches: List[str]) -> None:
        """The consumer has these filters from now on."""
        self.options.types, self.options.watches = types, watches
        # A reply that is under way is to the filters before.
        self._requests = [each for each in self._requests if each.kind not in ("fetch", "peek")]
        self.window.put_back()
        self._useless = self.empty = False

    def _enter(self, state: State) -> None:
        if state == self.state and self._started:
            return
        if self.state != DISCONNECTED:
            self._before = self.state
        self._started = True
        self.state = state
        self.news.append(state)

    def drop(self, request: Request) -> None:
        """Nobody waits for it any more."""
        self._requests = [each for each in self._requests if each is not request]
