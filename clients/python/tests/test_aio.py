"""inotifier.aio: the same as the clients for threads, in an event loop."""

import asyncio
import time

import pytest

import inotifier
from durable import kill
from harness import PATIENCE
from inotifier import aio
from inotifier.testing import FakeAsyncConsumer, make_event
from programs import put

LIMIT = 10 * PATIENCE


def open_(daemon, **options):
    options.setdefault("types", ["file.completed"])
    return aio.Consumer("c", endpoint=daemon.fetch_endpoint, **options)


def run(main):
    """With a deadline: nothing here may hang."""
    return asyncio.run(asyncio.wait_for(main, 30 * PATIENCE))


def test_a_loop_acks_what_its_body_has_done(daemon):
    put(daemon, "a", "b", "c")

    async def main():
        seen = []
        async with open_(daemon) as consumer:
            async for event in consumer:
                seen.append(event.relative_path)
                if len(seen) == 2:
                    break
        async with open_(daemon) as consumer:
            seen.append((await consumer.next(LIMIT)).relative_path)
        return seen

    assert run(main()) == ["a", "b", "b"]


def test_the_loop_goes_on_while_a_consumer_waits(daemon):
    async def main():
        ticks = 0
        async with open_(daemon) as consumer:
            start = time.monotonic()
            assert await consumer.next(timeout=0.1) is None
            assert time.monotonic() - start >= 0.1
            waiting = asyncio.ensure_future(consumer.next(LIMIT))
            while ticks < 20:
                await asyncio.sleep(0.005)
                ticks += 1
            assert not waiting.done()
            put(daemon, "a")
            assert (await waiting).relative_path == "a"

    run(main())


def test_tasks_share_a_consumer(daemon):
    """Several that iterate, one that fails an event, one that asks; every event to one of them."""
    names = {f"f{number}" for number in range(60)}

    async def worker(consumer, seen):
        async for event in consumer:
            await asyncio.sleep(0.001)
            seen.append(event.relative_path)
            if event.relative_path == "f7":
                consumer.fail(event, "the seventh")

    async def main():
        seen = []
        async with open_(daemon, limit=16) as consumer:
            workers = [asyncio.ensure_future(worker(consumer, seen)) for _ in range(4)]
            put(daemon, *sorted(names)[:30])
            while len(seen) < 30:
                info, status = await asyncio.gather(consumer.info(), consumer.status())
                assert status["ok"]
                await asyncio.sleep(0.01)
            put(daemon, *sorted(names)[30:])
            while len(seen) < 60:
                await asyncio.sleep(0.01)
            assert await consumer.flush(LIMIT)
            info = await consumer.info()
            failed = await consumer.failed()
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return seen, info, failed

    seen, info, failed = run(main())
    assert sorted(seen) == sorted(names), "each once"
    assert info["behind"] == 0 and info["failed"] == 1
    assert [each.event.relative_path for each in failed] == ["f7"]


def test_what_is_done_is_told_while_another_task_waits(daemon):
    put(daemon, "a")

    async def main():
        async with open_(daemon) as consumer:
            event = await consumer.next(LIMIT)
            waiting = asyncio.ensure_future(consumer.next())
            await asyncio.sleep(0.05)  # so that it waits, which done() has to end
            consumer.done(event)
            async with aio.Requester(daemon.fetch_endpoint) as requester:
                deadline = time.monotonic() + LIMIT
                while True:
                    reply = await requester.request("consumers")
                    if reply["consumers"][0]["position"] >= event.position:
                        break
                    assert time.monotonic() < deadline
            waiting.cancel()

    run(main())


def test_a_long_body_keeps_the_lease(daemon):
    put(daemon, "a")

    async def main():
        async with open_(daemon, lease=1) as first, open_(daemon, lease=1) as second:
            async for _ in first:
                assert await second.next(timeout=1.6) is None
                assert second.state == "standby"
                break

    run(main())


