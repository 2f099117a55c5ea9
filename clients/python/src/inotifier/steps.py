"""What an operation asks of whoever runs it.

Every operation is written once, as a generator that yields steps: "wait until one of these sockets
has something, or until then", "call this, it may block". run() carries them out in the thread;
aio.py does in an event loop. Whatever else an operation does takes no time.
"""

import math
import os
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Generator,
    NamedTuple,
    Optional,
    Sequence,
    TypeVar,
    Union,
)

import zmq

from .errors import Error
from .stopping import StopSignals

T = TypeVar("T")
if TYPE_CHECKING:
    Socket = zmq.Socket[bytes]
else:
    Socket = zmq.Socket  # no generic before pyzmq 23

LONGEST_POLL = 3600.0  # so that no number of milliseconds is too large


class Wait(NamedTuple):
    sockets: Sequence[Socket]
    until: float  # time.monotonic(); math.inf: for ever
    stop: Optional[StopSignals] = None  # which end it, too

    @property
    def left(self) -> float:
        """Seconds."""
        return min(max(self.until - time.monotonic(), 0.0), LONGEST_POLL)


class Call(NamedTuple):
    function: Callable[[], Any]


Step = Union[Wait, Call]
Steps = Generator[Step, Any, T]


def deadline_after(timeout: Optional[float]) -> float:
    """time.monotonic() in so many seconds; None: for ever."""
    return math.inf if timeout is None else time.monotonic() + timeout


def poll(step: Wait) -> None:
    poller = zmq.Poller()
    for socket in step.sockets:
        poller.register(socket, zmq.POLLIN)
    if step.stop is not None:
        poller.register(step.stop.fileno(), zmq.POLLIN)
    # Rounded up: poll must not return before the time.
    poller.poll(int(step.left * 1000) + 1 if step.left else 0)


def run(steps: Steps[T]) -> T:
    """Carries out an operation."""
    answer: Any = None
    try:
        while True:
            step = steps.send(answer)
            answer = None
            if isinstance(step, Call):
                answer = step.function()
            else:
                poll(step)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        steps.close()


class Process:
    """Sockets must not be used after a fork."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_ours(self) -> bool:
        return os.getpid() == self._pid

    def check(self) -> None:
        if not self.is_ours:
            raise Error(
                "this client was made in another process: after a fork, make a new one in the "
                "child, or leave the loop there"
            )
