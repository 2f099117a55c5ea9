"""The clients for asyncio: the same names, to be awaited.

    async with inotifier.aio.Consumer("thumbnails", stop_signals=True) as consumer:
        async for event in consumer:
            await work(event.path)

They connect in `async with`, or with the first call. A client belongs to one event loop; there any
number of tasks may use it: several that iterate share the events. done(), ack() and fail() take no
time and are not awaited. While a loop body works, a task keeps the lease: it needs a turn of the
event loop now and then. Give next() its `timeout` rather than cancelling it from outside: an event
that a cancelled call had in its hands would stay undone.
"""

import asyncio
import contextlib
import datetime
from typing import Any, AsyncIterator, Callable, Iterable, List, Optional, Set, TypeVar, Union

import zmq

from . import wire
from .consumer import ConsumerBase
from .errors import Error
from .event import Event
from .operations import Batch, FailedEvent
from .requester import RequesterBase
from .steps import Call, Steps, Wait
from .subscriber import SubscriberBase

T = TypeVar("T")


class Driver:
    """Carries out the steps of operations in an event loop, for any number of tasks. ZeroMQ's
    descriptors only tell that something may have changed, so a socket is asked before one waits for
    its descriptor; and who was asked may be another task, so that all look when something came."""

    def __init__(self, open: Callable[[], Steps[Any]]) -> None:
        self._open = open
        self._opening: Optional["asyncio.Future[Any]"] = None
        self._waiters: Set["asyncio.Future[None]"] = set()
        self._watched: List[int] = []
        self._stop = -1  # the descriptor of signals
        self._loop: Optional[asyncio.AbstractEventLoop] = None

    async def open(self) -> None:
        """Once, whoever comes first."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self.carry_out(self._open()))
        opening = self._opening
        try:
            await asyncio.shield(opening)
        except BaseException:
            if opening.done() and self._opening is opening:
                self._opening = None  # it failed, and may be tried again
            raise

    async def run(self, steps: Steps[T]) -> T:
        await self.open()
        return await self.carry_out(steps)

    async def carry_out(self, steps: Steps[T]) -> T:
        answer: Any = None
        try:
            while True:
                step = steps.send(answer)
                answer = None
                if isinstance(step, Call):
                    loop = asyncio.get_running_loop()
                    answer = await loop.run_in_executor(None, step.function)
                else:
                    await self._wait(step)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    async def _wait(self, step: Wait) -> None:
        if any(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN for socket in step.sockets):
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        waiter: "asyncio.Future[None]" = loop.create_future()
        self._waiters.add(waiter)
        if not self._watched:
            self._loop = loop
            self._watched = [int(socket.getsockopt(zmq.FD)) for socket in step.sockets]
            for descriptor in self._watched:
                loop.add_reader(descriptor, self.wake)
        if step.stop is not None and self._stop < 0:
            self._stop = step.stop.fileno()
            loop.add_reader(self._stop, self._on_stop)
        timer = loop.call_later(step.left, self.wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)
            if not self._waiters:
                self._unwatch()

    def wake(self) -> None:
        """Whoever waits looks again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def sockets_go(self) -> None:
        """Before they are closed: their descriptors will be others' soon."""
        self._unwatch()
        self.wake()

    def _on_stop(self) -> None:
        self._unwatch()  # it stays readable
        self.wake()

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, []
        if self._stop >= 0:
            watched, self._stop = [*watched, self._stop], -1
        if self._loop is not None and not self._loop.is_closed():
            for descriptor in watched:
                self._loop.remove_reader(descriptor)


class Consumer(ConsumerBase):
    """inotifier.Consumer for asyncio; arguments, errors and meaning are the same."""

    def _begin(self) -> None:
        self._driver = Driver(self._operations.open)
        self._operations.link.before_close = self._driver.sockets_go
        self._operations.progress = self._driver.wake

    async def __aenter__(self) -> "Consumer":
        await self._driver.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        keeper: Optional["asyncio.Future[None]"] = None
        try:
            while True:
                event = await self.next()
                if event is None:
                    return
                if keeper is None:
                    keeper = asyncio.ensure_future(self._keep_lease())
                yield event
                self.done(event)
        finally:
            if keeper is not None:
                keeper.cancel()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._operations.options.lease / 4)
            with contextlib.suppress(Error):  # next() will hear of it, too
                await self.keep_alive()

    def done(self, event: Union[Event, str]) -> None:
        super().done(event)
        self._driver.wake()  # who waits in next() is to tell it in time

    def ack(self, upto: Union[Event, str]) -> None:
        super().ack(upto)
        self._driver.wake()

    def fail(self, event: Event, reason: str, tries: int = 1) -> None:
        super().fail(event, reason, tries)
        self._driver.wake()

    async def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        return await self._driver.run(self._operations.next(timeout))

    async def next_batch(self, timeout: Optional[float] = None) -> Optional[Batch]:
        return await self._driver.run(self._operations.next_batch(timeout))

    async def keep_alive(self, timeout: float = 0) -> None:
        await self._driver.run(self._operations.keep_alive(timeout))

    async def flush(self, timeout: float = 1.0) -> bool:
        return await self._driver.run(self._operations.flush(timeout))

    async def seek(
        self, to: Union[str, int, datetime.datetime], stream: Optional[str] = None
    ) -> None:
        await self._driver.run(self._operations.seek(to, stream))

    async def update(
        self, *, types: Optional[Iterable[str]] = None, watches: Optional[Iterable[str]] = None
    ) -> None:
        await self._driver.run(self._operations.update(types, watches))

    async def failed(self) -> List[FailedEvent]:
        return await self._driver.run(self._operations.failed())

    async def retry(self, positions: Optional[Iterable[Union[str, Event]]] = None) -> int:
        return await self._driver.run(self._operations.retry(positions))

    async def status(self) -> wire.Map:
        return await self._driver.run(self._operations.call("status"))

    async def info(self) -> Optional[wire.Map]:
        return await self._driver.run(self._operations.info())

    async def close(self) -> None:
        """Acks what is done and gives the consumer up, waiting for that at most a second."""
        await self._driver.carry_out(self._operations.close())


class Subscriber(SubscriberBase):
    """inotifier.Subscriber for asyncio; arguments, errors and meaning are the same."""

    def _begin(self) -> None:
        self._driver = Driver(self._operations.open)
        self._operations.before_close = self._driver.sockets_go
        self._operations.progress = self._driver.wake

    async def __aenter__(self) -> "Subscriber":
        await self._driver.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._operations.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self.next()
            assert event is not None
            yield event

    async def next(self, timeout: Optional[float] = None) -> Optional[Event]:
        return await self._driver.run(self._operations.next(timeout))

    async def close(self) -> None:
        self._operations.close()


class Requester(RequesterBase):
    """inotifier.Requester for asyncio; one request at a time."""

    def _begin(self) -> None:
        self._driver = Driver(self._operations.open)
        self._operations.link.before_close = self._driver.sockets_go
        self._turn: Optional[asyncio.Lock] = None

    async def __aenter__(self) -> "Requester":
        await self._driver.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request(self, op: str, *, timeout: float = 10.0, **arguments: Any) -> wire.Map:
        if self._turn is None:
            self._turn = asyncio.Lock()  # of this loop
        async with self._turn:
            return await self._driver.run(self._operations.request(op, timeout, arguments))

    async def close(self) -> None:
        self._operations.close()
