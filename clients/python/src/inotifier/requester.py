"""One request at a time to the fetch service: status, consumers, reading without a consumer."""

import time
from typing import Any, Dict, Optional

from . import steps, wire
from .connection import Connection, PathLike
from .errors import Error, NoAnswer
from .link import Link
from .model import PAUSE
from .steps import Process, Steps, deadline_after


class RequesterOperations:
    def __init__(self, link: Link) -> None:
        self.link = link
        self.closed = False
        self._process = Process()
        self._last_id = 0

    def open(self) -> Steps[None]:
        if self.closed:
            raise Error(f"{self.link.endpoint}: the requester is closed")
        self._process.check()
        if not self.link.hello:
            yield from self.link.open()

    def request(self, op: str, timeout: float, arguments: Dict[str, Any]) -> Steps[wire.Map]:
        deadline = deadline_after(timeout)
        yield from self.open()
        self.link.forget_refusals()
        while True:
            self._last_id += 1
            number = self._last_id
            self.link.send(wire.encode_request(op, number, **arguments))
            reply = yield from self._await(number, deadline)
            if not reply:
                refusal = yield from self.link.refusal()
                self.link.renew()
                if refusal is not None:
                    raise refusal
                raise NoAnswer(
                    f'{self.link.endpoint}: no answer to "{op}": has the daemon stopped?'
                )
            wire.check_protocol(self.link.endpoint, reply)
            error = wire.error_in(reply)
            if error is None:
                return reply
            if error.code == "unknown_op":
                raise wire.unknown_op(self.link.endpoint, op)
            if error.code != "busy" or time.monotonic() + PAUSE >= deadline:
                raise error
            yield from self._await(-1, time.monotonic() + PAUSE)

    def _await(self, number: int, deadline: float) -> Steps[wire.Map]:
        """The reply to this request; empty if none came in time, or if the connection is lost."""
        while True:
            for body in self.link.receive():
                try:
                    reply = wire.decode(body)
                except wire.WireError:  # no reply to anything
                    continue
                if reply.get("request") == number:
                    return reply
            if time.monotonic() >= deadline or self.link.disconnected():
                return {}
            yield self.link.waiting(deadline)

    def close(self) -> None:
        self.closed = True
        if self._process.is_ours:
            self.link.close()


class RequesterBase:
    def __init__(
        self,
        endpoint: Optional[str] = None,
        *,
        server_key: Optional[PathLike] = None,
        key: Optional[PathLike] = None,
        connect_timeout: float = 2.5,
    ) -> None:
        connection = Connection.of("fetch", endpoint, server_key, key, connect_timeout)
        self._operations = RequesterOperations(Link(connection))
        self._begin()

    def _begin(self) -> None:
        """At the end of construction."""

    @property
    def endpoint(self) -> str:
        return self._operations.link.endpoint

    @property
    def hello(self) -> wire.Map:
        """What the daemon said of itself: version, daemon, time, first, last, access, stream."""
        return self._operations.link.hello


class Requester(RequesterBase):
    """One request at a time to the fetch service: "status", "consumers", "forget", "update",
    "fetch" without a consumer, … as clients/README.md has them. Arguments as in Consumer. Connects
    at once; raises ConnectionFailed."""

    def _begin(self) -> None:
        steps.run(self._operations.open())

    def __enter__(self) -> "Requester":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> wire.Map:
        """The reply's map. Raises RequestError for what the daemon refuses ("busy" is tried again
        until `timeout`, seconds), ProtocolMismatch for an `op` that it does not know, and NoAnswer:
        whether the request was carried out is not known then. Another ConnectionFailed if the
        daemon will have us no more."""
        return steps.run(self._operations.request(op, timeout, arguments))

    def close(self) -> None:
        self._operations.close()
