"""Receive inotifier's events: live (Subscriber), or durably (Consumer). See README.md.

inotifier.aio has the same for asyncio, inotifier.testing what tests need.
"""

from .consumer import Consumer
from .errors import (
    BadEndpoint,
    BadKey,
    ConnectionFailed,
    Error,
    Gap,
    HandshakeRefused,
    Lost,
    NoAnswer,
    NoPath,
    NothingListens,
    NotInotifier,
    ProtocolMismatch,
    RequestError,
    Reset,
)
from .event import Event
from .operations import Batch, FailedEvent
from .requester import Requester
from .subscriber import Subscriber
from .wire import WireError

__version__ = "0.1.0"

__all__ = [
    "BadEndpoint",
    "BadKey",
    "Batch",
    "ConnectionFailed",
    "Consumer",
    "Error",
    "Event",
    "FailedEvent",
    "Gap",
    "HandshakeRefused",
    "Lost",
    "NoAnswer",
    "NoPath",
    "NotInotifier",
    "NothingListens",
    "ProtocolMismatch",
    "RequestError",
    "Requester",
    "Reset",
    "Subscriber",
    "WireError",
]
