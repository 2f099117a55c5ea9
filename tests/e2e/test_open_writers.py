"""No announcement while any writer has the file open, and one soon after the last has closed it."""

import os

import pytest

from harness import (
    assert_final,
    assert_not_early,
    nanoseconds,
    path_of,
    wait_for,
    write,
)


def test_writer_looked_at_in_between(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "held", path)
    writer.wait_at("opened")
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("written")
    daemon.sentinel()
    assert not daemon.announced()
    records = writer.finish()
    check_once(daemon, path, records)


def test_linked_in_while_still_open(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "link-open", any_workdir / "out" / "f", path)
    writer.wait_at("linked")
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("written")
    daemon.sentinel()
    assert not daemon.announced()
    records = writer.finish()  # the close is told of out/f, which nobody watches
    check_once(daemon, path, records)


def test_tmpfile_linked_in_while_still_open(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "tmpfile", path)
    writer.wait_at("linked")
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("written")
    daemon.sentinel()
    assert not daemon.announced()
    records = writer.finish()
    check_once(daemon, path, records)


def test_renamed_while_still_open(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    part, path = any_workdir / "in" / "f.part", any_workdir / "in" / "f"
    writer = stepped(any_workdir, "held", part)
    writer.wait_at("opened")
    part.rename(path)
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("written")
    daemon.sentinel()
    assert not daemon.announced()
    records = writer.finish()
    (message,) = daemon.collector.wait(path=path)
    assert_final([message])
    (closing,) = [r for r in records if r["what"] == "close-before"]
    assert message.mono >= closing["mono"]
    assert nanoseconds(message.event["time"]) >= closing["real"]
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 1}


def test_two_writers_the_first_close_is_not_the_end(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "two-writers", path)
    writer.wait_at("half")
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("one-left")
    daemon.sentinel()
    assert not daemon.announced()
    check_once(daemon, path, writer.finish())


@pytest.mark.parametrize("gap", [0, 1, 50])
def test_two_writers_closing_one_after_the_other(any_workdir, daemons, gap):
    daemon = daemons(any_workdir)
    for i in range(10):
        path = any_workdir / "in" / f"f{i}"
        records = write("two-writers", path, "--gap", gap)
        daemon.collector.wait(path=path)
        assert_not_early(daemon.collector.of(path=path), records)
    daemon.sentinel()
    assert set(daemon.announced().values()) == {1}
    assert_final(daemon.collector.of())


def test_mapping_that_outlives_the_descriptor(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "mapped", path)
    writer.wait_at("mapped")
    daemon.sentinel()
    assert not daemon.announced()
    writer.go()
    writer.wait_at("written")
    daemon.sentinel()
    assert not daemon.announced()
    check_once(daemon, path, writer.finish())


def check_once(daemon, path, records):
    (message,) = daemon.collector.wait(path=path)
    assert_not_early([message], records)
    assert_final([message])
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 1}


@pytest.mark.parametrize("pause", [0, 3])
def test_rewritten_in_a_loop(any_workdir, daemons, pause):
    """1 MB truncated and rewritten: what is announced is always one of the finished versions."""
    daemon = daemons(any_workdir)
    path, size = any_workdir / "in" / "f", 1 << 20
    records = write("rewrite-loop", 100, path, "--bytes", size, "--pause", pause)
    versions = {r["mtime"]: r for r in records if r["what"] == "close-before"}
    last = records[-1]
    wait_for(
        lambda: any(mtime_of(m) == last["mtime"] for m in daemon.collector.of(path=path)),
        what="the last version",
    )
    daemon.sentinel()
    messages = daemon.collector.of(path=path)
    assert {m.event["data"]["size"] for m in messages} == {size}
    for message in messages:
        assert mtime_of(message) in versions, "announced in the middle of a version"
        closing = versions[mtime_of(message)]
        assert nanoseconds(message.event["time"]) >= closing["real"], "announced while it was open"
    assert mtime_of(messages[-1]) == last["mtime"]


def mtime_of(message):
    return nanoseconds(message.event["data"]["mtime"])


def test_never_without_a_writer(any_workdir, daemons):
    """Thousands of closes, but somebody else has always opened the file before."""
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    records = write("relay", 3000, path)
    check_once(daemon, path, records)
    path = any_workdir / "in" / "g"
    records = write("relay", 300, path, "--pause", 1)
    daemon.collector.wait(path=path)
    daemon.sentinel()
    messages = daemon.collector.of(path=path)
    assert len(messages) == 1
    assert_not_early(messages, records)
    assert_final(messages)


def test_creator_caught_inside_its_open(any_workdir, daemons):
    """Files are empty for a moment after their creation; none is announced empty."""
    daemon = daemons(any_workdir)
    records = write("slow-creator", 2000, any_workdir / "in", "--bytes", 2000)
    daemon.collector.wait(count=2000, timeout=30)
    daemon.sentinel()
    messages = daemon.collector.of()
    assert_not_early(messages, records)
    assert {m.event["data"]["size"] for m in messages} == {2000, len(b"sentinel")}
    assert len(daemon.announced()) == 2000
    assert set(daemon.announced().values()) == {1}


def test_many_writers_of_one_file(any_workdir, daemons):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    records = write("many-writers", 24, path)
    check_once(daemon, path, records)


def test_empty_files(any_workdir, daemons):
    """touch closes its descriptor, so an empty file is finished at once; one that was linked in
    waits for its second look."""
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "empty"
    path.touch()
    (message,) = daemon.collector.wait(path=path)
    assert message.event["data"]["size"] == 0
    outside = any_workdir / "out" / "empty"
    outside.touch()
    os.link(outside, any_workdir / "in" / "linked")
    daemon.collector.wait(path=any_workdir / "in" / "linked", timeout=10)


def test_killed_writer(any_workdir, daemons, stepped):
    """A writer that dies in mid-file looks like one that has finished: no writer is left."""
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "held", path)
    writer.wait_at("opened")
    writer.go()
    writer.wait_at("written")
    writer.process.kill()
    (message,) = daemon.collector.wait(path=path)
    assert path_of(message.event) == os.fsencode(path)
