"""Event: paths, roots, times, JSON, pickling; make_event."""

import copy
import datetime
import os
import pickle
from typing import Any

import pytest

from inotifier import Event, NoPath, WireError, wire
from inotifier.testing import make_event


def test_a_path_that_is_no_utf_8_can_be_opened(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9\n"
    with open(name, "wb") as file:
        file.write(b"content")
    event = make_event(path=name)
    assert event.data["path_bytes"] == name
    assert event.size == 7
    for each in (event, Event.from_json(event.as_json()), pickle.loads(pickle.dumps(event))):
        with open(each.path, "rb") as file:
            assert file.read() == b"content"
        assert each == event
    assert event.relative_path == "caf\udce9\n"


def test_a_path_for_databases_and_pages_is_always_valid(tmp_path):
    names = [b"caf\xe9", b"caf\xea", "café".encode(), b"a\nb"]
    events = [make_event(path=os.fsencode(tmp_path) + b"/" + name) for name in names]
    shown = [event.display_path for event in events]
    assert shown == [f"{tmp_path}/{name}" for name in ("caf\\xe9", "caf\\xea", "café", "a\nb")]
    for text in shown:
        text.encode("utf-8")


def test_an_event_of_a_watch_has_no_path():
    event = make_event("watch.ready")
    assert not event.has_path and make_event().has_path
    assert event.display_path == "" and "incoming" in repr(event)
    for name in ("path", "relative_path", "daemon_path"):
        with pytest.raises(NoPath, match="watch.ready of the watch incoming has no path"):
            getattr(event, name)
        assert getattr(event, name, None) is None
    assert pickle.loads(pickle.dumps(event)) == event


def test_roots_map_the_path_and_say_nothing_of_other_watches():
    roots = {"incoming": "/mnt/dicom"}
    event = make_event(path="/srv/in/a/b.dcm", root="/srv/in", roots=roots)
    assert (event.path, event.root) == ("/mnt/dicom/a/b.dcm", "/mnt/dicom")
    assert (event.daemon_path, event.relative_path) == ("/srv/in/a/b.dcm", "a/b.dcm")
    other = make_event(path="/srv/in/a/b.dcm", root="/srv/in", watch="other", roots=roots)
    assert other.path == "/srv/in/a/b.dcm"


def test_roots_of_the_environment(monkeypatch):
    monkeypatch.setenv("INOTIFIER_ROOTS", "incoming=/mnt/dicom:other=/mnt/o")
    event = make_event(path="/srv/in/b", watch="other")
    assert event.path == "/mnt/o/b"
    assert make_event(path="/srv/in/b", watch="other", roots={}).path == "/srv/in/b"
    monkeypatch.setenv("INOTIFIER_ROOTS", "/mnt/dicom")
    with pytest.raises(ValueError, match="INOTIFIER_ROOTS.*WATCH=/path"):
        make_event()


def test_pickling_keeps_roots():
    event = make_event(path="/srv/in/b", roots={"incoming": "/mnt/x"})
    assert pickle.loads(pickle.dumps(event)).path == "/mnt/x/b"
    assert copy.deepcopy(event) == event


def test_an_event_cannot_be_changed():
    event = make_event()
    with pytest.raises(AttributeError):
        event.raw = {}
    with pytest.raises(AttributeError):
        event.path = "/etc/passwd"  # type: ignore[misc]
    assert {event, make_event()} != {event}
    assert len({event, Event(event.raw)}) == 1


def test_time():
    event = Event({**make_event().raw, "time": "2026-11-22T10:00:00.123456789Z"})
    assert event.time_ns == 1795341600_123456789
    assert event.time == datetime.datetime(2026, 11, 22, 10, 0, 0, 123456, datetime.timezone.utc)


@pytest.mark.parametrize(
    "text, ns",
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
        ("1969-12-31T23:59:59.000000001Z", -999_999_999),
        ("2016-12-31T23:59:60Z", 1483228800_000000000),  # a leap second
    ],
)
def test_times_of_rfc_3339(text, ns):
    assert wire.nanoseconds(text) == ns
    assert wire.nanoseconds(wire.time_text(ns)) == ns


@pytest.mark.parametrize("text", ["", "today", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError):
        wire.nanoseconds(text)
    assert Event({**make_event().raw, "time": text}).time_ns == 0


@pytest.mark.parametrize(
    "size, meant", [(7, 7), (7.0, 7), (float("inf"), None), (float("nan"), None), ("7", None)]
)
def test_numbers_may_come_as_floats(size, meant):
    assert make_event(size=size).size == meant


@pytest.mark.parametrize("key", ["id", "source", "type", "sequence"])
def test_what_is_no_event(key):
    raw = dict(make_event().raw)
    del raw[key]
    with pytest.raises(WireError, match=key):
        Event(raw)
    with pytest.raises(WireError):
        Event({**make_event().raw, "data": [1]})


def test_made_events(tmp_path):
    first, second = make_event(), make_event()
    assert first.position < second.position and first.id != second.id
    assert (first.type, first.watch, first.path) == (
        "file.completed",
        "incoming",
        "/srv/incoming/example",
    )
    assert not make_event("watch.ready").has_path
    more: Any = {"from": "x"}
    moved = make_event("file.moved", path="/a/b:c/d", root="/a", evidence="link", **more)
    assert (moved.subject, moved.relative_path) == ("./b:c/d", "b:c/d")
    assert (moved.evidence, moved.data["from"]) == ("link", "x")
    with pytest.raises(ValueError, match="not below"):
        make_event(path="/a/b", root="/c")
