"""The same tests on FakeConsumer and on the real one: what the fake does is what a daemon does."""

import datetime
import uuid
from typing import Any

import pytest

import inotifier
from harness import wait_for
from inotifier.testing import FakeConsumer, make_event
from programs import put


class Real:
    """Consumers of a daemon of its own."""

    def __init__(self, daemons, workdir):
        self.daemon = daemons(workdir)
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.consumer = None
        self.options = {}

    def put(self, *names):
        put(self.daemon, *names)
        for name in names:
            self.daemon.collector.wait(path=self.daemon.workdir / "in" / name)

    def open(self, **options):
        self.options = {"types": ["file.completed"], **options}
        endpoint = self.daemon.fetch_endpoint
        self.consumer = inotifier.Consumer(self.name, endpoint=endpoint, wait=0, **self.options)
        return self.consumer

    def again(self):
        """As if the program had been killed, if it has not ended: nothing was acked by it."""
        if not self.consumer._operations.closed:
            with inotifier.Requester(self.daemon.fetch_endpoint) as requester:
                requester.request("release", consumer=self.name, client=self.consumer.client)
        return self.open(**self.options)

    def acked(self):
        """Names of what comes no more."""
        self.consumer.flush()
        with inotifier.Requester(self.daemon.fetch_endpoint) as requester:
            everything = requester.request("fetch", after="0", types=["file.completed"])["events"]
        position = self.consumer.info()["position"]
        return [e["data"]["path"].rsplit("/")[-1] for e in everything if e["sequence"] <= position]

    def take_over(self):
        """Another process has the consumer for a moment."""
        with inotifier.Requester(self.daemon.fetch_endpoint) as requester:
            requester.request("release", consumer=self.name, client=self.consumer.client)
            requester.request("fetch", consumer=self.name, client="another")
            requester.request("release", consumer=self.name, client="another")

    def end(self):
        self.consumer.close()


class Fake:
    def __init__(self):
        self.consumer = None
        self.waiting = []

    def put(self, *names):
        events = [make_event(path=f"/srv/in/{name}", root="/srv/in") for name in names]
        if self.consumer is None:
            self.waiting += events
        else:
            self.consumer.feed(*events)

    def open(self, **options):
        self.consumer = FakeConsumer(self.waiting, **options)
        return self.consumer

    def again(self):
        self.consumer.restart()
        return self.consumer

    def acked(self):
        return [event.relative_path for event in self.consumer.acked]

    def take_over(self):
        self.consumer.reset("not_owner")

    def end(self):
        self.consumer.close()


@pytest.fixture(params=["fake", "real"])
def source(request):
    if request.param == "fake":
        made: Any = Fake()
    else:
        workdir = request.getfixturevalue("workdir")  # first, so that it goes last
        made = Real(request.getfixturevalue("daemons"), workdir)
    yield made
    made.end()


def names(events):
    return [event.relative_path for event in events]


def test_a_loop_acks_what_its_body_has_done(source):
    source.put("a", "b", "c")
    seen = []
    for event in source.open():
        seen.append(event.relative_path)
        if len(seen) == 2:
            break
    assert seen == ["a", "b"]
    assert source.acked() == ["a"], "break leaves the current one undone"


def test_an_exception_leaves_the_event_undone(source):
    source.put("a", "b")
    with pytest.raises(RuntimeError):
        with source.open() as consumer:
            for event in consumer:
                if event.relative_path == "b":
                    raise RuntimeError
    assert names(source.again()) == ["b"]


def test_what_was_not_acked_comes_again_after_a_restart(source):
    source.put("a", "b", "c")
    consumer = source.open()
    first, second = consumer.next(), consumer.next()
    consumer.done(second)
    assert names([first, second]) == ["a", "b"]
    assert names(source.again()) == ["a", "b", "c"]
    assert source.acked() == ["a", "b", "c"]


def test_done_in_any_order_acks_the_prefix(source):
    source.put("a", "b", "c")
    consumer = source.open()
    a, b, c = (consumer.next() for _ in range(3))
    assert consumer.next() is None
    consumer.done(c)
    assert source.acked() == []
    consumer.done(a)
    assert source.acked() == ["a"]
    consumer.done(b.position)
    assert source.acked() == ["a", "b", "c"]


