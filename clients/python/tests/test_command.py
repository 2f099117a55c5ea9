"""python -m inotifier."""

import json
import os
import signal
import subprocess

import pytest

from harness import PATIENCE, wait_for
from programs import PYTHON, environment, put

LIMIT = 10 * PATIENCE


@pytest.fixture
def command(processes):
    def start(*words, **more):
        return processes(
            [PYTHON, "-B", "-m", "inotifier", *words],
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_durable(daemon, command):
    put(daemon, "a", b"b\xff\n", "c")
    words = ["--consumer", "c", "--endpoint", daemon.fetch_endpoint, "file.completed"]
    out, err = command(*words, "-n", "2").communicate(timeout=LIMIT)
    assert err == ""
    assert [line.split()[1:4:2] for line in out.splitlines()] == [
        ["file.completed", f"{daemon.workdir}/in/a"],
        ["file.completed", f"{daemon.workdir}/in/b\\udcff\\n"],
    ]
    out, _ = command(*words, "-n", "1", "--json").communicate(timeout=LIMIT)
    assert json.loads(out)["subject"] == "c", "what was printed is acknowledged"


def test_live(daemon, command):
    process = command("--json", "--watch", "in", INOTIFIER_PUBLISH_ENDPOINT=daemon.endpoint)
    numbers = iter(range(10**6))
    os.set_blocking(process.stdout.fileno(), False)
    text = ""

    def heard():
        nonlocal text
        assert process.poll() is None, process.stderr.read()
        put(daemon, f"f{next(numbers)}")
        try:
            text += os.read(process.stdout.fileno(), 65536).decode()
        except BlockingIOError:
            pass
        return "\n" in text

    wait_for(heard, LIMIT, "a line", interval=0.05)
    assert json.loads(text.splitlines()[0])["data"]["watch"] == "in"
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT) == 0


def test_a_reader_that_goes_away_loses_nothing(daemon, command):
    put(daemon, "a")
    words = ["--consumer", "c", "--endpoint", daemon.fetch_endpoint, "--json", "file.completed"]
    process = command(*words)
    assert json.loads(process.stdout.readline())["subject"] == "a"
    process.stdout.close()
    put(daemon, "b", "c")
    assert process.wait(LIMIT) == 0
    assert process.stderr.read() == ""
    out, _ = command(*words, "-n", "1").communicate(timeout=LIMIT)
    assert json.loads(out)["subject"] == "b"


def test_what_cannot_be_printed_is_not_acknowledged(daemon, command, processes):
    put(daemon, "a")
    words = ["--consumer", "c", "--endpoint", daemon.fetch_endpoint, "file.completed", "-n", "1"]
    for stdout, reason in ((">&-", "it is closed"), (">/dev/full", "No space left")):
        process = processes(
            ["sh", "-c", f'exec "$@" {stdout}', "sh", PYTHON, "-B", "-m", "inotifier", *words],
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        _, err = process.communicate(timeout=LIMIT)
        assert process.returncode == 1 and reason in err and len(err.splitlines()) == 1
    out, _ = command(*words, "--json").communicate(timeout=LIMIT)
    assert json.loads(out)["subject"] == "a"


def test_errors(workdir, command):
    process = command("--endpoint", f"ipc://{workdir}/none")
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 1 and out == ""
    assert err.startswith("inotifier: ipc://") and "no such socket" in err
    process = command("--no-such-option")
    process.communicate(timeout=LIMIT)
    assert process.returncode == 2
