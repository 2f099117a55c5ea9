"""Live: events as they are published, and gaps where some were missed."""

import logging
import time

import pytest

import inotifier
from durable import kill
from harness import PATIENCE, wait_for
from inotifier import wire
from inotifier.live import LiveCore
from inotifier.testing import make_event
from programs import put

LIMIT = 10 * PATIENCE
TOPIC = "file.completed/in/"


def position(number):
    return f"{number:020d}"


def message(number, previous, topic=TOPIC):
    type, watch, _ = topic.split("/")
    raw = make_event(type, path="/in/x", watch=watch).raw
    places = {"sequence": position(number), "prevsequence": position(previous) if previous else "0"}
    return [topic.encode(), wire.encode({**raw, **places})]


def heartbeat(stream="s", protocol=1, **last):
    told = {"file.completed/in/": last["completed"]} if "completed" in last else {}
    if "other" in last:
        told["file.completed/other/"] = last["other"]
    positions = {topic: position(number) for topic, number in told.items()}
    body = {"stream": stream, "protocol": protocol, "version": "1", "time": "", "last": positions}
    return [b"heartbeat/", wire.encode(body)]


def gaps(*messages, types=("file.completed",), watches=("in",)):
    core = LiveCore("ipc://x", types, watches, {})
    for each in messages:
        core.take(each)
    assert core.malformed == 0
    return [(gap.after, gap.until) for gap in core.gaps]


@pytest.mark.parametrize(
    "messages, missed",
    [
        # The first event of a topic is where one came in.
        ([message(7, 5), message(9, 7)], []),
        ([message(7, 5), message(12, 9)], [(position(7), position(9))]),
        # The first heartbeat, too; later ones show a lost last event.
        ([heartbeat(completed=5), message(7, 5)], []),
        ([heartbeat(completed=5), heartbeat(completed=7)], [(position(5), position(7))]),
        ([heartbeat(), heartbeat(completed=7)], [("0", position(7))]),
        ([heartbeat(), message(7, 5)], [("0", position(5))]),
        ([message(7, 5), heartbeat(completed=9)], [(position(7), position(9))]),
        ([heartbeat(completed=7), message(8, 7), heartbeat(completed=8)], []),
        # Each is told once.
        (
            [heartbeat(completed=5), message(9, 7), heartbeat(completed=9)],
            [(position(5), position(7))],
        ),
        # Others' topics are none of ours.
        ([heartbeat(other=5), heartbeat(other=9)], []),
        # Positions of different streams do not compare.
        ([heartbeat(completed=9), heartbeat("new", completed=4)], [("0", position(4))]),
        ([heartbeat(completed=9), message(4, 0), heartbeat("new", completed=4)], []),
        ([heartbeat(completed=9), heartbeat("new")], []),
    ],
)
def test_gaps(messages, missed):
    assert gaps(*messages) == missed


def test_subscriptions():
    def of(types, watches):
        return LiveCore("e", types, watches, {}).subscriptions

    assert of([], []) == [b"", b"heartbeat/"]
    assert of(["a", "b"], []) == [b"a/", b"b/", b"heartbeat/"]
    assert of(["a"], ["x", "y"]) == [b"a/x/", b"a/y/", b"heartbeat/"]
    assert of([], ["x"]) == [b"", b"heartbeat/"], "ZeroMQ knows prefixes only"
    with pytest.raises(TypeError):
        of("a", [])


def test_only_what_is_wanted():
    core = LiveCore("e", [], ["in"], {})
    assert core.take(message(1, 0)) is not None
    assert core.take(message(1, 0, "file.completed/inner/")) is None
    for wrong in (
        [b"file.completed/in/"],
        [b"file.completed/in/", b"\xc1"],
        [b"heartbeat/", b"\x01"],
    ):
        assert core.take(wrong) is None
    assert core.malformed == 3


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_heartbeat_of_another_protocol(protocol):
    core = LiveCore("ipc://x", [], [], {})
    with pytest.raises(inotifier.ProtocolMismatch):
        core.take(heartbeat(protocol=protocol))


def open_(daemon, **options):
    """Returns when the subscription is in effect."""
    options.setdefault("types", ["file.completed"])
    subscriber = inotifier.Subscriber(endpoint=daemon.endpoint, **options)
    wait_for(lambda: subscriber.next(0.05) or subscriber.live, what="a heartbeat")
    return subscriber


def test_events_as_they_come(daemon):
    missed = []
    with open_(daemon, watches=["in"], on_gap=missed.append) as subscriber:
        assert subscriber.next(timeout=0) is None
        start = time.monotonic()
        assert subscriber.next(timeout=0.1) is None
        assert time.monotonic() - start >= 0.1
        put(daemon, "a", b"b\xff")
        seen = []
        for event in subscriber:
            seen.append(event.relative_path)
            with open(event.path, "rb"):
                pass
            if len(seen) == 2:
                break
        assert seen == ["a", "b\udcff"]
    assert missed == []
    with pytest.raises(inotifier.Error, match="closed"):
        subscriber.next()


def test_a_daemon_that_was_away_shows_as_a_gap(daemon):
    """What is published before a SUB socket has found the new daemon is not for it."""
    missed = []
    with open_(daemon, on_gap=missed.append) as subscriber:
        put(daemon, "a")
        assert subscriber.next(LIMIT).relative_path == "a"
        kill(daemon)
        put(daemon, *(f"b{number}" for number in range(50)))
        daemon.start()  # returns when the 50 have been told, most likely to nobody
        later = (f"c{number}" for number in range(10**6))

        def connected_again():
            put(daemon, next(later))
            return subscriber.next(0.05)

        last = wait_for(connected_again, what="an event")
        seen = [last, *iter(lambda: subscriber.next(0.3), None)]
        with inotifier.Requester(daemon.fetch_endpoint) as requester:
            reply = requester.request("fetch", after="0", types=["file.completed"])
        told = [event["sequence"] for event in reply["events"]][1:]  # without "a"
        assert len(told) > 50 and {event.position for event in seen} <= set(told)
        unseen = set(told) - {event.position for event in seen}
        assert all(any(g.after < place <= g.until for g in missed) for place in unseen)
        assert bool(unseen) == bool(missed)


def test_too_slow_shows_as_a_gap(workdir, daemons):
    daemon = daemons(
        workdir,
        publish={
            "endpoint": f"ipc://{workdir}/daemon.sock",
            "heartbeat": "200ms",
            "high_water_mark": 10,
        },
    )
    missed = []
    with open_(daemon, high_water_mark=10, on_gap=missed.append) as subscriber:
        count = 2000
        put(daemon, *(str(number) for number in range(count)))
        with inotifier.Requester(daemon.fetch_endpoint) as requester:
            wait_for(
                lambda: requester.request("status")["watches"][0]["files"] >= count,
                what="the daemon to be through",
            )
        seen = [event for event in iter(lambda: subscriber.next(1), None)]
    daemon.collector.stop()
    daemon.collector.failures.clear()  # the harness is too slow for this, too
    assert 10 < len(seen) < count
    assert missed, "by the next event, or by the heartbeat"
    assert missed[-1].topic == TOPIC
    assert missed[-1].until > seen[-1].position or len(missed) > 1


def test_a_gap_is_logged_if_nobody_asks(daemon, caplog):
    with open_(daemon) as subscriber, caplog.at_level(logging.WARNING, "inotifier"):
        subscriber._operations._on_gap(inotifier.Gap(TOPIC, "0", position(1)))
    assert TOPIC in caplog.text
