"""What inotifier_consume does: fetch, store, work; in one process, or in one that fetches and some
that work."""

import logging
import signal
import threading
import time
from typing import Any, Callable, Dict, Optional

import inotifier
from django.db import Error, close_old_connections, connections, reset_queries

from .inbox import database
from .intake import LEASE, Intake
from .sqlite import OneProcess
from .work import DatabaseTrouble, Worker

logger = logging.getLogger("django_inotifier")

IDLE = 0.5  # seconds: how often one looks for SIGTERM, and for rows that others made due
STRETCH = 1.0  # seconds of work before the daemon is looked at again
LONGEST_PAUSE = 30.0  # while the database is away
RENEW = 60.0  # how often connections to databases are looked at, as after a request
RECONNECT = 2.0  # while the daemon is

# Worth waiting for: the daemon is being started, or again.
PASSING = (inotifier.NothingListens, inotifier.NoAnswer)


class Stop:
    """SIGTERM and SIGINT: the first ends the loop after the row that runs, the second at once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._before: Dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.ask()

    def ask(self) -> None:
        self._event.set()

    @property
    def asked(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        self._event.wait(seconds)


class Loop:
    """Fetches (with an `intake`) and works (with a `worker`) until it is stopped, or until there is
    nothing left."""

    def __init__(
        self,
        stop: Stop,
        intake: Optional[Intake],
        worker: Optional[Worker],
        until_empty: bool = False,
        orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        self.stop = stop
        self.intake = intake
        self.worker = worker
        self.until_empty = until_empty
        self.orphaned = orphaned
        self._pause = 0.0
        self._away = ""  # what was said of the daemon that does not answer
        self._connect_at = 0.0
        self._renew_at = 0.0
        self._contact = time.monotonic()

    def run(self) -> None:
        """Raises what does not pass: inotifier.ConnectionFailed, inotifier.RequestError."""
        try:
            while not self.stop.asked and not self.orphaned():
                self._renew()
                try:
                    if self._turn():
                        return
                    self._pause = 0.0
                except (DatabaseTrouble, Error) as error:
                    self._database_away(error)
        finally:
            if self.intake is not None:
                self.intake.close()

    def _renew(self) -> None:
        """What Django does between two requests."""
        reset_queries()
        if time.monotonic() >= self._renew_at:
            self._renew_at = time.monotonic() + RENEW
            close_old_connections()

    def _turn(self) -> bool:
        """Whether all is done."""
        more = self.worker is not None and self._work()
        if self.intake is None:
            if not more and not self.until_empty:
                self.stop.wait(IDLE / 2)
            return self.until_empty and not more
        taken = self._take(0.0 if more else self._idle())
        return self.until_empty and not more and not taken and self._nothing_comes()

    def _idle(self) -> float:
        """How long to wait for the daemon when there is nothing to work on."""
        if self.until_empty:
            return IDLE / 10  # it answers at once
        return self.worker.seconds_to_next(IDLE) if self.worker is not None else IDLE

    def _work(self) -> bool:
        """Works for a stretch of time; whether there may be more."""
        assert self.worker is not None
        until = time.monotonic() + STRETCH
        while self.worker.run_next():
            now = time.monotonic()
            if now - self._contact > LEASE / 6 and self.intake is not None:
                self._contact = now
                self._ask_daemon(self.intake.keep_alive)
            if now >= until or self.stop.asked:
                return True
        return False

    def _take(self, wait: float) -> int:
        assert self.intake is not None
        if time.monotonic() < self._connect_at:
            self.stop.wait(wait)
            return 0
        intake = self.intake
        self._contact = time.monotonic()
        return self._ask_daemon(lambda: intake.poll(wait)) or 0

    def _ask_daemon(self, what: Callable[[], Optional[int]]) -> Optional[int]:
        try:
            result = what()
        except PASSING as error:
            if self.until_empty:
                raise
            if str(error) != self._away:
                self._away = str(error)
                logger.warning("%s; trying again", error)
            self._connect_at = time.monotonic() + RECONNECT
            return None
        if self._away:
            self._away = ""
            logger.warning("the daemon answers again")
        return result

    def _nothing_comes(self) -> bool:
        """Another process may have the consumer; then what comes is that one's."""
        assert self.intake is not None
        return self.intake.caught_up or self.intake.state == "standby"

    def _database_away(self, error: Exception) -> None:
        # An error that does not concern the connection leaves it usable; look at it anyway.
        connection = connections[database()]
        if not connection.in_atomic_block:
            connection.close()
        if self.until_empty and self._pause >= 1:
            raise error
        self._pause = min(max(self._pause * 2, 0.1), LONGEST_PAUSE)
        logger.warning("the database: %s; trying again in %.1f s", error, self._pause)
        self.stop.wait(self._pause)


def wait_for_turn(stop: Stop, lock: OneProcess, until_empty: bool) -> bool:
    """On SQLite, until no other process consumes; false if that did not come."""
    if lock.take():
        return True
    logger.warning("another process has %s: it works, this one stands by", lock.path)
    while not until_empty and not stop.asked:
        stop.wait(IDLE)
        if lock.take():
            return True
    return False
