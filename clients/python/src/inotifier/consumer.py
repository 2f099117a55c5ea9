"""The durable client for threads: it belongs to one thread and must not be used after a fork."""

import datetime
import logging
from typing import Any, Callable, Iterable, Iterator, List, Optional, Sequence, Union

from . import steps, wire
from .connection import Connection, PathLike
from .errors import Lost, Reset
from .event import Event, Roots, roots_or_default
from .keeper import Keeper
from .link import Link
from .model import DISCONNECTED, Options
from .operations import Batch, ConsumerOperations, FailedEvent, Handlers
from .stopping import StopSignals

logger = logging.getLogger("inotifier")


class ConsumerBase:
    """What both kinds of Consumer share: what takes no time."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: Optional[str] = None,
        types: Sequence[str] = (),
        watches: Sequence[str] = (),
        roots: Optional[Roots] = None,
        server_key: Optional[PathLike] = None,
        key: Optional[PathLike] = None,
        limit: int = 256,
        wait: float = 30.0,
        lease: float = 60,
        start: Optional[str] = None,
        create: bool = True,
        connect_timeout: float = 2.5,
        stop_signals: bool = False,
        on_lost: Optional[Callable[[Lost], Any]] = None,
        on_state: Optional[Callable[[str], Any]] = None,
        on_reset: Optional[Callable[[Reset], Any]] = None,
    ) -> None:
        self.name = name
        roots = roots_or_default(roots)
        self._operations = ConsumerOperations(
            Options(name, types, watches, limit, wait, lease, start, create, roots),
            self._make_link(endpoint, server_key, key, connect_timeout),
            Handlers(
                on_lost or self._warn_of_loss,
                on_state or self._note_state,
                on_reset or self._note_reset,
            ),
        )
        self._begin()
        if stop_signals:
            self._operations.stop = StopSignals()

    def _make_link(
        self,
        endpoint: Optional[str],
        server_key: Optional[PathLike],
        key: Optional[PathLike],
        connect_timeout: float,
    ) -> Link:
        return Link(Connection.of("fetch", endpoint, server_key, key, connect_timeout))

    def _begin(self) -> None:
        """At the end of construction."""

    def _warn_of_loss(self, lost: Lost) -> None:
        logger.warning(
            "consumer %s: events between %s and %s are no longer kept: lost", self.name, *lost
        )

    def _note_state(self, state: str) -> None:
        logger.debug("consumer %s: %s", self.name, state)

    def _note_reset(self, reset: Reset) -> None:
        logger.warning(
            "consumer %s: what was not acknowledged will come again: %s", self.name, reset.message
        )

    def done(self, event: Union[Event, str]) -> None:
        """This event (or the one at this position) is done, in any order; what is told to the
        daemon is the unbroken prefix of what is done. It hears of it with the next fetch, within a
        second inside any call, and at the end."""
        self._operations.done(event)

    def ack(self, upto: Union[Event, str]) -> None:
        """Everything given out up to this event or position (a batch's cursor) is done."""
        self._operations.ack(upto)

    def fail(self, event: Event, reason: str, tries: int = 1) -> None:
        """The event could not be processed, after so many tries: the daemon keeps it with the
        reason (at most 4096 bytes), to be listed and retried, and passes over it. It counts as
        done."""
        self._operations.fail(event, reason, tries)

    @property
    def endpoint(self) -> str:
        return self._operations.link.endpoint

    @property
    def client(self) -> Optional[str]:
        """The random text that names us to the daemon; None before there was a connection."""
        core = self._operations.core
        return None if core is None else core.client

    @property
    def state(self) -> str:
        """ "owner", "standby" (another client has the consumer), "disconnected"."""
        core = self._operations.core
        return DISCONNECTED if core is None else core.state

    @property
    def stopping(self) -> bool:
        """With `stop_signals`: a signal has come, and nothing more is given out."""
        return self._operations.stopping

    @property
    def stream(self) -> Optional[str]:
        """The life of the positions: those of different streams do not compare."""
        core = self._operations.core
        return None if core is None else core.stream

    @property
    def behind(self) -> Optional[int]:
        """How many events of all kinds lay after the last fetch; None before the first."""
        core = self._operations.core
        return None if core is None else core.behind

    @property
    def caught_up(self) -> bool:
        """At the last look there was nothing more, and all that was given out is done."""
        core = self._operations.core
        if core is None or core.state != "owner":
            return False
        return core.empty and not core.window.undone and not core.window.in_hand

    @property
    def malformed(self) -> int:
        """What was in replies, but was no event."""
        core = self._operations.core
        return 0 if core is None else core.malformed


class Consumer(ConsumerBase):
    """Durable: a named position in the daemon's journal. Every event comes at least once, with the
    same id each time, until it is acknowledged; whatever is killed or restarted in between.

        with Consumer("thumbnails", types=["file.completed"], stop_signals=True) as consumer:
            for event in consumer:
                work(event.path)

    An event is done when the loop asks for the next one; `break` or an exception leaves it undone,
    and it comes again, to the next owner. Several processes may run with one name: one works, the
    others stand by until it closes, or has been silent for the lease. While a loop body works,
    however long, a thread keeps the lease; who calls next() instead calls keep_alive() now and
    then.

    name      of the consumer: letters, digits, "_", "-", at most 64
    endpoint  None: INOTIFIER_FETCH_ENDPOINT, else the person's socket if it is there, else the
              service's
    types, watches
              which events; empty: all, or as stored with the consumer when it was made. Others
              than stored are a RequestError: update() changes them
    roots     {"watch": "/where/this/program/sees/its/root"}; None: INOTIFIER_ROOTS
    server_key, key
              files as `inotifier keygen` writes them: the daemon's public key and our own secret
              one; None: INOTIFIER_SERVER_KEY and INOTIFIER_KEY, else no keys
    limit     events a fetch, 1 to 4096: also how many may be out beyond one that is not done
    wait      seconds that the daemon holds a fetch back when there is nothing, at most 60. With 0
              nobody waits: next() returns None, and a loop ends, when there is nothing more
    lease     seconds of silence after which another process may take over, 1 to 3600
    start     of a new consumer: "oldest" (also None), "now", "state"
    create    False: RequestError "unknown_consumer" if there is none
    connect_timeout
              seconds to wait for a daemon that has not started yet. Afterwards a lost connection is
              renewed for ever, unless the daemon comes back and will have us no more
    stop_signals
              True: SIGTERM, SIGINT and SIGHUP end the loop when its body is through (next() and
              next_batch() return None), and close() then leaves the consumer to the next process,
              which otherwise stands by until the lease has run out. A second signal is
              KeyboardInterrupt. Only in the main thread
    on_lost, on_state, on_reset
              called inside the other methods with Lost, a state, Reset; they must not call the
              consumer. Without them losses and resets are logged (logger "inotifier")

    Connects at once. Raises ConnectionFailed; RequestError for what the daemon will not do
    ("bad_request": other types than those stored; "unknown_consumer": it was forgotten meanwhile;
    "not_allowed"). Every call but those that take no time (done, ack, fail) and close() raises
    ConnectionFailed, too, if the daemon was started anew and will have us no more: our key was
    taken away, or it wants keys, or none. Who calls again asks again.
    """

    def _begin(self) -> None:
        steps.run(self._operations.open())

    def __enter__(self) -> "Consumer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        event = self.next()
        with Keeper(self._operations) as keeper:
            while event is not None:
                with keeper.working():
                    yield event
                self.done(event)
                event = self.next()

    def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when `timeout` (seconds; None: for ever) ran out, or when the process
        is to end (`stopping`). With 0 the daemon is asked what there is now: None means nothing."""
        return steps.run(self._operations.next(timeout))

    def next_batch(self, timeout: Optional[float] = None) -> Optional[Batch]:
        """All events of one fetch, for those who commit in batches; None when `timeout` ran out.

        ack(batch.cursor) says that they are done; the next call sends it along. What was given out
        and is not done comes again with the next call: a transaction that was rolled back is simply
        tried again. A batch may have no events and a cursor that moved on (events that did not
        match), or only `lost`.
        """
        return steps.run(self._operations.next_batch(timeout))

    def keep_alive(self, timeout: float = 0) -> None:
        """Does what next() does besides (acks, the lease, reconnecting) without taking an event,
        for `timeout` seconds; 0 does what is due. Call it during work that is longer than a third
        of the lease."""
        steps.run(self._operations.keep_alive(timeout))

    def flush(self, timeout: float = 1.0) -> bool:
        """Tells the daemon now what is done, and waits until it has heard; False if it did not
        within `timeout` seconds."""
        return steps.run(self._operations.flush(timeout))

    def seek(self, to: Union[str, int, datetime.datetime], stream: Optional[str] = None) -> None:
        """Moves the consumer, also under another process that owns it: "start" (the oldest event
        kept), "now", after a position (of `stream`; None: of the present one), or an aware
        datetime. What was given out before and is not acked is dropped. Raises RequestError,
        "stream_changed" for a position of another stream."""
        steps.run(self._operations.seek(to, stream))

    def update(
        self, *, types: Optional[Iterable[str]] = None, watches: Optional[Iterable[str]] = None
    ) -> None:
        """Changes which events the consumer gets, under every process that runs it: None leaves a
        filter as it is, an empty one means all. It holds for everything that is not acked."""
        steps.run(self._operations.update(types, watches))

    def failed(self) -> List[FailedEvent]:
        """What fail() was called for, by position."""
        return steps.run(self._operations.failed())

    def retry(self, positions: Optional[Iterable[Union[str, Event]]] = None) -> int:
        """Has failed events (None: all) delivered again, under the same id and at a new position;
        how many."""
        return steps.run(self._operations.retry(positions))

    def status(self) -> wire.Map:
        """What the daemon says of itself, its watches and its journal: clients/README.md."""
        return steps.run(self._operations.call("status"))

    def info(self) -> Optional[wire.Map]:
        """What the daemon says of this consumer: position, behind, owned, failed, …; None if there
        is none of that name."""
        return steps.run(self._operations.info())

    def close(self) -> None:
        """Acks what is done and gives the consumer up, waiting for that at most a second."""
        steps.run(self._operations.close())
