"""Signals, @on, handlers, and what a site's tests use: deliver."""

import asyncio
import concurrent.futures
import functools
import json
import os
import subprocess

import harness
import inotifier
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group
from django_inotifier import dispatch, signals
from django_inotifier.models import InboxEvent
from django_inotifier.patterns import compile_pattern
from django_inotifier.testing import deliver
from inotifier.testing import make_event

pytestmark = pytest.mark.usefixtures("receivers")

handled = []


def handler(event):
    handled.append(event)


@pytest.fixture
def told(receivers):
    """told(*types, **filters) is what a receiver with these got."""

    def connect(*types, **filters):
        got = []

        @signals.on(*types, **filters)
        def receive(sender, event, **kwargs):
            got.append(event.relative_path if event.has_path else event.type)

        return got

    return connect


@pytest.mark.django_db
def test_every_type_has_a_signal(receivers):
    for type in signals.TYPES:
        got = []

        def receive(sender, event, **kwargs):
            got.append((sender, event.type))

        name = type.replace(".", "_")
        getattr(signals, name).connect(receive, sender=InboxEvent)
        deliver(type)
        assert got == [(InboxEvent, type)]


@pytest.mark.django_db
def test_filters(told):
    all_ = told("file.completed")
    both = told("file.completed", "file.removed")
    watch = told("file.completed", watch="b")
    watches = told("file.completed", watch=["a", "b"])
    names = told("file.completed", match="*.dcm")
    below = told("file.completed", match=["x/*", "*.txt"])
    for watch_, path in [("a", "1.dcm"), ("b", "x/2.dcm"), ("c", "x/y/3.txt")]:
        deliver("file.completed", path=f"/in/{path}", root="/in", watch=watch_)
    deliver("file.removed", path="/in/4", root="/in", watch="a")
    assert all_ == ["1.dcm", "x/2.dcm", "x/y/3.txt"]
    assert both == [*all_, "4"]
    assert watch == ["x/2.dcm"] and watches == ["1.dcm", "x/2.dcm"]
    assert names == ["1.dcm", "x/2.dcm"] and below == ["x/2.dcm", "x/y/3.txt"]


@pytest.mark.django_db
def test_an_event_without_a_path_matches_no_pattern(told):
    with_pattern, without = told("watch.ready", match="*"), told("watch.ready")
    deliver("watch.ready")
    assert with_pattern == [] and without == ["watch.ready"]


PATTERNS = [
    ("*.dcm", ["a.dcm", "x/y/a.dcm", ".dcm", "line\nend.dcm"], ["a.DCM", "a.dcm.part"]),
    ("a?c", ["abc", "x/abc"], ["ac", "abbc", "aäc"]),
    ("a??c", ["aäc"], ["abc"]),
    ("x/*.dcm", ["x/a.dcm"], ["a.dcm", "x/y/a.dcm", "z/x/a.dcm"]),
    ("x/**", ["x/a", "x/y/z"], ["x", "xa/b"]),
    ("**/x/*", ["x/a", "y/x/a"], ["x", "x/a/b"]),
    ("**/*.dcm", ["a.dcm", "x/a.dcm", "x/y/a.dcm"], ["a.dc", "x/a"]),
    ("x**/b", ["xa/b", "xa/y/b"], ["x", "xb", "y/b"]),
    ("a*b*c", ["abc", "axbxc", "abcbc"], ["abcb"]),
    ("[ab]*.[!t]xt", ["a1.dxt", "b.axt"], ["c.axt", "a.txt"]),
    ("[a-c-]x", ["bx", "-x"], ["dx"]),
    ("[]]x", ["]x"], ["x"]),
    ("[x", ["[x"], ["x"]),
    ("a+(b)", ["a+(b)"], ["aab"]),
    (r"\*", ["*"], ["a"]),
]
WRONG_PATTERNS = ["", "/a", "./a", "a/", "a\n"]


