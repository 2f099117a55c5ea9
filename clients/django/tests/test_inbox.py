"""What is stored: rows and cursor together, each event once."""

import pytest
from django.db import DatabaseError
from django_inotifier import inbox
from django_inotifier.conf import config
from django_inotifier.inbox import CursorMoved, Place
from django_inotifier.intake import Intake
from django_inotifier.models import Cursor, InboxEvent
from inotifier.testing import FakeConsumer, make_event

pytestmark = pytest.mark.django_db(transaction=True)


def place(event):
    return Place("stream", event.position)


def test_rows_and_cursor():
    events = [make_event(path="/srv/incoming/a", size=3), make_event(path="/srv/incoming/b")]
    inbox.store("c", None, place(events[1]), events)
    assert [row.path for row in InboxEvent.objects.order_by("id")] == [e.path for e in events]
    assert inbox.read_cursor("c") == place(events[1])
    row = InboxEvent.objects.order_by("id")[0]
    assert (row.type, row.watch, row.status) == ("file.completed", "incoming", "pending")
    assert (row.event_id, row.source, row.position) == (
        events[0].id,
        events[0].source,
        events[0].position,
    )
    assert row.event == events[0] and row.evidence == "close_write"
    assert abs((row.time - events[0].time).total_seconds()) < 1e-3


def test_what_comes_again_is_known():
    events = [make_event(path=f"/srv/incoming/{n}") for n in range(1200)]
    inbox.store("c", None, place(events[599]), events[:600])
    rows = inbox.store("c", place(events[599]), place(events[-1]), events)
    assert [row.event_id for row in rows] == [event.id for event in events[600:]]
    assert InboxEvent.objects.count() == 1200


def test_twice_in_one_batch():
    event = make_event()
    assert len(inbox.store("c", None, place(event), [event, event])) == 1


def test_a_cursor_that_moved():
    events = [make_event(), make_event(), make_event()]
    inbox.store("c", None, place(events[1]), events[:2])
    for expected in (None, place(events[0]), Place("other", events[1].position)):
        with pytest.raises(CursorMoved):
            inbox.store("c", expected, place(events[2]), events[2:])
    assert InboxEvent.objects.count() == 2 and inbox.read_cursor("c") == place(events[1])


def test_nothing_is_stored_by_halves(monkeypatch):
    event = make_event()
    inbox.store("c", None, place(event), [event])

    def broken(rows, using):
        raise DatabaseError("disk full")

    monkeypatch.setattr(inbox, "_new_ones", broken)
    with pytest.raises(DatabaseError):
        inbox.store("c", place(event), Place("stream", "9" * 20), [make_event()])
    assert inbox.read_cursor("c") == place(event)


def test_lost_is_a_row():
    inbox.store("c", None, Place("s", "0" * 19 + "9"), [], ("0" * 20, "0" * 19 + "7"))
    row = InboxEvent.objects.get()
    assert row.type == "gap" and row.event.data["last"] == "0" * 19 + "7"
    inbox.store(
        "c", Place("s", "0" * 19 + "9"), Place("s", "1" * 20), [], ("0" * 20, "0" * 19 + "7")
    )
    assert InboxEvent.objects.count() == 1


def test_a_site_without_time_zones(settings):
    settings.USE_TZ = False
    event = make_event()
    inbox.store("c", None, place(event), [event])
    assert InboxEvent.objects.get().time.tzinfo is None
    assert Cursor.objects.get().updated.tzinfo is None


def test_the_root_is_elsewhere_here(settings):
    settings.INOTIFIER = {"CONSUMER": "c", "ROOTS": {"incoming": "/mnt/in"}}
    event = make_event(
        path="/srv/incoming/a/b", root="/srv/incoming", roots={"incoming": "/mnt/in"}
    )
    inbox.store("c", None, place(event), [event])
    row = InboxEvent.objects.get()
    assert row.path == row.event.path == "/mnt/in/a/b"


class Poll:
    """An Intake on a daemon in memory."""

    def __init__(self, consumer):
        self.fake = consumer
        self.intake = Intake(config()._replace(consumer="fake"), wait=0)
        self.intake._consumer = consumer
        consumer._operations.handlers = consumer._operations.handlers._replace(
            state=self.intake._on_state, reset=self.intake._on_reset
        )

    def until_caught_up(self):
        for _ in range(20):
            self.intake.poll(0.01)
            if self.intake.caught_up:
                return [row.event_id for row in InboxEvent.objects.order_by("id")]
        raise AssertionError("it does not come to an end")


def test_the_fake_tells_what_is_stored_and_acked():
    events = [make_event() for _ in range(5)]
    poll = Poll(FakeConsumer(events))
    assert poll.until_caught_up() == [event.id for event in events]
    assert [event.id for event in poll.fake.acked] == [event.id for event in events]
    assert inbox.read_cursor("fake").position == events[-1].position


def test_the_fake_is_not_acked_before_the_commit(monkeypatch):
    events = [make_event() for _ in range(5)]
    poll = Poll(FakeConsumer(events))
    poll.intake.poll(0.01)

    def broken(*arguments):
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "_new_ones", broken)
        failed = 0
        for _ in range(5):
            try:
                poll.intake.poll(0.01)
            except DatabaseError:
                failed += 1
    assert failed and InboxEvent.objects.count() == 0 and poll.fake.acked == []
    assert poll.until_caught_up() == [event.id for event in events]


def test_the_fake_is_reset_and_begun_anew():
    events = [make_event() for _ in range(3)]
    poll = Poll(FakeConsumer(events))
    poll.until_caught_up()
    poll.fake.reset("not_owner")
    later = make_event()
    poll.fake.feed(later)
    assert poll.until_caught_up() == [event.id for event in [*events, later]]
    poll.fake.reset("stream_changed")
    last = make_event()
    poll.fake.feed(last)
    assert poll.until_caught_up() == [event.id for event in [*events, later, last]]
    assert inbox.read_cursor("fake").stream == poll.fake.stream


def test_the_fake_loses():
    events = [make_event() for _ in range(5)]
    fake = FakeConsumer(events)
    fake.lose(2)
    Poll(fake).until_caught_up()
    types = [row.type for row in InboxEvent.objects.order_by("id")]
    assert types == ["gap"] + ["file.completed"] * 3
    gap = InboxEvent.objects.get(type="gap").event
    assert (gap.data["first"], gap.data["last"]) == (events[0].position, events[1].position)
