"""The live client for threads: it belongs to one thread and must not be used after a fork."""

import logging
from typing import Any, Callable, Iterator, Optional, Sequence

from . import steps
from .connection import Connection, PathLike
from .errors import Gap
from .event import Event, Roots, roots_or_default
from .live import HIGH_WATER_MARK, LiveCore, LiveOperations

logger = logging.getLogger("inotifier")


class SubscriberBase:
    def __init__(
        self,
        *,
        types: Sequence[str] = (),
        watches: Sequence[str] = (),
        endpoint: Optional[str] = None,
        roots: Optional[Roots] = None,
        server_key: Optional[PathLike] = None,
        key: Optional[PathLike] = None,
        connect_timeout: float = 2.5,
        high_water_mark: int = HIGH_WATER_MARK,
        on_gap: Optional[Callable[[Gap], Any]] = None,
    ) -> None:
        connection = Connection.of("publish", endpoint, server_key, key, connect_timeout)
        core = LiveCore(connection.endpoint, types, watches, roots_or_default(roots))
        self._operations = LiveOperations(
            connection, core, high_water_mark, on_gap or self._warn_of_gap
        )
        self._begin()

    def _begin(self) -> None:
        """At the end of construction."""

    def _warn_of_gap(self, gap: Gap) -> None:
        logger.warning("%s: events after %s up to %s were missed", *gap)

    @property
    def endpoint(self) -> str:
        return self._operations.connection.endpoint

    @property
    def live(self) -> bool:
        """True once anything arrived, a heartbeat at least: the subscription is in effect, and what
        is published from now on arrives here or shows as a gap."""
        return self._operations.core.live

    @property
    def malformed(self) -> int:
        """Messages that were no events."""
        return self._operations.core.malformed


class Subscriber(SubscriberBase):
    """Live: what is published while we listen.

        for event in Subscriber(types=["file.completed"], on_gap=print):
            print(event.path)

    What is published while nobody is connected is not kept for it, and who is too slow loses what
    is beyond `high_water_mark` messages here and the daemon's own there. Such a loss shows as a
    Gap, by the next event of the topic or the next heartbeat (every ten seconds): on_gap is called
    with it inside next(), without one it is logged (logger "inotifier"). Then the truth is on the
    disk.

    types, watches, endpoint, roots, server_key, key, connect_timeout
              as in Consumer; the endpoint's variable is INOTIFIER_PUBLISH_ENDPOINT

    Connects at once, and waits until a publisher answered; connects again for ever if the daemon
    goes away. A subscription takes effect some milliseconds later, see `live`. Raises
    ConnectionFailed.
    """

    def _begin(self) -> None:
        steps.run(self._operations.open())

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while True:
            event = self.next()
            assert event is not None
            yield event

    def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when `timeout` (seconds; None: for ever) ran out. Raises
        ProtocolMismatch when a heartbeat shows that the daemon is older or newer; ConnectionFailed,
        when what has arrived is given out and from then on in every call, if the daemon was started
        anew and will have us no more: our key was taken away, or it wants keys, or none."""
        return steps.run(self._operations.next(timeout))

    def close(self) -> None:
        self._operations.close()
