"""What one can do with a durable consumer, written once for threads and event loops (steps.py)."""

import contextlib
import datetime
import time
from typing import Any, Callable, Iterable, List, NamedTuple, Optional, Union

import zmq

from . import wire
from .core import ConsumerCore
from .errors import Error, Lost, NoAnswer, RequestError, Reset
from .event import Event
from .event_types import check_types, check_watches
from .link import Link
from .model import ACK_INTERVAL, DISCONNECTED, OWNER, PAUSE, Options
from .steps import Process, Steps, Wait, deadline_after
from .stopping import StopSignals

FAREWELL = 1.0
CALL_TIMEOUT = 10.0
GLANCE = 0.5  # a daemon that is there answers at once


class Batch(NamedTuple):
    """The events of one fetch."""

    events: List[Event]
    cursor: str  # to be acked when the events are done
    stream: str  # the life of the positions
    behind: int  # events of all kinds after the cursor
    lost: Optional[Lost]  # no longer kept when we came for them; told until acked past


class FailedEvent(NamedTuple):
    """An event that a consumer could not process, as the daemon keeps it."""

    event: Event
    position: str
    reason: str
    tries: int
    time: datetime.datetime


class Glance(NamedTuple):
    """A fetch of who does not want to wait."""

    number: int
    deadline: float


class Handlers(NamedTuple):
    lost: Callable[[Lost], Any]
    state: Callable[[str], Any]
    reset: Callable[[Reset], Any]


