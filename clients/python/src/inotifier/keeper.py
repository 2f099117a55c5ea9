"""Keeps the lease of a consumer while the body of a loop works, however long that takes.

Without it a second process would take over in the middle, and the two would hand a long job to and
fro for ever. A thread with a socket of its own, which only ever sends "touch": the daemon knows us
by the `client` text, not by the socket.
"""

import contextlib
import threading
import time
from typing import Iterator, Optional

import zmq

from . import wire
from .errors import Error
from .operations import ConsumerOperations


class Keeper:
    def __init__(self, operations: ConsumerOperations) -> None:
        self._operations = operations
        self._interval = operations.options.lease / 3
        self._thread: Optional[threading.Thread] = None
        self._end = threading.Event()
        self._working = False

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()  # the thread ends by itself; a late touch by who is no owner does nothing

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """The body works meanwhile."""
        if self._thread is None and self._operations.link.another() is not None:
            self._thread = threading.Thread(target=self._run, name="inotifier-lease", daemon=True)
            self._thread.start()
        self._working = True
        try:
            yield
        finally:
            self._working = False

    def _run(self) -> None:
        link, core = self._operations.link.another(), self._operations.core
        if link is None or core is None:
            return
        options = self._operations.options
        touch = wire.encode_request(
            "touch", consumer=options.name, client=core.client, lease=options.lease
        )
        connected = False
        try:
            while not self._end.wait(self._interval / 2):
                if not self._working or time.monotonic() < core.last_contact + self._interval:
                    continue
                # A lost connection is renewed by the one who works, too, who is told of a refusal.
                with contextlib.suppress(Error, zmq.ZMQError):
                    if not connected or link.disconnected():
                        link.renew()
                        connected = True
                    for _ in link.receive():
                        pass
                    link.send(touch)
        finally:
            link.close()
