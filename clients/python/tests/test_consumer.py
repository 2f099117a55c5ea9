"""The durable client on the real daemon: paths, stand-by, the lease, what is lost, waiting."""

import os
import threading
import time

import pytest

import inotifier
from harness import PATIENCE, wait_for
from programs import put

LIMIT = 10 * PATIENCE  # seconds, for what should happen at once


def open_(daemon, name="c", **options):
    options.setdefault("types", ["file.completed"])
    return inotifier.Consumer(name, endpoint=daemon.fetch_endpoint, **options)


def names(events):
    return [event.relative_path for event in events]


def test_events_are_typed(daemon):
    (path,) = put(daemon, "a b.txt")
    with open_(daemon) as consumer:
        event = consumer.next(LIMIT)
    assert (event.type, event.watch, event.path) == ("file.completed", "in", path)
    assert (event.relative_path, event.root) == ("a b.txt", str(daemon.workdir / "in"))
    assert event.size == os.path.getsize(path)
    assert event.evidence == "close_write" and event.origin in ("live", "rescan", "startup")
    assert abs(event.time.timestamp() - time.time()) < 600
    assert event.data["inode"] == str(os.stat(path).st_ino)


def test_names_that_are_no_utf_8_can_be_opened(daemon):
    strange = {b"caf\xe9", b"line\nend", b"a:b", b"%41", "ä".encode()}
    put(daemon, *strange)
    opened = set()
    with open_(daemon) as consumer:
        for _ in strange:
            event = consumer.next(LIMIT)
            with open(event.path, "rb") as file:
                opened.add(file.read())
            assert os.fsencode(event.relative_path) in opened
    assert opened == strange


def test_roots_are_where_the_client_sees_the_files(daemon):
    seen_as = daemon.workdir / "elsewhere"
    seen_as.symlink_to(daemon.workdir / "in")
    put(daemon, b"a\xff")
    with open_(daemon, roots={"in": str(seen_as)}) as consumer:
        event = consumer.next(LIMIT)
    assert event.path == os.fsdecode(os.fsencode(seen_as) + b"/a\xff")
    with open(event.path, "rb") as file:
        assert file.read() == b"a\xff"
    assert event.daemon_path != event.path


def test_waiting_ends_when_a_file_is_finished(daemon):
    with open_(daemon) as consumer:
        assert consumer.next(timeout=0) is None
        assert consumer.next(timeout=0.2) is None  # and the fetch goes on waiting
        threading.Timer(0.1, put, (daemon, "a")).start()
        assert consumer.next(LIMIT).relative_path == "a"


@pytest.mark.parametrize("options", [{}, {"limit": 2}, {"wait": 0}], ids=str)
def test_who_does_not_wait_gets_what_is_there(daemon, options):
    put(daemon, *"abcde")
    daemon.collector.wait(path=daemon.workdir / "in" / "e")
    got = []
    with open_(daemon, **options) as consumer:
        while (event := consumer.next(timeout=0)) is not None:
            got.append(event.relative_path)
            consumer.done(event)
        put(daemon, "f")
        daemon.collector.wait(path=daemon.workdir / "in" / "f")
        assert consumer.next(timeout=0).relative_path == "f", "while a fetch waits"
        assert consumer.next(timeout=0) is None
    assert got == [*"abcde"]
    with open_(daemon, **options) as consumer:
        assert names(consumer.next_batch(timeout=0).events) == ["f"]


def test_one_that_is_worked_on_does_not_hold_up_later_ones(daemon):
    put(daemon, "a")
    with open_(daemon) as consumer:
        first = consumer.next(LIMIT)
        assert consumer.next(timeout=0.2) is None
        threading.Timer(0.1, put, (daemon, "b")).start()
        second = consumer.next(LIMIT)
        assert names([first, second]) == ["a", "b"]
        consumer.done(second)
        assert consumer.flush() and consumer.info()["position"] < first.position
        consumer.done(first)
        assert consumer.flush() and consumer.info()["position"] >= second.position