@pytest.mark.parametrize("pattern, yes, no", PATTERNS)
def test_patterns(pattern, yes, no):
    matches = compile_pattern(pattern)
    assert [path for path in yes if not matches(path)] == []
    assert [path for path in no if matches(path)] == []


def test_patterns_are_the_daemons(workdir):
    """The same patterns as `include` of watches, on files of these names."""
    watches, expected = [], set()
    for number, (pattern, yes, no) in enumerate(PATTERNS):
        root = workdir / f"root{number}"
        # A name that others have as a directory cannot be a file.
        names = [n for n in [*yes, *no] if not any(o.startswith(n + "/") for o in [*yes, *no])]
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        watches.append(
            {
                "name": f"w{number}",
                "path": root,
                "include": [pattern],
                "exclude": [],
                "temporary": [],
            }
        )
        expected |= {os.fsencode(root / name) for name in names if name in yes}
    daemon = harness.Daemon(workdir, watches, binary=harness.BINARY)
    daemon.start()
    try:
        scanned = {f"watch.scanned/w{number}/" for number in range(len(PATTERNS))}
        harness.wait_for(lambda: scanned <= daemon.told(), what="the scans")
        daemon.collector.stop()
        with inotifier.Requester(daemon.fetch_endpoint) as requester:
            reply = requester.request("fetch", after="0", types=["file.completed"], limit=4096)
        assert {
            os.fsencode(each.path) for each in map(inotifier.Event, reply["events"])
        } == expected
    finally:
        daemon.stop()


@pytest.mark.parametrize("pattern", WRONG_PATTERNS)
def test_patterns_that_the_daemon_refuses_are_refused(pattern, tmp_path):
    with pytest.raises(ValueError, match="@on: match: "):
        signals.on("file.completed", match=["*", pattern])
    config = tmp_path / "inotifier.toml"
    config.write_text(f"[[watch]]\npath = '/srv'\ninclude = [{json.dumps(pattern)}]\n")
    done = subprocess.run([harness.BINARY, "check", "-c", config], capture_output=True)
    assert done.returncode == 2 and b"watch.include" in done.stderr


def test_a_watch_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="'my files' is no watch's name"):
        signals.on("file.completed", watch=["incoming", "my files"])
    for wrong in ([], [3], 3):
        with pytest.raises(TypeError):
            signals.on("file.completed", watch=wrong)


def test_a_misspelt_type_is_an_error():
    for wrong in ("file.complete", "file_completed", "in_creat"):
        with pytest.raises(ValueError, match="did you mean"):
            signals.on(wrong)
    with pytest.raises(TypeError):
        signals.on()
    with pytest.raises(TypeError):
        signals.on(lambda sender, event: None)
    signals.on("site.own-type")  # a daemon may have processors of its own


@pytest.mark.django_db
def test_types_of_others(told):
    got = told("site.own-type")
    deliver("site.own-type", path="/in/a")
    assert got == ["a"]


@pytest.mark.django_db
def test_handlers(settings):
    settings.INOTIFIER = {"CONSUMER": "c", "HANDLERS": {"incoming": f"{__name__}.handler"}}
    assert dispatch.anybody_listens()
    handled.clear()
    deliver("file.completed", path="/in/a")
    deliver("file.completed", path="/in/b", watch="other")
    deliver("file.stalled", path="/in/c.part")  # no file yet
    deliver("watch.ready")
    assert [event.path for event in handled] == ["/in/a"]


async def async_handler(event):
    await asyncio.sleep(0)
    handled.append(event)


def generating_handler(event):
    handled.append(event)
    yield


