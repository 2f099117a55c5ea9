"""What is killed, and what comes back: the consumer, the daemon, its journal."""

import signal
import subprocess
import time

import inotifier
from durable import journal_files, kill, stop_daemon
from harness import PATIENCE, wait_for
from programs import PYTHON, environment, put

LIMIT = 10 * PATIENCE

PROGRAM = """
import sys, time, inotifier
with inotifier.Consumer("c", endpoint=sys.argv[1], types=["file.completed"], lease=1) as consumer:
    for number, event in enumerate(consumer):
        print(event.relative_path, flush=True)
        if number == int(sys.argv[2]):
            time.sleep(600)  # it is killed in here
"""


def open_(daemon, **options):
    options.setdefault("types", ["file.completed"])
    return inotifier.Consumer("c", endpoint=daemon.fetch_endpoint, **options)


def test_a_consumer_killed_between_receiving_and_acknowledging(daemon, processes):
    put(daemon, "a", "b", "c")
    program = processes(
        [PYTHON, "-c", PROGRAM, daemon.fetch_endpoint, "1"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert [program.stdout.readline().strip() for _ in range(2)] == ["a", "b"]
    program.kill()
    program.wait()
    got = []
    with open_(daemon) as consumer:
        while len(set(got) - {"a"}) < 2:
            got.append(consumer.next(LIMIT).relative_path)
    # "a" was done and may have been acked before, or not.
    assert [name for name in got if name != "a"] == ["b", "c"]


def test_a_daemon_killed_and_started_again(daemon):
    states = []
    expected, got = [], []
    with open_(daemon, on_state=states.append) as consumer:
        for turn in range(3):
            expected += [f"{turn}-{number}" for number in range(40)]
            put(daemon, *expected[-40:-20])
            event = consumer.next(LIMIT)
            got.append(event)
            consumer.done(event)
            kill(daemon)
            put(daemon, *expected[-20:])
            wait_for(lambda: consumer.keep_alive(0.05) or consumer.state == "disconnected")
            daemon.start()
            while len({event.relative_path for event in got}) < len(expected):
                event = consumer.next(LIMIT)
                got.append(event)
                consumer.done(event)
        assert consumer.flush(LIMIT)
        assert consumer.info()["failed"] == 0
    assert {event.relative_path for event in got} == set(expected)
    # The same fact comes under the same id, also if it comes twice.
    assert len({event.id for event in got}) == len(expected)
    assert states[:1] == ["owner"] and states.count("disconnected") == 3


def test_a_new_journal(daemon):
    resets = []
    put(daemon, "a", "b")
    with open_(daemon, on_reset=resets.append) as consumer:
        a, b = consumer.next(LIMIT), consumer.next(LIMIT)
        consumer.done(a)
        assert consumer.flush()
        stream = consumer.stream
        assert daemon.stop() == 0
        for file in daemon.workdir.glob(journal_files(daemon)[0].name + "*"):
            file.unlink()
        daemon.start()
        again = [consumer.next(LIMIT), consumer.next(LIMIT)]
        assert [reset.code for reset in resets] == ["stream_changed"]
        assert consumer.stream != stream
        assert {event.id for event in again} == {a.id, b.id}, "the same facts"
        for event in again:
            consumer.done(event)
        consumer.done(b)  # of before: says nothing
        assert consumer.flush()


def test_closing_does_not_hang_on_a_daemon_that_does_not_answer(daemon):
    put(daemon, "a")
    consumer = open_(daemon)
    consumer.done(consumer.next(LIMIT))
    stop_daemon(daemon)
    start = time.monotonic()
    consumer.close()
    assert time.monotonic() - start < 2 * PATIENCE
    daemon.signal(signal.SIGCONT)
    with open_(daemon, lease=1) as other:
        other.next(timeout=0)  # works on


def test_a_requester_whose_daemon_dies(daemon):
    with inotifier.Requester(daemon.fetch_endpoint) as requester:
        kill(daemon)
        try:
            requester.request("status", timeout=0.5)
        except inotifier.NoAnswer as error:
            assert "status" in str(error)
        else:
            raise AssertionError("a dead daemon answered")
        daemon.start()
        assert requester.request("status", timeout=LIMIT)["ok"]
