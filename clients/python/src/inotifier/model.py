"""What a ConsumerCore is made of: its options, requests under way, failures to be told, news."""

import dataclasses
from typing import Optional, Sequence, Union

from . import wire
from .errors import Lost, RequestError, Reset
from .event import Roots
from .event_types import NAME, NAME_RULE, check_types, check_watches

OWNER, STANDBY, DISCONNECTED = "owner", "standby", "disconnected"

PATIENCE = 10.0  # clients/README.md: wait for a reply so much longer than asked for
PAUSE = 1.0  # after "busy"
ACK_INTERVAL = 1.0  # an ack may be put off so long while events are worked on
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 1.0  # between new sockets
LONGEST_REASON = 4096

State = str
News = Union[State, Lost, Reset]


@dataclasses.dataclass
class Request:
    id: int
    kind: str  # the op; "peek": a fetch without the consumer
    body: bytes
    patience: float
    deadline: float
    position: str = ""  # ack, fetch: what is acked; fail: of the event
    answer: Optional[wire.Map] = None  # of one that the caller waits for
    error: Optional[RequestError] = None
    asked: bool = False  # the caller waits for it


@dataclasses.dataclass
class Failure:
    position: str
    reason: str
    tries: int


@dataclasses.dataclass
class Options:
    """See Consumer."""

    name: str
    types: Sequence[str] = ()
    watches: Sequence[str] = ()
    limit: int = 256
    wait: float = 30.0
    lease: float = 60
    start: Optional[str] = None
    create: bool = True
    roots: Optional[Roots] = None

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no consumer's name: {NAME_RULE}")
        self.types, self.watches = check_types(self.types), check_watches(self.watches)
        if self.start not in (None, "oldest", "now", "state"):
            raise ValueError(f'start is "oldest", "now" or "state", not {self.start!r}')
        if not 1 <= self.limit <= 4096:
            raise ValueError(f"limit is 1 to 4096, not {self.limit}")
        if not 1 <= self.lease <= 3600:
            raise ValueError(f"lease is 1 to 3600 seconds, not {self.lease}")
        # Waiting must not outlast the lease.
        self.wait = max(0.0, min(self.wait, 60.0, self.lease / 2))