class ConsumerOperations:
    def __init__(self, options: Options, link: Link, handlers: Handlers) -> None:
        self.options = options
        self.handlers = handlers
        self.link = link
        self.core: Optional[ConsumerCore] = None
        self.closed = False
        self.stop: Optional[StopSignals] = None
        self.progress: Callable[[], None] = lambda: None  # something came: other tasks may go on
        self._process = Process()
        self._tell_at = 0.0

    def open(self) -> Steps[ConsumerCore]:
        """The core; connects first if that has not been done."""
        if self.closed:
            raise Error(f"consumer {self.options.name}: it is closed")
        self._process.check()
        if self.core is None:
            hello = yield from self.link.open()
            stream = str(hello.get("stream", ""))
            if self.core is None:  # else another task was quicker
                now = time.monotonic()
                self.core = ConsumerCore(self.options, self.link.endpoint, stream, now)
        return self.core

    def _check_open(self) -> None:
        self._process.check()
        if self.closed:
            raise Error(f"consumer {self.options.name}: it was closed meanwhile")

    def _look(self, core: ConsumerCore) -> Steps[None]:
        """Replies, lost connections, late replies. Raises ConnectionFailed if the daemon will have
        us no more; who looks again asks again."""
        try:
            for body in self.link.receive():
                self.progress()
                core.receive(body, time.monotonic())
            if self.link.disconnected():
                core.connection_lost(time.monotonic())
            refusal = yield from self.link.refusal()
            self._check_open()
            if refusal is not None:
                raise refusal
            now = time.monotonic()
            if core.wants_renewal(now):
                self.link.renew()
                core.renewed(now)
        finally:
            self._send(core)
            self._tell_news(core)

    def _send(self, core: ConsumerCore) -> None:
        while core.outgoing:
            self.link.send(core.outgoing.popleft())

    def _tell_news(self, core: ConsumerCore) -> None:
        while core.news:
            news = core.news.popleft()
            if isinstance(news, Lost):
                self.handlers.lost(news)
            elif isinstance(news, Reset):
                self.handlers.reset(news)
            else:
                self.handlers.state(news)

    def _tell(self, core: ConsumerCore, at_once: bool = False) -> None:
        core.tell(time.monotonic(), at_once)
        self._send(core)

    def _ask(self, core: ConsumerCore) -> None:
        core.ask(time.monotonic())
        self._send(core)

    def _wait(self, core: ConsumerCore, deadline: float) -> Steps[bool]:
        """One turn of waiting; False if the wait is over."""
        now = time.monotonic()
        if now >= deadline:
            return False
        yield self.link.waiting(core.next_turn(now, deadline))
        self._check_open()
        return True

    def _ask_or_look(self, core: ConsumerCore, timeout: Optional[float]) -> Optional["Glance"]:
        """Asks for more. Who does not want to wait gets what there is at this moment."""
        if timeout is None or timeout > 0:
            self._ask(core)
            return None
        now = time.monotonic()
        glance = Glance(core.look_now(now), now + GLANCE)
        self._send(core)
        return glance

    @property
    def stopping(self) -> bool:
        return self.stop is not None and self.stop.asked

    def _wait_or_stop(self, core: ConsumerCore, deadline: float) -> Steps[bool]:
        """The same; also over when the process is asked to end."""
        now = time.monotonic()
        if now >= deadline or self.stopping:
            return False
        step = self.link.waiting(core.next_turn(now, deadline))
        yield step._replace(stop=self.stop) if isinstance(step, Wait) else step
        self._check_open()
        return not self.stopping

    def next(self, timeout: Optional[float]) -> Steps[Optional[Event]]:
        deadline = deadline_after(timeout)
        core, glance = (yield from self.open()), None
        now, asked = time.monotonic(), core.asked
        if now >= self._tell_at:  # events in hand must not keep us from everything else
            self._tell_at = now + ACK_INTERVAL / 2
            yield from self._look(core)
            self._tell(core)
        while not self.stopping:
            event = core.window.take()
            if event is not None:
                return event
            yield from self._look(core)
            if core.window.in_hand:
                continue
            self._tell(core)
            if core.nothing_since(asked):
                return None
            if glance is None:
                glance = self._ask_or_look(core, timeout)
            elif core.looked(glance.number):
                break
            if not (yield from self._wait_or_stop(core, glance.deadline if glance else deadline)):
                break
        return None

    def next_batch(self, timeout: Optional[float]) -> Steps[Optional[Batch]]:
        deadline = deadline_after(timeout)
        core = yield from self.open()
        yield from self._look(core)
        core.window.give_back()
        self._tell(core)
        asked, resets, glance = core.asked, core.resets, None
        cursor, lost = core.window.cursor, core.lost
        while not self.stopping:
            if core.resets != resets:
                resets, cursor, lost = core.resets, core.window.cursor, None
            if core.window.in_hand or core.window.cursor > cursor or (core.lost and not lost):
                events = core.window.take_all()
                return Batch(events, core.window.cursor, core.stream, core.behind or 0, core.lost)
            if core.nothing_since(asked):
                return None
            if glance is None:
                glance = self._ask_or_look(core, timeout)
            elif core.looked(glance.number):
                break
            if not (yield from self._wait_or_stop(core, glance.deadline if glance else deadline)):
                break
            yield from self._look(core)
            self._tell(core)
        return None

    def keep_alive(self, timeout: float) -> Steps[None]:
        deadline = deadline_after(timeout)
        core = yield from self.open()
        while True:
            yield from self._look(core)
            self._tell(core)
            if not (yield from self._wait_or_stop(core, deadline)):
                return

    def flush(self, timeout: float) -> Steps[bool]:
        deadline = deadline_after(timeout)
        core = yield from self.open()
        resets = core.resets
        while True:
            yield from self._look(core)
            if core.resets != resets:
                return False
            if not core.failures and core.acked >= core.window.ackable():
                return True
            if not core.may_tell() and core.state != DISCONNECTED:
                return False
            self._tell(core, at_once=True)
            if not (yield from self._wait(core, deadline)):
                return False

    def call(self, op: str, timeout: float = CALL_TIMEOUT, **arguments: Any) -> Steps[wire.Map]:
        """A request of the user's while everything else goes on. "busy" is tried again."""
        deadline = deadline_after(timeout)
        core = yield from self.open()
        while True:
            request = core.call(time.monotonic(), op, **arguments)
            try:
                self._send(core)
                while request.answer is None:
                    yield from self._look(core)
                    if request.answer is None and not (yield from self._wait(core, deadline)):
                        raise NoAnswer(
                            f'{self.link.endpoint}: no answer to "{op}": has the daemon stopped?'
                        )
            finally:
                core.drop(request)  # else it would be sent again, after an error too
            if request.error is None:
                return request.answer
            if request.error.code == "unknown_op":
                raise wire.unknown_op(self.link.endpoint, op)
            again = time.monotonic() + PAUSE
            if request.error.code != "busy" or again >= deadline:
                raise request.error
            while (yield from self._wait(core, again)):
                yield from self._look(core)

    def seek(self, to: Union[str, int, datetime.datetime], stream: Optional[str]) -> Steps[None]:
        core = yield from self.open()
        deadline = deadline_after(CALL_TIMEOUT)
        while not core.known:  # there must be a consumer to be moved
            yield from self._look(core)
            self._ask(core)
            if not core.known and not (yield from self._wait(core, deadline)):
                raise NoAnswer(f"{self.link.endpoint}: no answer: has the daemon stopped?")
        place = _place(to)
        if stream is None and place.isdigit():
            stream = core.stream
        yield from self.call("seek", consumer=self.options.name, to=place, stream=stream)
        core.forget()

    def update(
        self, types: Optional[Iterable[str]], watches: Optional[Iterable[str]]
    ) -> Steps[None]:
        types = None if types is None else check_types(types)
        watches = None if watches is None else check_watches(watches)
        core = yield from self.open()
        options = self.options
        try:
            kept = yield from self.call(
                "update", consumer=options.name, types=types, watches=watches
            )
        except RequestError as error:
            if error.code != "unknown_consumer" or core.known or not options.create:
                raise
            kept = {  # by the first fetch, which makes it
                "types": options.types if types is None else types,
                "watches": options.watches if watches is None else watches,
            }
        core.wants(list(kept.get("types") or ()), list(kept.get("watches") or ()))

    def failed(self) -> Steps[List[FailedEvent]]:
        found: List[FailedEvent] = []
        after: Optional[str] = None
        while True:
            reply = yield from self.call("failed", consumer=self.options.name, after=after)
            entries = reply.get("failed") or []
            for entry in entries:
                after = str(entry["position"])
                when = wire.datetime_of(wire.nanoseconds(entry["time"]))
                event = Event(entry["event"], self.options.roots)
                reason, tries = str(entry.get("reason") or ""), int(entry.get("tries") or 1)
                found.append(FailedEvent(event, after, reason, tries, when))
            if not entries or not reply.get("more"):
                return found

    def retry(self, positions: Optional[Iterable[Union[str, Event]]]) -> Steps[int]:
        chosen = None if positions is None else [_position(each) for each in positions]
        retried = 0
        while chosen is None or chosen:
            part = None if chosen is None else chosen[:500]  # as many as it takes at a time
            reply = yield from self.call("retry", consumer=self.options.name, positions=part)
            retried += int(reply.get("retried") or 0)
            if chosen is not None:
                chosen = chosen[500:]
            elif not reply.get("more"):
                break
        return retried

    def info(self) -> Steps[Optional[wire.Map]]:
        reply = yield from self.call("consumers")
        for each in reply.get("consumers") or ():
            if each.get("name") == self.options.name:
                return dict(each)
        return None

    def close(self) -> Steps[None]:
        """Acks what is done and gives the consumer up, waiting for that at most a second."""
        core, deadline = self.core, time.monotonic() + FAREWELL
        if self.closed or not self._process.is_ours:
            self.closed = True  # a forked child leaves the sockets alone
            return
        try:
            if core is None or not core.started or core.state == DISCONNECTED:
                return
            self.handlers = Handlers(_nobody, _nobody, _nobody)
            with contextlib.suppress(Error, zmq.ZMQError):  # the lease runs out by itself
                if core.state == OWNER:
                    yield from self.flush(FAREWELL / 2)
                else:
                    core.fetch_to_leave(time.monotonic())
                core.release(time.monotonic())
                self._send(core)
                while core.under_way("release"):
                    if not (yield from self._wait(core, deadline)):
                        break
                    yield from self._look(core)
        finally:
            self.closed = True
            self.link.close()
            if self.stop is not None:
                self.stop.close()

    # What takes no time

    def done(self, event: Union[Event, str]) -> None:
        if self.core is not None:
            self.core.window.finish(_position(event))

    def ack(self, upto: Union[Event, str]) -> None:
        if self.core is not None:
            self.core.window.finish_up_to(_position(upto))

    def fail(self, event: Event, reason: str, tries: int) -> None:
        if self.core is not None:
            self.core.fail(event, str(reason), tries)


def _nobody(_news: Any) -> None:
    pass


def _position(of: Union[Event, str]) -> str:
    return of.position if isinstance(of, Event) else wire.position_text(of)


def _place(to: Union[str, int, datetime.datetime]) -> str:
    """Where `seek` is to go, as the daemon wants it."""
    if isinstance(to, datetime.datetime):
        return wire.time_of_datetime(to)
    if isinstance(to, int) or to.isdigit():
        return wire.position_text(to)
    return to