@pytest.mark.django_db
def test_what_is_async_is_run_before_it_is_done(receivers, settings):
    settings.INOTIFIER = {"CONSUMER": "c", "HANDLERS": {"incoming": f"{__name__}.async_handler"}}
    handled.clear()

    async def note(word, event):
        await asyncio.sleep(0)
        handled.append((word, event.path))

    @signals.on("file.completed")
    async def first(sender, event, **kwargs):
        await note("on", event)

    class Receiver:
        async def __call__(self, sender, event, **kwargs):
            await note("object", event)

    signals.on("file.completed")(Receiver())
    signals.on("file.completed")(functools.partial(first))

    async def connected(sender, event, **kwargs):
        await note("connect", event)

    signals.file_completed.connect(connected)
    assert deliver("file.completed", path="/in/a").status == "done"
    assert handled[0].path == "/in/a"
    assert sorted(handled[1:]) == [(w, "/in/a") for w in ("connect", "object", "on", "on")]


@pytest.mark.django_db
def test_what_comes_later_is_waited_for(receivers):
    """A coroutine that a coroutine returns, and a pool's work."""
    handled.clear()

    async def nested(sender, event, **kwargs):
        return note(event)

    async def note(event):
        await asyncio.sleep(0)
        handled.append(("nested", event.path))

    class Submitted(concurrent.futures.Future):
        def result(self, timeout=None):
            handled.append(("pool", "/in/a"))

    def submit(sender, event, **kwargs):
        return Submitted()

    signals.on("file.completed")(nested)
    signals.file_completed.connect(submit)
    assert deliver("file.completed", path="/in/a").status == "done"
    assert sorted(handled) == [("nested", "/in/a"), ("pool", "/in/a")]


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["on", "connect"])
def test_what_an_async_receiver_raises_is_raised_and_rolled_back(receivers, how):
    async def receive(sender, event, **kwargs):
        await sync_to_async(Group.objects.create)(name="written")
        raise ValueError("no good")

    connect = signals.on("file.completed") if how == "on" else signals.file_completed.connect
    connect(receive)
    with pytest.raises(ValueError, match="no good"):
        deliver("file.completed", path="/in/a")
    assert InboxEvent.objects.count() == 0 and Group.objects.count() == 0


@pytest.mark.django_db
def test_a_generator_is_refused(receivers, settings):
    handlers = {"incoming": f"{__name__}.generating_handler"}
    settings.INOTIFIER = {"CONSUMER": "c", "HANDLERS": handlers}
    handled.clear()
    with pytest.raises(TypeError, match="is a generator"):
        deliver("file.completed", path="/in/a")
    settings.INOTIFIER = {"CONSUMER": "c"}

    @signals.on("file.completed")
    async def receive(sender, event, **kwargs):
        yield

    with pytest.raises(TypeError, match="receive is a generator"):
        deliver("file.completed", path="/in/a")
    assert not handled and InboxEvent.objects.count() == 0


def test_nobody_listens(receivers, settings):
    from django.core.management import CommandError, call_command

    assert not dispatch.anybody_listens()
    with pytest.raises(CommandError, match="connect a receiver"):
        call_command("inotifier_consume")


@pytest.mark.django_db
def test_deliver(told, tmp_path):
    got = told("file.completed")
    (tmp_path / "a").write_bytes(b"123")
    row = deliver("file.completed", path=tmp_path / "a", extra=1)
    assert row.status == "done" and row.event.size == 3 and row.event.data["extra"] == 1
    deliver("file.completed", path=tmp_path / "a")  # another version of it
    event = make_event(path="/in/b")
    assert deliver(event).pk == deliver(event).pk
    assert got == ["a", "a", "b"] and InboxEvent.objects.count() == 3


def test_deliver_refuses_what_is_no_type():
    with pytest.raises(ValueError, match='did you mean "file.completed"'):
        deliver("file.complete", path="/in/a")


@pytest.mark.django_db
def test_deliver_raises_what_the_receiver_raises(receivers):
    @receivers.on("file.completed")
    def receive(sender, event, **kwargs):
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        deliver("file.completed", path="/in/a")
    assert InboxEvent.objects.count() == 0