def test_ack_is_for_everything_up_to_there(source):
    source.put("a", "b", "c")
    consumer = source.open()
    _, b, _ = (consumer.next() for _ in range(3))
    consumer.ack(b)
    assert source.acked() == ["a", "b"]


def test_batches(source):
    source.put("a", "b", "c")
    consumer = source.open(limit=2)
    batch = consumer.next_batch()
    assert (names(batch.events), batch.stream) == (["a", "b"], consumer.stream)
    assert batch.behind > 0 and batch.lost is None
    again = consumer.next_batch()
    assert again.events == batch.events, "it was rolled back: again"
    consumer.ack(again.cursor)
    last = consumer.next_batch()
    assert names(last.events) == ["c"]
    consumer.ack(last.cursor)
    assert consumer.next_batch() is None
    source.put("d")
    assert names(consumer.next_batch().events) == ["d"]
    assert source.acked() == ["a", "b", "c"]


def test_failed_and_retried(source):
    source.put("a", "b")
    consumer = source.open()
    a = consumer.next()
    consumer.fail(a, "no such patient", tries=3)
    assert names(consumer) == ["b"]
    (failed,) = consumer.failed()
    assert (failed.event, failed.position, failed.reason) == (a, a.position, "no such patient")
    assert failed.tries == 3
    assert failed.time.tzinfo is datetime.timezone.utc
    assert consumer.retry([failed.position]) == 1
    again = consumer.next()
    assert (again.id, again.relative_path) == (a.id, "a")
    assert again.position > a.position
    assert consumer.failed() == []
    consumer.done(again)
    assert consumer.flush() and consumer.retry() == 0


def test_seek(source):
    source.put("a", "b", "c")
    consumer = source.open()
    events = list(consumer)
    consumer.seek("start")
    assert names(consumer) == ["a", "b", "c"]
    consumer.seek(events[0].position)
    assert names(consumer) == ["b", "c"]
    consumer.seek(events[2].time)
    assert names(consumer)[-1:] == ["c"]
    consumer.seek("start")
    consumer.seek("now")
    assert names(consumer) == []
    with pytest.raises(inotifier.RequestError) as caught:
        consumer.seek(events[0].position, stream="another")
    assert caught.value.code == "stream_changed"
    with pytest.raises(ValueError, match="time zone"):
        consumer.seek(datetime.datetime(2026, 1, 1))
    with pytest.raises(inotifier.RequestError):
        consumer.seek("yesterday")


def test_seek_before_anything_else_makes_the_consumer(source):
    source.put("a", "b")
    consumer = source.open()
    consumer.seek("now")
    assert consumer.next() is None
    assert consumer.info()["name"] == consumer.name


def test_another_one_takes_over(source):
    resets = []
    source.put("a", "b")
    consumer = source.open(on_reset=resets.append)
    a = consumer.next()
    source.take_over()
    consumer.done(a)
    assert names(consumer) == ["b", "a", "b"], "b was in hand; then both, since nothing was acked"
    assert [reset.code for reset in resets] == ["not_owner"]


def test_states_and_what_the_consumer_knows(source):
    states = []
    source.put("a")
    consumer = source.open(on_state=states.append)
    assert consumer.behind is None and consumer.malformed == 0
    event = consumer.next()
    assert states == ["owner"] and consumer.state == "owner"
    assert not consumer.caught_up
    consumer.done(event)
    assert consumer.next() is None
    assert consumer.caught_up and consumer.behind == 0
    assert consumer.status()["daemon"]
    consumer.keep_alive()
    consumer.close()
    consumer.close()
    with pytest.raises(inotifier.Error, match="closed"):
        consumer.next()


def test_filters(source):
    source.put("a")
    consumer = source.open(types=["file.stalled"])
    assert consumer.next() is None


def test_what_comes_later_is_found(source):
    consumer = source.open()
    assert consumer.next() is None
    source.put("a")
    assert names([wait_for(consumer.next, what="the event")]) == ["a"]
