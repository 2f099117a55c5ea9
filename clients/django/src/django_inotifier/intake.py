"""Fetches from the daemon and fills the inbox. Any doubt about where we are is settled in one way:
the database's cursor wins, and the daemon's consumer is moved to it."""

import logging
import time
from typing import Any, Dict, Optional

import inotifier
from django.db import Error

from . import inbox
from .checks import meant, watches_named
from .conf import Config
from .inbox import CursorMoved, Place

logger = logging.getLogger("django_inotifier")

LIMIT = 1000  # events in one transaction
LEASE = 10.0  # after a kill another process waits so long; that two have it harms nobody
WAIT = 5.0
LOOK_AT_CURSOR = 15.0  # how often, while nothing comes: a backup may have been restored


class Intake:
    """One process's durable consumer. Connects when first used; poll() raises
    inotifier.ConnectionFailed and inotifier.RequestError, and django.db.Error."""

    def __init__(self, config: Config, start: Optional[str] = None, wait: float = WAIT) -> None:
        """`start`: where a site begins that has no cursor yet: "oldest", "now" or "state". `wait`:
        how long the daemon may hold a fetch back; 0 to learn at once that there is nothing."""
        self.config = config
        self.start = start
        self.wait = wait
        self.received = 0
        self._consumer: Optional[inotifier.Consumer] = None
        self._expected: Optional[Place] = None
        self._unsure = True  # whether the daemon is where the inbox ends
        self._made = False  # we have made the consumer
        self._compared = False  # the names of watches with the daemon's
        self._looked = 0.0

    @property
    def state(self) -> str:
        """ "owner", "standby" (another process fetches), "disconnected"."""
        return self._consumer.state if self._consumer else "disconnected"

    @property
    def caught_up(self) -> bool:
        return self._consumer is not None and not self._unsure and self._consumer.caught_up

    def poll(self, timeout: float) -> int:
        """Waits so many seconds at most; how many new rows there are."""
        consumer = self._connect()
        try:
            batch = consumer.next_batch(timeout)
        except inotifier.RequestError as error:
            if error.code != "unknown_consumer":
                raise
            self.close()  # somebody has it forgotten: it is made anew, and moved to our cursor
            return 0
        if batch is not None and self._expected and batch.stream != self._expected.stream:
            self._unsure = True
        if consumer.state != "owner":
            return 0
        if batch is None and time.monotonic() - self._looked > LOOK_AT_CURSOR:
            self._looked = time.monotonic()
            self._unsure |= inbox.read_cursor(self.config.consumer) != self._expected
        if self._unsure and not self._agrees(consumer):
            return 0  # the consumer was moved; what we have is not what comes next
        return 0 if batch is None else self._take(consumer, batch)

    def keep_alive(self) -> None:
        if self._consumer is not None:
            self._consumer.keep_alive(0)

    def close(self) -> None:
        """Acknowledges what is stored, and leaves the consumer to the next one."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _take(self, consumer: inotifier.Consumer, batch: Any) -> int:
        reached = Place(batch.stream, batch.cursor)
        lost = (batch.lost[0], batch.lost[1]) if batch.lost else None
        try:
            rows = inbox.store(self.config.consumer, self._expected, reached, batch.events, lost)
        except (CursorMoved, Error) as error:
            # Not acknowledged: it comes again.
            self._unsure = True
            if isinstance(error, CursorMoved):
                return 0
            raise
        self._expected = reached
        self._looked = time.monotonic()
        consumer.ack(batch.cursor)
        self.received += len(rows)
        return len(rows)

    def _connect(self) -> inotifier.Consumer:
        if self._consumer is not None:
            return self._consumer
        config = self.config
        connection: Dict[str, Any] = {
            "endpoint": config.endpoint,
            "server_key": config.server_key,
            "key": config.key,
        }
        with inotifier.Requester(**connection) as requester:
            self._made = not _agree_on_filters(requester, config)
            if not self._compared:
                self._compared = True
                _warn_of_unknown_watches(requester, config)
        self._unsure = True
        self._consumer = inotifier.Consumer(
            config.consumer,
            types=config.types,
            watches=config.watches,
            roots=config.roots,
            limit=LIMIT,
            wait=self.wait,
            lease=LEASE,
            start=self.start,
            on_state=self._on_state,
            on_reset=self._on_reset,
            on_lost=lambda lost: None,  # each batch has it
            **connection,
        )
        return self._consumer

    def _on_state(self, state: str) -> None:
        self._unsure = True
        logger.info("consumer %s: %s", self.config.consumer, state)

    def _on_reset(self, reset: Any) -> None:
        self._unsure = True
        logger.info("consumer %s: %s", self.config.consumer, reset.message)

    def _agrees(self, consumer: inotifier.Consumer) -> bool:
        """Whether what comes begins where the inbox ends; if not, the daemon has been told to."""
        name = self.config.consumer
        cursor = inbox.read_cursor(name)
        daemon = _place_of(consumer)
        if daemon is None:
            return False
        made, self._made = self._made, False
        moved = True
        if cursor is not None and cursor.stream == daemon.stream:
            # A daemon that is behind the inbox stays there: what comes twice is recognised, and to
            # be moved would end a state ("start") that is being delivered.
            ahead = daemon.position > cursor.position
            went_back = self._expected is not None and self._expected.position > cursor.position
            moved = (ahead or went_back or made) and _seek(consumer, cursor)
        elif cursor is not None or not made:
            # An inbox that knows nothing of this journal wants all of it.
            moved = _seek(consumer, None)
            cursor = self._begin(cursor, _place_of(consumer))
        else:
            moved = False
            cursor = self._begin(None, daemon)
        self._expected = cursor
        self._unsure = moved or cursor is None
        return not self._unsure

    def _begin(self, cursor: Optional[Place], first: Optional[Place]) -> Optional[Place]:
        """The place at which this inbox begins; None if that is not known yet."""
        if first is None:
            return None
        try:
            inbox.store(self.config.consumer, cursor, first, [])
        except CursorMoved:
            return None
        return first


def _place_of(consumer: inotifier.Consumer) -> Optional[Place]:
    """Where the daemon has this consumer; None if it has none just now."""
    info = consumer.info()
    return Place(consumer.stream or "", info["position"]) if info else None


def _seek(consumer: inotifier.Consumer, to: Optional[Place]) -> bool:
    """Moves the consumer there, or to the start of the journal; whether it moved."""
    try:
        if to is None:
            consumer.seek("start")
        else:
            consumer.seek(to.position, stream=to.stream)
    except inotifier.RequestError as error:
        if error.code == "bad_request":
            # No such position yet: a power cut took back what the daemon had told. What it tells
            # from now on is later than that.
            return False
        if error.code != "stream_changed":
            raise
    logger.info("consumer %s: moved to %s", consumer.name, to.position if to else "the start")
    return True


def _agree_on_filters(requester: Any, config: Config) -> bool:
    """Types and watches are kept with a consumer: those of the setting hold. False if there is no
    consumer yet."""
    for entry in requester.request("consumers").get("consumers") or ():
        if entry.get("name") != config.consumer:
            continue
        kept = (set(entry.get("types") or ()), set(entry.get("watches") or ()))
        if kept != (set(config.types), set(config.watches)):
            requester.request(
                "update", consumer=config.consumer, types=config.types, watches=config.watches
            )
        return True
    return False


def _warn_of_unknown_watches(requester: Any, config: Config) -> None:
    """A misspelt name of a watch would be a receiver that never gets anything."""
    known = [str(watch.get("name")) for watch in requester.request("status").get("watches") or ()]
    named = [("ONLY_WATCHES", watch) for watch in config.watches] + list(watches_named(config))
    for where, watch in named:
        if watch not in known:
            logger.warning(
                "%s has %r, which is no watch of the daemon. %s", where, watch, meant(watch, known)
            )