def test_the_second_stands_by_until_the_first_leaves(daemon):
    put(daemon, "a", "b")
    states = []
    first = open_(daemon)
    assert first.next(LIMIT)
    with open_(daemon, on_state=states.append) as second:
        assert second.next(timeout=0.3) is None
        assert second.state == "standby"
        first.close()
        assert second.next(LIMIT).relative_path == "a", "it was not done"
    assert states == ["standby", "owner"]


def test_the_second_takes_over_from_one_that_is_silent(daemon):
    put(daemon, "a", "b")
    resets = []
    first = open_(daemon, lease=1, on_reset=resets.append)
    event = first.next(LIMIT)
    with open_(daemon, lease=1) as second:
        assert names([second.next(LIMIT), second.next(LIMIT)]) == ["a", "b"]
        first.done(event)
        assert first.flush() is False
        assert [reset.code for reset in resets] == ["not_owner"]
        assert first.next(timeout=0.2) is None and first.state == "standby"
        second.close()
    assert names([first.next(LIMIT)]) == ["a"], "nothing of it was acked"
    first.close()


@pytest.mark.parametrize("how", ["loop body", "keep_alive"])
def test_long_work_keeps_the_lease(daemon, how):
    put(daemon, "a")
    resets = []
    with open_(daemon, lease=1, on_reset=resets.append) as first, open_(daemon, lease=1) as second:
        if how == "loop body":
            for _ in first:
                assert second.next(timeout=1.6) is None
                break
        else:
            assert first.next(LIMIT)
            until = time.monotonic() + 1.6
            while time.monotonic() < until:
                assert second.next(timeout=0.1) is None
                first.keep_alive()
        assert second.state == "standby"
    assert not resets


def test_without_them_it_is_lost(daemon):
    """What the test before would show if nothing kept the lease."""
    put(daemon, "a")
    with open_(daemon, lease=1) as first, open_(daemon, lease=1) as second:
        assert first.next(LIMIT)
        assert second.next(LIMIT).relative_path == "a"


def test_lost_is_told(workdir, daemons):
    daemon = daemons(workdir, journal={"path": workdir / "journal.db", "retain_size": "1MiB"})
    lost = []
    with open_(daemon, on_lost=lost.append) as consumer:
        put(daemon, "first")
        first = consumer.next(LIMIT)
        put(daemon, *(f"{number}-{'x' * 200}" for number in range(2000)))
        with inotifier.Requester(daemon.fetch_endpoint) as requester:
            wait_for(
                lambda: requester.request("hello")["first"] > first.position,
                what="the first event to go",
            )
        batch = consumer.next_batch(LIMIT)
        assert batch.lost == lost[0]
        assert batch.lost.first <= batch.lost.last < batch.events[0].position
        consumer.ack(batch.cursor)
        assert consumer.next_batch(LIMIT).lost is None, "acked past"
    assert len(lost) == 1


def test_wrong_requests_say_what_is_wrong(daemon):
    with open_(daemon) as consumer:
        consumer.next(timeout=0.1)
        with pytest.raises(inotifier.ProtocolMismatch, match="no-such.*update the daemon"):
            inotifier.Requester(daemon.fetch_endpoint).request("no-such")
    with open_(daemon, types=["file.removed"]) as other:
        with pytest.raises(inotifier.RequestError) as caught:
            other.next(LIMIT)
    assert caught.value.code == "bad_request"
    with pytest.raises(ValueError, match="no consumer's name"):
        open_(daemon, "no such name")
    with open_(daemon, "none", create=False) as none:
        with pytest.raises(inotifier.RequestError) as caught:
            none.next(LIMIT)
    assert caught.value.code == "unknown_consumer"


