"""A DEALER socket to the fetch service: first contact, bodies out and in, and a new socket when the
old one leads nowhere. Of the generators here see steps.py."""

import time
from typing import Callable, Iterator, Optional

import zmq

from . import wire
from .connection import Connection, Monitored
from .diagnosis import NO_ANSWER, broken_off, diagnose, refused_keys
from .errors import BadEndpoint, ConnectionFailed, NothingListens, NotInotifier
from .steps import Call, Step, Steps, Wait

# A daemon that is there answers at once; "nothing is said for long" must not be the answer to a
# wrong port.
HELLO_PATIENCE = 0.5


def wait_for_peer(connection: Connection, monitored: Monitored, deadline: float) -> Steps[None]:
    """Returns when the handshake was done; raises a ConnectionFailed that says what is at the
    endpoint instead."""
    endpoint, has_keys = connection.endpoint, connection.keys is not None
    while True:
        event = monitored.next_event()
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise refused_keys(endpoint)
        late = time.monotonic() >= deadline
        if not event and not late:
            yield Wait([monitored.monitor], deadline)
            continue
        failure = yield Call(lambda: diagnose(connection))
        if isinstance(failure, NothingListens) and not late:
            continue  # it was killed in the middle, and may come back
        if failure is not None:
            raise failure
        # Other failures are tried again: a daemon that stops or starts just now.
        if late and not has_keys:
            raise NothingListens(f"{endpoint}: {NO_ANSWER[connection.purpose]}")
        if event == zmq.EVENT_DISCONNECTED or late:
            raise broken_off(connection)


def refusal_of(connection: Connection, monitored: Monitored) -> Steps[Optional[ConnectionFailed]]:
    """Of a connection that was there before and has given up: why the peer will have us no more, as
    after a restart with other keys. None if the peer is away by now: a new socket waits for it."""
    if monitored.given_up == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return refused_keys(connection.endpoint)
    failure = yield Call(lambda: diagnose(connection))
    if isinstance(failure, (NothingListens, BadEndpoint)):
        return None
    return failure or broken_off(connection)


class Link:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.hello: wire.Map = {}
        self.before_close: Callable[[], None] = lambda: None
        self._monitored: Optional[Monitored] = None
        self._lost = False  # the monitor has told so, and disconnected() has not

    @property
    def endpoint(self) -> str:
        return self.connection.endpoint

    def waiting(self, until: float) -> Step:
        """The step that waits for something to receive, or news of the connection."""
        monitored = self._monitored
        return Wait([] if monitored is None else [monitored.socket, monitored.monitor], until)

    def open(self) -> Steps[wire.Map]:
        """Connects and says hello; the reply. Raises ConnectionFailed, RequestError."""
        start = time.monotonic()
        deadline = start + self.connection.connect_timeout
        self.renew()
        assert self._monitored is not None
        try:
            yield from wait_for_peer(self.connection, self._monitored, deadline)
            deadline = max(deadline, time.monotonic() + HELLO_PATIENCE)
            self.hello = yield from self._greet(deadline)
        except BaseException:
            self.close()
            raise
        return self.hello

    def _greet(self, deadline: float) -> Steps[wire.Map]:
        self.send(wire.encode_request("hello", 0))
        while True:
            for body in self.receive():
                try:
                    reply = wire.decode(body)
                except wire.WireError:
                    reply = {}
                if "ok" not in reply or "protocol" not in reply:
                    raise self._no_inotifier("what listens there does not answer as inotifier does")
                wire.check_protocol(self.endpoint, reply)
                error = wire.error_in(reply)
                if error is not None:
                    raise error
                return reply
            if time.monotonic() >= deadline:
                raise self._no_inotifier("something listens there, but does not answer")
            yield self.waiting(deadline)
            self.disconnected()  # or the monitor's news would wake us for ever

    def _no_inotifier(self, text: str) -> NotInotifier:
        return NotInotifier(f"{self.endpoint}: {text}: is it the endpoint of [fetch]?")

    def renew(self) -> None:
        """A new socket. What was sent or about to come is gone."""
        self.close()
        self._lost = False
        monitored = Monitored(self.connection, zmq.DEALER)
        try:
            monitored.connect()
        except BaseException:
            monitored.close()
            raise
        self._monitored = monitored

    def send(self, body: bytes) -> None:
        assert self._monitored is not None
        try:
            self._monitored.socket.send(body, zmq.NOBLOCK)
        except zmq.Again:
            pass  # a socket's queue takes a thousand; there are never more than a few

    def receive(self) -> Iterator[bytes]:
        """The bodies of the replies that are there."""
        while self._monitored is not None:
            try:
                yield self._monitored.socket.recv_multipart(zmq.NOBLOCK)[-1]
            except zmq.Again:
                return

    def disconnected(self) -> bool:
        """True if the monitor has told of a lost connection since the last call, or if ZeroMQ has
        given it up."""
        monitored, lost, self._lost = self._monitored, self._lost, False
        if monitored is None:
            return False
        while event := monitored.next_event():
            lost = lost or event == zmq.EVENT_DISCONNECTED
        return lost or monitored.given_up != 0

    def forget_refusals(self) -> None:
        """Before a request: that the daemon refused us until now is no answer to it. A new socket
        asks again."""
        lost = self.disconnected()
        if self._monitored is not None and self._monitored.given_up:
            self.renew()
        else:
            self._lost = lost

    def refusal(self) -> Steps[Optional[ConnectionFailed]]:
        """Why the daemon will have us no more, if disconnected() has met that; told once, as a new
        socket asks again."""
        monitored = self._monitored
        if monitored is None or not monitored.given_up:
            return None
        refusal = yield from refusal_of(self.connection, monitored)
        monitored.given_up = 0
        return refusal

    def another(self) -> "Optional[Link]":
        """To the same daemon, not open; None where there is no connection to be kept."""
        return Link(self.connection)

    def close(self) -> None:
        if self._monitored is not None:
            self.before_close()
            self._monitored.close()
            self._monitored = None
