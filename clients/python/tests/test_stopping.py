"""stop_signals: SIGTERM ends the loop, and the next process need not wait for the lease."""

import os
import signal
import subprocess
import threading
import time

import pytest

import inotifier
from harness import PATIENCE
from inotifier.testing import FakeConsumer, make_event
from programs import PYTHON, environment, put

LIMIT = 10 * PATIENCE
THREADS = """
import sys, time
import inotifier

with inotifier.Consumer("c", endpoint=sys.argv[1], types=["file.completed"], stop_signals=True) as c:
    print("ready", flush=True)
    for event in c:
        print("begin", event.relative_path, flush=True)
        if sys.argv[2] == "works":
            sys.stdin.readline()
        print("end", flush=True)
print("left", flush=True)
"""
ASYNCIO = """
import asyncio, sys
from inotifier import aio

async def main():
    options = {"types": ["file.completed"], "stop_signals": True}
    async with aio.Consumer("c", endpoint=sys.argv[1], **options) as c:
        print("ready", flush=True)
        async for event in c:
            print("begin", event.relative_path, flush=True)
            if sys.argv[2] == "works":
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, sys.stdin.readline)
            print("end", flush=True)
    print("left", flush=True)

asyncio.run(main())
"""
COMMAND = "import sys\nfrom inotifier.__main__ import main\n" + (
    'words = ["--consumer", "c", "--endpoint", sys.argv[1], "file.completed"]\n'
    'print("ready", flush=True)\nsys.exit(main(words))'
)


@pytest.fixture
def program(processes, daemon):
    def start(text, does="waits"):
        return processes(
            [PYTHON, "-B", "-c", text, daemon.fetch_endpoint, does],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("text", [THREADS, ASYNCIO], ids=["threads", "asyncio"])
def test_it_leaves_the_consumer_while_it_waits(daemon, program, text, number):
    put(daemon, "a")
    process = program(text)
    assert [process.stdout.readline() for _ in range(3)] == ["ready\n", "begin a\n", "end\n"]
    begin = time.monotonic()
    process.send_signal(number)
    assert process.communicate(timeout=LIMIT)[0] == "left\n" and process.returncode == 0
    put(daemon, "b")
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint) as consumer:
        assert consumer.next(LIMIT).relative_path == "b", "a was done"
    assert time.monotonic() - begin < 5 * PATIENCE, "the lease is 60 s"


@pytest.mark.parametrize("text", [THREADS, ASYNCIO], ids=["threads", "asyncio"])
def test_the_body_that_runs_ends_and_is_done(daemon, program, text):
    put(daemon, "a", "b")
    process = program(text, "works")
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "begin a\n"]
    process.send_signal(signal.SIGTERM)
    assert process.communicate("\n", timeout=LIMIT)[0] == "end\nleft\n" and process.returncode == 0
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint) as consumer:
        assert consumer.next(LIMIT).relative_path == "b"


def test_the_second_signal_ends_it_at_once(daemon, program):
    put(daemon, "a")
    process = program(THREADS, "works")
    assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "begin a\n"]
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:  # the first may not have been seen when the second came
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
    assert "KeyboardInterrupt" in process.communicate(timeout=LIMIT)[0]
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint) as consumer:
        assert consumer.next(5 * PATIENCE).relative_path == "a", "not done, and not held"


def test_the_command_line_leaves_the_consumer(daemon, program):
    put(daemon, "a")
    process = program(COMMAND)
    assert process.stdout.readline() == "ready\n"
    assert process.stdout.readline().split()[-2].endswith("/in/a")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=LIMIT)[0] == "" and process.returncode == 0
    put(daemon, "b")
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint) as consumer:
        assert consumer.next(5 * PATIENCE).relative_path == "b"


def test_what_was_before_is_put_back_and_what_is_ignored_stays_so():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        events = [make_event(), make_event()]
        with FakeConsumer(events, stop_signals=True) as one:
            with FakeConsumer(events, stop_signals=True) as other:
                assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
                assert one.next() is not None and not one.stopping
                signal.raise_signal(signal.SIGTERM)
                assert one.stopping and other.stopping
                assert one.next() is None and other.next_batch() is None
                with pytest.raises(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGTERM) != before[signal.SIGTERM]
        assert {number: signal.getsignal(number) for number in before} == before
    finally:
        signal.signal(signal.SIGHUP, ignored)


def test_a_signal_to_a_forked_child_is_the_childs_alone():
    with FakeConsumer([make_event()], stop_signals=True) as consumer:
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        assert not consumer.stopping and consumer.next() is not None


def test_only_in_the_main_thread():
    caught = []

    def make():
        try:
            FakeConsumer(stop_signals=True)
        except ValueError as error:
            caught.append(str(error))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert "main thread" in caught[0]
