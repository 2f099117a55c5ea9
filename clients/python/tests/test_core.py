"""The durable client without sockets: what it asks, acks and gives out. Time is an argument."""

import msgpack
import pytest

from inotifier import ProtocolMismatch, RequestError, Reset
from inotifier.core import ConsumerCore
from inotifier.memory import FakeDaemon
from inotifier.model import Options
from inotifier.testing import make_event
from inotifier.window import Window


class Bench:
    """A core and a daemon in memory, joined by hand."""

    def __init__(self, events=(), **options):
        self.daemon = FakeDaemon()
        for event in events:
            self.daemon.add(event)
        self.core = ConsumerCore(Options("c", **options), "ipc://x", self.daemon.stream, 0.0)
        self.now = 0.0
        self.sent = []

    def requests(self):
        """What is to be sent now."""
        taken = [msgpack.unpackb(body) for body in self.core.outgoing]
        self.core.outgoing.clear()
        self.sent += taken
        return taken

    def answer(self, request, **changes):
        reply = {**self.daemon.answer(request), **changes}
        self.core.receive(msgpack.packb(reply), self.now)

    def turn(self):
        """One look, with every answer at once; the ops asked."""
        self.core.tell(self.now)
        self.core.ask(self.now)
        asked = self.requests()
        for request in asked:
            self.answer(request)
        return [request["op"] for request in asked]

    def take(self, count):
        return [self.core.window.take() for _ in range(count)]


def events(count):
    return [make_event(path=f"/in/{number}") for number in range(count)]


def test_the_first_fetch_does_not_wait_and_later_ones_do():
    bench = Bench()
    bench.core.ask(0.0)
    (request,) = bench.requests()
    assert request["wait"] == 0, "nobody should wait to hear that it has to stand by"
    bench.answer(request)
    bench.core.ask(0.0)
    (request,) = bench.requests()
    assert request["wait"] == 30 and request["create"] is False


@pytest.mark.parametrize("lease, wait", [(60, 30), (10, 5), (3600, 60)])
def test_waiting_does_not_outlast_the_lease(lease, wait):
    assert Options("c", wait=100, lease=lease).wait == wait


@pytest.mark.parametrize(
    "wrong", [{"types": "file.completed"}, {"watches": b"in"}, {"limit": 0}, {"lease": 0}]
)
def test_wrong_options(wrong):
    with pytest.raises((TypeError, ValueError)):
        Options("c", **wrong)


def test_only_the_unbroken_prefix_is_acked():
    bench = Bench(events(4))
    bench.turn()
    a, b, c, d = bench.take(4)
    bench.core.window.finish(b.position)
    bench.core.window.finish(d.position)
    assert bench.core.window.ackable() == ""
    bench.core.window.finish(a.position)
    assert bench.core.window.ackable() == b.position
    bench.core.window.finish(c.position)
    assert bench.core.window.ackable() == d.position


def test_acks_are_told_within_a_second_while_events_are_worked_on():
    bench = Bench(events(3))
    bench.turn()
    first, second = bench.take(2)
    bench.core.window.finish(first.position)
    bench.now = 0.5
    bench.core.tell(bench.now)
    assert bench.requests() == []
    assert bench.core.next_turn(0.5, 99.0) == 1.0
    bench.now = 1.0
    bench.core.tell(bench.now)
    (request,) = bench.requests()
    assert (request["op"], request["ack"]) == ("ack", first.position)
    bench.answer(request)
    bench.core.window.finish(second.position)
    bench.core.tell(1.5)
    assert bench.requests() == []


def test_the_next_fetch_carries_the_ack():
    bench = Bench(events(1))
    bench.turn()
    (event,) = bench.take(1)
    bench.core.window.finish(event.position)
    bench.core.ask(0.0)
    (request,) = bench.requests()
    assert (request["ack"], request["stream"]) == (event.position, bench.daemon.stream)


