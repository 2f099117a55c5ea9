"""What a program gets from whoever starts it: signals, descriptors, limits."""

import os
import resource
import select
import signal
import subprocess

import pytest

from harness import BINARY, PATIENCE, wait_for


def signals(process, *fields):
    with open(f"/proc/{process.pid}/status") as file:
        found = dict(line.split(":", 1) for line in file)
    mask = 0
    for field in fields:
        mask |= int(found[field], 16)
    return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}


def is_listening(process):
    """To SIGTERM, and to nothing that it was started to ignore. (Who starts a thread blocks all.)"""
    ignored = {signal.SIGHUP, signal.SIGINT}
    return (
        signal.SIGTERM in signals(process, "SigBlk", "SigCgt")
        and ignored <= signals(process, "SigIgn")
        and not ignored & signals(process, "SigBlk")
    )


@pytest.fixture
def durable(workdir, daemons):
    return daemons(
        workdir,
        fetch={"endpoint": f"ipc://{workdir}/fetch.sock"},
        journal={"path": str(workdir / "journal.db")},
    )


def is_full(pipe):
    """The writer of it would wait."""
    end = os.open(f"/proc/self/fd/{pipe.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [end], [], 0)[1]
    finally:
        os.close(end)


def words_of(name, daemon, workdir):
    fetch, publish = f"ipc://{workdir}/fetch.sock", daemon.endpoint
    return {
        "watch": ["watch", workdir / "in"],
        "watch --": ["watch", workdir / "in", "--", "true"],
        "consume": ["consume", "c", "--endpoint", fetch],
        "consume --": ["consume", "c", "--endpoint", fetch, "--", "true"],
        "sub": ["sub", "--endpoint", publish],
    }[name]


@pytest.mark.parametrize("name", ["watch", "watch --", "consume", "consume --", "sub"])
def test_what_nohup_and_a_background_shell_ignore_stays_ignored(name, durable, workdir, processes):
    words = words_of(name, durable, workdir)
    ignore = 'trap "" HUP INT; exec "$@"'
    process = processes(
        ["sh", "-c", ignore, "sh", BINARY, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: is_listening(process), what="its signals")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10 * PATIENCE) == 0


def test_nothing_takes_the_place_of_closed_descriptors(workdir, processes):
    """Else what is meant for the log would be written into a file of the daemon."""
    daemon = processes(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", BINARY, "run", workdir / "in"],
        env={
            "PATH": os.environ["PATH"],
            "INOTIFIER_PUBLISH_ENDPOINT": f"ipc://{workdir}/publish",
            "INOTIFIER_FETCH_ENDPOINT": f"ipc://{workdir}/fetch",
            "INOTIFIER_JOURNAL_PATH": str(workdir / "journal.db"),
        },
    )
    wait_for(lambda: (workdir / "fetch").exists(), what="the daemon")
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"


def test_closed_output_acks_nothing(durable, workdir):
    durable.sentinel()
    command = [BINARY, "consume", "c", "file.completed", "--until-empty"]
    command += ["--endpoint", f"ipc://{workdir}/fetch.sock"]
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *command], capture_output=True)
    assert closed.returncode == 1 and b"EBADF" in closed.stderr
    assert len(subprocess.run(command, capture_output=True).stdout.splitlines()) == 1


def test_a_closed_or_full_error_output_ends_nothing(durable, workdir):
    durable.sentinel()
    for number, where in enumerate(("2>&-", "2>/dev/full")):
        command = [BINARY, "consume", f"c{number}", "file.completed", "--until-empty"]
        command += ["--endpoint", f"ipc://{workdir}/fetch.sock", "--", "true"]
        assert subprocess.run(["sh", "-c", f'"$@" {where}', "sh", *command]).returncode == 0


def test_a_log_that_nobody_reads_holds_up_nothing(workdir, daemons):
    """journald that hangs, a terminal that is held, a pipe whose reader has stopped."""
    daemon = daemons(workdir)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    daemon.stop()
    daemon.process = subprocess.Popen(
        [BINARY, "run", "-c", daemon.config],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writer,
    )
    os.close(writer)
    daemon.sentinel()
    assert daemon.stop() == 0
    os.close(reader)


def test_too_few_descriptors_are_named(workdir):
    for subcommand in (["run", workdir / "in"], ["status"], ["consume", "c"]):
        done = subprocess.run(
            [BINARY, *subcommand],
            capture_output=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)),
        )
        assert done.returncode == 1
        assert b"the limit of open files is 9: raise it" in done.stderr


def test_a_reader_that_has_stopped_does_not_keep_consume_from_ending(durable, workdir):
    """What it could not print comes again."""
    for number in range(100):
        (workdir / "in" / f"{number}{'x' * 200}").write_bytes(b"x")
    durable.collector.wait(count=100)
    command = [BINARY, "consume", "c", "file.completed"]
    command += ["--endpoint", f"ipc://{workdir}/fetch.sock"]
    consumer = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        wait_for(lambda: is_full(consumer.stdout), what="a full pipe")
        consumer.terminate()
        assert consumer.wait(timeout=10 * PATIENCE) == 0
    finally:
        consumer.kill()
        consumer.wait()
        consumer.stdout.close()
    again = subprocess.run([*command, "--until-empty"], capture_output=True)
    assert len(again.stdout.splitlines()) == 100