def test_a_daemon_killed_and_started_again(daemon):
    async def main():
        seen = set()
        async with open_(daemon) as consumer:
            other = asyncio.ensure_future(consumer.next())
            put(daemon, "a")
            event = await asyncio.wait_for(other, LIMIT)
            seen.add(event.relative_path)
            consumer.done(event)
            kill(daemon)
            waiting = [asyncio.ensure_future(consumer.next()) for _ in range(2)]
            while consumer.state != "disconnected":
                await asyncio.sleep(0.01)
            put(daemon, "b", "c")
            daemon.start()
            while not {"b", "c"} <= seen:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    seen.add(task.result().relative_path)
                    consumer.done(task.result())
                    waiting[waiting.index(task)] = asyncio.ensure_future(consumer.next())
            for task in waiting:
                task.cancel()
            assert await consumer.flush(LIMIT)

    run(main())


def test_batches_seek_retry_and_keep_alive(daemon):
    put(daemon, "a", "b")

    async def main():
        async with open_(daemon) as consumer:
            await consumer.keep_alive()
            got = []
            while len(got) < 2:
                batch = await consumer.next_batch(LIMIT)
                got += [event.relative_path for event in batch.events]
                consumer.ack(batch.cursor)
            assert got == ["a", "b"]
            assert await consumer.flush(LIMIT)
            await consumer.seek("start")
            event = await consumer.next(LIMIT)
            assert event.relative_path == "a"
            consumer.fail(event, "no")
            assert await consumer.flush(LIMIT)
            assert await consumer.retry() == 1
            assert await consumer.failed() == []

    run(main())


def test_subscriber(daemon):
    async def main():
        missed = []
        place = {"endpoint": daemon.endpoint, "types": ["file.completed"]}
        async with aio.Subscriber(on_gap=missed.append, **place) as subscriber:
            while not subscriber.live:
                await subscriber.next(0.05)
            assert await subscriber.next(timeout=0.05) is None
            takers = [asyncio.ensure_future(subscriber.next()) for _ in range(2)]
            put(daemon, "a", "b", "c")
            seen = {(await taker).relative_path for taker in takers}
            async for event in subscriber:
                seen.add(event.relative_path)
                break
            assert seen == {"a", "b", "c"} and not missed

    run(main())


def test_errors_come_where_one_waits(daemon, workdir):
    async def main():
        consumer = aio.Consumer("c", endpoint=f"ipc://{workdir}/none", connect_timeout=0.2)
        for _ in range(2):  # it may be tried again
            results = await asyncio.gather(consumer.next(), consumer.next(), return_exceptions=True)
            assert [type(each) for each in results] == [inotifier.NothingListens] * 2
        await consumer.close()
        with pytest.raises(inotifier.Error, match="closed"):
            await consumer.next()
        async with open_(daemon, create=False) as none:
            with pytest.raises(inotifier.RequestError):
                await none.next(LIMIT)
        async with open_(daemon) as closed:
            waiting = asyncio.ensure_future(closed.next())
            await asyncio.sleep(0.05)
        with pytest.raises(inotifier.Error, match="closed"):
            await waiting
        async with aio.Requester(daemon.fetch_endpoint) as requester:
            with pytest.raises(inotifier.ProtocolMismatch):
                await requester.request("no-such")

    run(main())


def test_cancelling_what_waits_loses_nothing(daemon):
    async def main():
        async with open_(daemon) as consumer:
            for _ in range(20):
                waiting = asyncio.ensure_future(consumer.next())
                await asyncio.sleep(0.002)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            put(daemon, "a")
            assert (await consumer.next(LIMIT)).relative_path == "a"

    run(main())


def test_the_fake():
    async def main():
        consumer = FakeAsyncConsumer([make_event(path=f"/in/{name}") for name in "abc"])
        seen = []
        async with consumer:
            async for event in consumer:
                seen.append(event.relative_path)
                if event.relative_path == "b":
                    break
            assert [event.relative_path for event in consumer.acked] == ["a"]
        consumer.restart()
        seen += [event.relative_path async for event in consumer]
        assert await consumer.next() is None
        return seen

    assert run(main()) == ["a", "b", "b", "c"]