def test_a_cursor_that_moves_without_events_is_acked():
    bench = Bench([make_event("watch.ready")], types=["file.completed"])
    bench.turn()
    assert bench.core.window.take() is None
    bench.core.ask(0.0)
    (request,) = bench.requests()
    assert request["ack"] == bench.daemon.last


def test_what_is_out_is_not_given_twice_and_what_comes_later_is_found():
    first, second, third = events(3)
    bench = Bench([first, second])
    bench.turn()
    bench.take(2)
    bench.core.window.finish(second.position)  # the first is still worked on
    assert bench.turn() == ["fetch"]
    assert bench.take(1) == [None]
    # A fetch would return at once with the unfinished one: reading without the consumer waits.
    bench.core.ask(0.0)
    (peek,) = bench.requests()
    assert "consumer" not in peek and peek["after"] == second.position and peek["wait"] == 30
    bench.daemon.add(third)
    bench.answer(peek, events=[third.raw], cursor=third.position)
    assert bench.turn() == ["fetch"]
    assert bench.take(2) == [third, None]


def test_a_full_window_waits_for_what_is_done():
    bench = Bench(events(4), limit=2)
    bench.turn()
    first, second = bench.take(2)
    assert bench.turn() == ["fetch"]
    assert bench.turn() == [], "no reply could hold more"
    bench.core.window.finish(first.position)
    bench.now = 2.0
    # The ack of its own must not hide that there is room now.
    assert bench.turn() == ["ack", "fetch"]
    assert [event.relative_path for event in bench.take(1)] == ["2"]
    assert second.position == bench.daemon.log[1].position


def test_what_a_power_cut_made_the_daemon_forget_is_passed_over():
    bench = Bench(events(3))
    bench.turn()
    first, second, third = bench.take(3)
    bench.core.window.finish_up_to(second.position)
    bench.core.tell(0.0, at_once=True)
    (ack,) = bench.requests()
    bench.answer(ack)
    bench.daemon.position = "0"
    bench.core.window.finish(third.position)
    bench.daemon.acked.clear()
    bench.turn()
    assert bench.take(1) == [None]
    assert len(bench.daemon.acked) == 3


def test_a_batch_that_was_not_acked_comes_again_and_done_ones_do_not():
    bench = Bench(events(3), wait=0)
    bench.turn()
    a, b, c = bench.core.window.take_all()
    bench.core.window.finish(b.position)
    bench.core.window.give_back()
    bench.turn()
    assert bench.core.window.take_all() == [a, c]
    assert bench.core.window.ackable() == ""
    bench.core.window.finish_up_to(bench.core.window.cursor)
    assert bench.core.window.ackable() == c.position


def test_what_was_given_back_and_is_gone_does_not_block():
    bench = Bench(events(2), wait=0)
    bench.turn()
    first, second = bench.core.window.take_all()
    bench.core.window.give_back()
    bench.daemon.lose(1)
    bench.turn()
    assert bench.core.window.take_all() == [second]
    bench.core.window.finish(second.position)
    assert bench.core.window.ackable() == second.position


def test_earlier_events_that_a_consumer_wants_since_are_not_acked_away():
    window = Window()
    early, late = events(2)
    window.take_fetched([late], late.position)
    window.take()
    window.take_fetched([early, late], late.position)
    assert window.take() == early
    window.finish(late.position)
    assert window.ackable() == ""
    window.finish(early.position)
    assert window.ackable() == late.position


def test_failures_are_told_one_by_one_and_count_as_done():
    bench = Bench(events(2))
    bench.turn()
    first, second = bench.take(2)
    bench.core.fail(first, "é" * 5000, 3)
    bench.core.fail(second, "no", 1)
    bench.core.fail(make_event(), "was never given out", 1)
    assert bench.turn()[0] == "fail"
    assert bench.turn()[0] == "fail"
    assert not bench.core.failures
    assert bench.core.window.ackable() == second.position
    reason = bench.daemon.failures[first.position].reason
    assert len(reason.encode()) <= 4096 and reason == "é" * 2048