def test_update_changes_what_a_consumer_gets(daemon):
    put(daemon, "a")
    with open_(daemon) as consumer:
        assert consumer.next(LIMIT).relative_path == "a"
        consumer.update(types=["watch.ready"])
        assert consumer.next(LIMIT).type == "watch.ready", "it holds for what is not acked"
        put(daemon, "b")
        assert consumer.next(timeout=0.3) is None
        consumer.update(watches=["other"])
        assert consumer.info()["types"] == ["watch.ready"]
        assert consumer.info()["watches"] == ["other"]
        consumer.update(types=[], watches=[])
        seen = set()
        while "b" not in seen:
            event = consumer.next(LIMIT)
            seen.add(event.subject or event.type)
            consumer.done(event)
        assert "watch.scanned" in seen


def test_update_mends_a_consumer_that_was_made_with_other_types(daemon):
    put(daemon, "a")
    with open_(daemon) as consumer:
        assert consumer.next(LIMIT)
    wanted = ["file.completed", "file.removed"]
    with open_(daemon, types=wanted) as consumer:
        with pytest.raises(inotifier.RequestError, match="update"):
            consumer.next(LIMIT)
        consumer.update(types=wanted)
        assert consumer.next(LIMIT).relative_path == "a"


def test_update_before_there_is_a_consumer(daemon):
    put(daemon, "a")
    with open_(daemon, "new") as consumer:
        consumer.update(types=["watch.ready"])
        assert consumer.next(LIMIT).type == "watch.ready"
        assert consumer.info()["types"] == ["watch.ready"]
    with open_(daemon, "none", create=False) as consumer:
        with pytest.raises(inotifier.RequestError) as caught:
            consumer.update(types=["watch.ready"])
    assert caught.value.code == "unknown_consumer"


def test_a_consumer_that_is_forgotten_is_an_error(daemon):
    put(daemon, "a")
    with open_(daemon) as consumer:
        consumer.done(consumer.next(LIMIT))
        consumer.flush()
        with inotifier.Requester(daemon.fetch_endpoint) as requester:
            requester.request("forget", consumer="c")
        with pytest.raises(inotifier.RequestError) as caught:
            consumer.next(LIMIT)
    assert caught.value.code == "unknown_consumer"


def test_requester(daemon):
    put(daemon, "a")
    daemon.collector.wait(path=daemon.workdir / "in" / "a")
    with inotifier.Requester(daemon.fetch_endpoint) as requester:
        assert requester.hello["protocol"] == 1 and requester.hello["access"] == "all"
        assert requester.request("status")["ready"] is True
        reply = requester.request("fetch", after="0", types=["file.completed"])
        assert inotifier.Event.from_dict(reply["events"][0]).relative_path == "a"
        with pytest.raises(inotifier.RequestError):
            requester.request("fetch", misspelt=1)


def test_a_child_that_is_forked_in_the_body_leaves_without_a_trace(daemon):
    """By an exception through `with`, or by the end of the loop: its exit code is its own."""
    put(daemon, *(str(number) for number in range(6)))
    subscriber = inotifier.Subscriber(endpoint=daemon.endpoint)
    requester = inotifier.Requester(daemon.fetch_endpoint)
    codes, seen = [], []
    parent = os.getpid()
    try:
        with open_(daemon, wait=0) as consumer, subscriber, requester:
            for event in consumer:
                seen.append(event.relative_path)
                child = os.fork()
                if child == 0:
                    if len(seen) % 2:
                        raise SystemExit(7)
                    break
                codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            requester_works = os.getpid() == parent and requester.request("status")["ready"]
    except SystemExit as error:
        os._exit(int(str(error)))
    if os.getpid() != parent:
        os._exit(8)
    assert codes == [7, 8] * 3 and len(seen) == 6 and requester_works
    with open_(daemon, wait=0) as consumer:
        assert consumer.next() is None, "all was done"


def test_a_client_is_not_for_a_forked_child(daemon):
    consumer = open_(daemon)
    child = os.fork()
    if child == 0:
        try:
            consumer.next(timeout=0)
        except inotifier.Error as error:
            os._exit(7 if "fork" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    put(daemon, "a")
    assert consumer.next(LIMIT)
    consumer.close()
