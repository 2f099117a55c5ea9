"""`inotifier explain`: names why a file was not announced, and its remedy brings the event."""

import json
import os
import signal
import subprocess

import pytest

from durable import Consumer
from harness import wait_for
from test_hangs import scanner  # noqa: F401, a fixture
from test_reload import rewrite


def explain(daemon, path):
    done = subprocess.run(
        [daemon.binary, "explain", "--json", "--endpoint", daemon.fetch_endpoint, str(path)],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def text(daemon, path):
    done = subprocess.run(
        [daemon.binary, "explain", "--endpoint", daemon.fetch_endpoint, str(path)],
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def why(daemon, path):
    """In one word, of the only watch that it is in."""
    (account,) = explain(daemon, path)["watches"]
    return account["why"]


def is_why(daemon, path, wanted):
    wait_for(lambda: why(daemon, path) == wanted, what=f"{wanted}, is {why(daemon, path)}")


def reconfigure(daemon, **options):
    keys = {"name": '"in"', "path": f'"{daemon.watches[0]["path"]}"', **options}
    rewrite(daemon, [keys])


# Options of the watch, the file's name, its content, the word, and what is done then.
RENAME = object()
CASES: dict = {
    "excluded": ({"exclude": ["*.bak"]}, "a.bak", "excluded", RENAME),
    "a_dotfile": ({}, ".a", "excluded", RENAME),
    "not_included": ({"include": ["*.csv"]}, "a.txt", "not_included", {"include": '["*.txt"]'}),
    "temporary": ({}, "a.part", "temporary", RENAME),
    "below_excluded": (
        {"exclude": ["done/**"]},
        "done/x/a",
        "directory_excluded",
        {"exclude": '["other/**"]'},
    ),
    "below_temporary": (
        {"temporary": ["*.tmp"]},
        "d.tmp/a",
        "directory_temporary",
        {"temporary": '["*.part"]'},
    ),
    "not_recursive": ({"recursive": False}, "d/a", "not_recursive", {"recursive": "true"}),
    "too_small": ({"min_size": 100}, "a", "too_small", {"min_size": "1"}),
    "via_chunks": ({"processor": "create-via-chunks"}, "a", "not_via_temporary", RENAME),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_watch_does_not_announce(workdir, daemons, case):
    options, name, word, remedy = CASES[case]
    daemon = daemons(workdir, options)
    path = workdir / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    is_why(daemon, path, word)
    daemon.sentinel() if options.get("min_size", 0) < 8 and "include" not in options else None
    assert not daemon.announced()
    final = path
    if remedy is RENAME:
        final = workdir / "in" / "final"
        path.rename(workdir / "in" / "final.part")
        (workdir / "in" / "final.part").rename(final)
    else:
        reconfigure(daemon, **remedy)
    daemon.collector.wait(path=final)
    is_why(daemon, final, "announced")


def test_a_writer_is_named(workdir, daemons):
    daemon = daemons(workdir)
    path = workdir / "in" / "a"
    with open(path, "wb") as file:
        file.write(b"x")
        file.flush()
        is_why(daemon, path, "written")
        assert os.getpid() in [writer["pid"] for writer in explain(daemon, path)["writers"]]
        assert f"open for writing: pid {os.getpid()}" in text(daemon, path)
        told = text(daemon, path.parent)
        assert "1 waited for: written" in told and str(path) in told
    daemon.collector.wait(path=path)
    is_why(daemon, path, "announced")


def test_settling(workdir, daemons):
    daemon = daemons(workdir, {"settle": "1h"})
    path = workdir / "in" / "a"
    path.write_bytes(b"x")
    is_why(daemon, path, "settling")
    (account,) = explain(daemon, path)["watches"]
    assert account["until"] > account["since"]
    reconfigure(daemon, settle='"0s"')
    daemon.collector.wait(path=path)


def test_empty(workdir, daemons):
    daemon = daemons(workdir)
    path = workdir / "in" / "a"
    os.mknod(path)
    is_why(daemon, path, "empty")
    daemon.collector.wait(path=path)


def test_existing_files(workdir, daemons):
    path = workdir / "in" / "a"
    path.write_bytes(b"x")
    daemon = daemons(workdir, {"existing": "ignore"})
    is_why(daemon, path, "existing_ignored")
    path.write_bytes(b"xy")
    daemon.collector.wait(path=path)


def test_stalled(workdir, daemons):
    daemon = daemons(workdir, {"stalled_after": "100ms", "events": ["file.stalled"]})
    path = workdir / "in" / "a.part"
    path.write_bytes(b"x")
    daemon.collector.wait("file.stalled")
    is_why(daemon, path, "temporary")


def test_a_type_that_is_not_published(workdir, daemons):
    daemon = daemons(workdir, {"events": ["file.removed"]})
    path = workdir / "in" / "a"
    path.write_bytes(b"x")
    is_why(daemon, path, "not_published")
    reconfigure(daemon, events='["file.completed"]')
    path.write_bytes(b"xy")
    daemon.collector.wait(path=path)


@pytest.mark.parametrize("kind", ["symbolic link", "FIFO", "socket"])
def test_what_is_no_regular_file(workdir, daemons, kind):
    import socket

    daemon = daemons(workdir)
    path = workdir / "in" / "a"
    if kind == "symbolic link":
        path.symlink_to("/etc/passwd")
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    is_why(daemon, path, "not_regular")
    (account,) = explain(daemon, path)["watches"]
    assert account["file"]["kind"] == kind


def test_places(workdir, daemons):
    daemon = daemons(workdir)
    root = workdir / "in"
    assert explain(daemon, "/etc/passwd")["watches"] == []
    assert "below no watched directory" in text(daemon, "/etc/passwd")
    assert why(daemon, root / "no") == "not_there"
    assert "there is no such file" in text(daemon, root / "no")
    assert why(daemon, root / "no" / "no") == "directory_unknown"
    assert why(daemon, root) == "directory"
    name = os.fsencode(root) + b"/caf\xe9\n"
    with open(name, "wb") as file:
        file.write(b"x")
    daemon.collector.wait(path=name)
    assert why(daemon, os.fsdecode(name)) == "announced"
    assert r"caf\xe9\x0a" in text(daemon, os.fsdecode(name))


def test_a_root_that_is_gone(workdir, daemons):
    daemon = daemons(workdir)
    root = workdir / "in"
    root.rename(workdir / "away")
    daemon.collector.wait("watch.lost")
    assert why(daemon, root / "a") == "root_lost"
    (workdir / "away").rename(root)
    (root / "a").write_bytes(b"x")
    daemon.collector.wait(path=root / "a")


def test_one_that_cannot_be_opened(workdir, daemons, scanner):  # noqa: F811
    daemon = daemons(workdir)
    path = workdir / "in" / "held"
    path.write_bytes(b"x")
    is_why(daemon, path, "not_responding")
    (workdir / "in" / "release").write_bytes(b"x")
    daemon.collector.wait(path=path)


def test_a_version_that_was_not_seen(workdir, daemons):
    daemon = daemons(workdir)
    path = workdir / "in" / "a"
    path.write_bytes(b"x")
    os.link(path, workdir / "other")  # writes through it give the watched name no event
    daemon.collector.wait(path=path)
    (workdir / "other").write_bytes(b"xyz")
    is_why(daemon, path, "changed")
    daemon.signal(signal.SIGUSR1)
    daemon.collector.wait(path=path, count=2)
    is_why(daemon, path, "announced")


def test_what_became_of_it_at_the_consumers(workdir, daemons):
    daemon = daemons(workdir)
    had = Consumer(daemon, "had")
    behind = Consumer(daemon, "behind")
    other = Consumer(daemon, "other", types=["file.removed"])
    failed = Consumer(daemon, "failed")
    for consumer in (had, behind, other, failed):
        consumer.drain()
    path = workdir / "in" / "a"
    path.write_bytes(b"x")
    daemon.collector.wait(path=path)
    had.drain()
    failed.fetch(ack=False)
    position = failed.events[-1][0]
    failed.service.request(
        "fail",
        consumer="failed",
        client=failed.client,
        stream=failed.stream,
        position=position,
        reason="disk on fire",
    )
    states = {one["name"]: one for one in explain(daemon, path)["consumers"]}
    assert states["had"]["state"] == "had"
    assert states["behind"]["state"] == "behind" and states["behind"]["behind"] == 1
    assert states["other"]["state"] == "not_wanted"
    assert states["failed"]["state"] == "failed"
    assert states["failed"]["reason"] == "disk on fire"
    told = text(daemon, path)
    assert "consumer failed: failed on it (disk on fire): inotifier retry failed" in told
    assert "inotifier update other" in told


def test_without_a_daemon(workdir, daemons):
    daemon = daemons(workdir)
    daemon.stop()
    done = subprocess.run(
        [daemon.binary, "explain", "--endpoint", daemon.fetch_endpoint, "/a"], capture_output=True
    )
    assert done.returncode == 1 and daemon.fetch_endpoint.encode() in done.stderr
