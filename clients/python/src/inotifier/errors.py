"""What can go wrong, and what a client is told besides events."""

from typing import NamedTuple


class Error(Exception):
    """Of everything that this package raises by itself."""


class ConnectionFailed(Error):
    """Nothing can be received. The message names the endpoint, what was found there, the remedy."""


class NothingListens(ConnectionFailed):
    """No daemon there, or none that can be reached."""


class HandshakeRefused(ConnectionFailed):
    """A daemon that wants (other) keys, or no access to its socket."""


class NotInotifier(ConnectionFailed):
    """Something listens there, but no daemon of ours."""


class BadEndpoint(ConnectionFailed):
    """Neither ipc:// nor tcp://, or a host name that nobody knows."""


class BadKey(ConnectionFailed):
    """A key file that cannot be read or used."""


class NoAnswer(ConnectionFailed):
    """Connected, but the answer did not come in time: whether it was carried out is not known."""


class ProtocolMismatch(ConnectionFailed):
    """The daemon is older or newer than this client; the message says which."""


class NoPath(Error, AttributeError):
    """The event speaks of a watch as a whole: it has no path."""


class RequestError(Error):
    """What the daemon refused. `code` is one of clients/README.md, "Errors"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __str__(self) -> str:
        return f"{self.args[0]} ({self.code})" if self.code else str(self.args[0])

    def __reduce__(self) -> "tuple[type[RequestError], tuple[str, str]]":
        return type(self), (self.code, self.args[0])


class Gap(NamedTuple):
    """Events that were published, but not received: not connected at the time, or too slow."""

    topic: str  # "file.completed/incoming/"
    after: str  # position of the last event of that topic received, "0" for none
    until: str  # position of the last event of that topic known to be missing


class Lost(NamedTuple):
    """Events between these positions, both included, were no longer kept when we came for them."""

    first: str
    last: str


class Reset(NamedTuple):
    """What was given out is not ours any more: it comes again, to us or to another client."""

    code: str  # "not_owner", "stream_changed", "bad_ack"
    message: str