def test_the_lease_is_renewed_while_nothing_else_is_said():
    bench = Bench(events(1), lease=30)
    bench.turn()
    bench.take(1)
    bench.core.tell(9.9)
    assert bench.requests() == []
    assert bench.core.next_turn(9.9, 99.0) == 10.0
    bench.core.tell(10.0)
    (request,) = bench.requests()
    assert request["op"] == "touch"


def test_a_lost_connection_asks_again_with_growing_pauses():
    bench = Bench(events(1))
    bench.core.ask(0.0)
    (request,) = bench.requests()
    now = 0.0
    pauses = []
    for _ in range(6):
        bench.core.connection_lost(now)
        then = max(now, bench.core.next_turn(now, 99.0))
        assert bench.core.wants_renewal(then)
        bench.core.renewed(then)
        pauses.append(round(then - now, 3))
        now = then
        assert bench.requests() == [request], "the same request, under the same number"
    assert bench.core.state == "disconnected"
    assert pauses == [0, 0.2, 0.4, 0.8, 1, 1]
    bench.answer(request)
    assert bench.core.state == "owner"


def test_a_reply_that_does_not_come_is_asked_for_on_a_new_socket():
    bench = Bench()
    bench.turn()
    bench.core.ask(0.0)
    bench.requests()
    assert not bench.core.wants_renewal(39.9)
    assert bench.core.wants_renewal(40.0)  # wait + 10 s
    bench.core.renewed(40.0)
    assert len(bench.requests()) == 1


def test_a_new_journal_drops_what_was_given_out():
    bench = Bench(events(2))
    bench.turn()
    bench.take(2)
    bench.daemon.stream = "another"
    assert bench.turn() == ["fetch"], "without an ack, so that no position shows it"
    assert Reset("stream_changed", "the daemon's journal was begun anew") in bench.core.news
    assert bench.core.stream == "another"
    assert bench.core.window.seen == ""


def test_a_consumer_that_was_forgotten_is_an_error_and_is_not_made_anew():
    bench = Bench(events(1))
    bench.turn()
    bench.core.window.finish(bench.take(1)[0].position)
    bench.core.ask(0.0)
    (request,) = bench.requests()
    assert request["create"] is False
    error = {"code": "unknown_consumer", "message": "there is none"}
    with pytest.raises(RequestError) as caught:
        bench.answer(request, ok=False, error=error)
    assert caught.value.code == "unknown_consumer"


@pytest.mark.parametrize("protocol, who", [(2, "update this package"), (0, "update the daemon")])
def test_a_daemon_that_was_replaced_by_another_protocols(protocol, who):
    bench = Bench()
    bench.core.ask(0.0)
    (request,) = bench.requests()
    with pytest.raises(ProtocolMismatch, match=who):
        bench.answer(request, protocol=protocol)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x01", b"\x92\x01", b"\xff" * 100])
def test_what_is_no_reply_is_counted(body):
    bench = Bench()
    bench.core.receive(body, 0.0)
    assert bench.core.malformed == 1


def test_what_is_no_event_is_counted_and_the_rest_given_out():
    bench = Bench(events(1))
    bench.core.ask(0.0)
    (request,) = bench.requests()
    good = bench.daemon.log[0].raw
    bench.answer(request, events=[7, {"type": "x"}, good, None])
    assert bench.core.malformed == 3
    assert len(bench.core.window.take_all()) == 1


def test_who_does_not_wait_is_told_that_there_is_nothing():
    bench = Bench(events(1), wait=0)
    bench.turn()
    asked = bench.core.asked
    bench.core.window.finish(bench.take(1)[0].position)
    assert not bench.core.nothing_since(asked)
    bench.turn()
    assert bench.core.nothing_since(asked)


def test_an_answer_to_what_was_asked_earlier_does_not_tell_the_end():
    bench = Bench(wait=0)
    bench.core.ask(0.0)
    (request,) = bench.requests()
    asked = bench.core.asked
    bench.answer(request)
    assert not bench.core.nothing_since(asked)
    bench.turn()
    assert bench.core.nothing_since(asked)
