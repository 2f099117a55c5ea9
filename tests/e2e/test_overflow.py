"""More happens than the kernel's queue holds."""

import collections
import os
import signal

import pytest

from durable import Consumer
from harness import assert_final, wait_for, write


@pytest.fixture
def stop_and_go():
    stopped = []

    def stop(daemon):
        daemon.signal(signal.SIGSTOP)
        stopped.append(daemon)

        def is_stopped():
            with open(f"/proc/{daemon.process.pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] in "Tt"

        wait_for(is_stopped, what="the daemon to stop")

    yield stop
    for daemon in stopped:
        daemon.signal(signal.SIGCONT)


def watched_directory(daemon):
    """in/b0, known to be watched: what happens in it fills the queue."""
    directory = daemon.workdir / "in" / "b0"
    directory.mkdir()
    (directory / "sentinel-0").write_bytes(b"x")
    daemon.collector.wait(path=directory / "sentinel-0")


def wait_for_overflow(daemon):
    """It is told at the end of its rescan, which the files that were found do not wait for."""

    def told():
        rescans = daemon.collector.of("watch.rescan")
        return "overflow" in {m.event["data"]["reason"] for m in rescans}

    wait_for(told, what="watch.rescan with reason overflow")


def test_twenty_thousand_files_while_stopped(any_workdir, daemons, stop_and_go):
    daemon = daemons(any_workdir)
    watched_directory(daemon)
    stop_and_go(daemon)
    write("bulk", 20000, 1, any_workdir / "in", "--bytes", 10)
    daemon.signal(signal.SIGCONT)
    daemon.collector.wait(count=20001, timeout=40)
    daemon.sentinel()
    announced = daemon.announced()
    assert len(announced) == 20000
    assert set(announced.values()) == {1}
    wait_for_overflow(daemon)


def test_overflow_in_new_directories(any_workdir, daemons, stop_and_go):
    daemon = daemons(any_workdir)
    write("bulk", 300, 30, any_workdir / "in", "--bytes", 10)
    daemon.collector.wait(count=300)
    stop_and_go(daemon)
    write("nested-receiver", 6000, any_workdir / "in", "--bytes", 10)
    removed = any_workdir / "in" / "b0" / "f0"
    removed.unlink()
    daemon.signal(signal.SIGCONT)
    daemon.collector.wait(count=6300, timeout=40)
    daemon.sentinel()
    assert len(daemon.announced()) == 6300
    assert set(daemon.announced().values()) == {1}
    wait_for_overflow(daemon)


def test_files_changed_during_an_overflow_are_told_again(workdir, daemons, stop_and_go):
    daemon = daemons(workdir)
    changed, kept = workdir / "in" / "changed", workdir / "in" / "kept"
    changed.write_bytes(b"old")
    kept.write_bytes(b"old")
    daemon.collector.wait(count=2)
    watched_directory(daemon)
    stop_and_go(daemon)
    write("bulk", 9000, 1, workdir / "in", "--bytes", 1)
    changed.write_bytes(b"new content")
    daemon.signal(signal.SIGCONT)
    daemon.collector.wait(count=3 + 9000 + 1, timeout=40)
    daemon.collector.wait(path=changed, count=2)
    daemon.sentinel()
    assert daemon.announced()[os.fsencode(changed)] == 2
    assert daemon.announced()[os.fsencode(kept)] == 1
    assert_final(daemon.collector.of(path=changed)[-1:])
    wait_for_overflow(daemon)


def test_converges_under_load(workdir, daemons, stop_and_go):
    """A receiver that does not pause while the rescan runs."""
    daemon = daemons(workdir)
    for round in range(3):
        stop_and_go(daemon)
        directory = workdir / "in" / f"round{round}"
        directory.mkdir()
        write("bulk", 8000, 40, directory, "--bytes", 10)
        daemon.signal(signal.SIGCONT)
        write("nested-receiver", 1000, directory, "--bytes", 10)
    daemon.collector.wait(count=27000, timeout=60)
    daemon.sentinel(timeout=30)
    assert len(daemon.announced()) == 27000
    assert set(daemon.announced().values()) == {1}


def test_sixty_thousand_files_while_stopped(workdir, daemons, stop_and_go):
    """Three queues' worth, as a durable consumer is told of it."""
    daemon = daemons(workdir)
    watched_directory(daemon)
    consumer = Consumer(daemon)
    consumer.drain()
    stop_and_go(daemon)
    write("bulk", 60000, 1, workdir / "in", "--bytes", 10)
    daemon.signal(signal.SIGCONT)
    consumer.events = []
    consumer.wait_for_paths(60000, timeout=90)
    daemon.sentinel()
    consumer.drain()
    told = collections.Counter(consumer.paths())
    del told[next(path for path in told if b"/sentinel-" in path)]
    assert len(told) == 60000
    assert set(told.values()) == {1}
    assert not consumer.lost
    wait_for_overflow(daemon)
