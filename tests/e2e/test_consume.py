"""`inotifier consume`: at least once, whatever is killed."""

import collections
import json
import os
import re
import signal
import subprocess
import sys

import pytest

from harness import BINARY, PATIENCE, PROJECT, wait_for


@pytest.fixture
def durable(workdir, daemons):
    """A daemon with a journal and a fetch service; `env` tells the commands where it is."""
    # The directory with the sockets must not be watched.
    daemon = daemons(
        workdir,
        fetch={"endpoint": f"ipc://{workdir}/fetch.sock"},
        journal={"path": str(workdir / "journal.db")},
    )
    daemon.env = {
        **os.environ,
        "INOTIFIER_FETCH_ENDPOINT": f"ipc://{workdir}/fetch.sock",
        "INOTIFIER_PUBLISH_ENDPOINT": daemon.endpoint,
    }
    return daemon


@pytest.fixture
def inotifier(processes, durable):
    def start(*words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("env", durable.env)
        return processes([BINARY, *words], **options)

    return start


def finish(process, timeout=30):
    out, err = process.communicate(timeout=timeout * PATIENCE)
    return out, err.decode(), process.returncode


def make(daemon, *names, text=b"x"):
    """Files that are there, and announced."""
    for name in names:
        part = daemon.workdir / "in" / f"{name}.part"
        part.write_bytes(text)
        part.rename(daemon.workdir / "in" / name)
    for name in names:
        daemon.collector.wait(path=daemon.workdir / "in" / name)


def paths_of(out):
    return [os.path.basename(json.loads(line)["data"]["path"]) for line in out.splitlines()]


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


LOG = 'echo "$INOTIFIER_ID $(basename "$0")" >> "$1"'


def logged(log):
    return [line.split()[1] for line in lines_of(log)]


# --- printing


def test_prints_what_is_there_and_only_once(durable, inotifier):
    make(durable, "a", "b")
    words = ("consume", "c", "file.completed", "--until-empty")
    out, err, code = finish(inotifier(*words))
    assert code == 0, err
    assert paths_of(out) == ["a", "b"]
    make(durable, "c")
    out, err, code = finish(inotifier(*words))
    assert (paths_of(out), code) == (["c"], 0), err
    out, err, code = finish(inotifier(*words))
    assert (out, code) == (b"", 0), err


def test_prints_what_comes(durable, inotifier):
    process = inotifier("consume", "c", "file.completed", "-n", "2", "--format", "{name}")
    make(durable, "a", "b")
    out, err, code = finish(process)
    assert (out, code) == (b"a\nb\n", 0), err


def test_only_so_many_are_acked(durable, inotifier):
    make(durable, "a", "b", "c")
    out, _, code = finish(inotifier("consume", "c", "file.completed", "-n", "1"))
    assert (paths_of(out), code) == (["a"], 0)
    out, _, code = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out) == ["b", "c"]


def test_times_out(durable, inotifier):
    out, err, code = finish(inotifier("consume", "c", "file.completed", "--timeout", "300ms"))
    assert (out, code) == (b"", 3), err


def test_starts_where_it_is_told(durable, inotifier):
    make(durable, "a")
    process = inotifier("consume", "c", "file.completed", "--start", "now", "--until-empty")
    assert finish(process)[0] == b""
    words = ("file.completed", "--start", "state", "-n", "1")
    assert paths_of(finish(inotifier("consume", "s", *words))[0]) == ["a"]
    os.unlink(durable.workdir / "in" / "a")
    make(durable, "b")
    assert paths_of(finish(inotifier("consume", "t", *words))[0]) == ["b"]
    process = inotifier("consume", "o", "file.completed", "--start", "oldest", "--until-empty")
    assert paths_of(finish(process)[0]) == ["a", "b"]


def test_a_state_is_there_as_a_whole_before_there_is_nothing_more(durable, inotifier):
    names = [f"f{i}" for i in range(1500)]
    make(durable, *names)
    process = inotifier("consume", "c", "--start", "state", "--until-empty", "-0")
    out, err, code = finish(process)
    assert code == 0, err
    told = {os.path.basename(path) for path in out.decode().split("\0")[:-1]}
    assert told == set(names)


def test_other_types_than_stored_are_refused(durable, inotifier):
    finish(inotifier("consume", "c", "file.completed", "--until-empty"))
    _, err, code = finish(inotifier("consume", "c", "file.stalled", "--until-empty"))
    assert code == 1
    assert "c" in err


def test_without_create_there_must_be_one(durable, inotifier):
    finish(inotifier("consume", "thumbnails", "file.completed", "--until-empty"))
    _, err, code = finish(inotifier("consume", "thumbnail", "--no-create", "--until-empty"))
    assert code == 1
    assert "thumbnails" in err


def test_a_reader_that_goes_away_acks_nothing_more(durable, inotifier):
    process = inotifier("consume", "c", "file.completed")
    make(durable, "a")
    assert paths_of(process.stdout.readline()) == ["a"]
    wait_for(lambda: acked(inotifier, "c"), what="the ack")
    process.stdout.close()
    process.stdout = None
    make(durable, "b")
    assert wait_for(lambda: process.poll() is not None, what="the end of consume")
    assert process.returncode == 0
    out, err, code = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out) == ["b"], err


def test_nobody_listens(workdir, processes):
    process = processes(
        [BINARY, "consume", "c", "--endpoint", f"ipc://{workdir}/nowhere"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, err, code = finish(process)
    assert code == 1
    assert "nowhere" in err


def test_the_publisher_is_no_fetch_service(durable, inotifier):
    _, err, code = finish(inotifier("consume", "c", "--endpoint", durable.endpoint))
    assert code == 1
    assert "[fetch]" in err


def test_with_keys(workdir, daemons, processes):
    def keygen(name, *words):
        subprocess.run(
            [BINARY, "keygen", name, "--dir", workdir, *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    for name in ("server", "reader", "stranger"):
        keygen(name)
    keygen("worker", "--access", "all")
    clients = workdir / "clients"
    clients.mkdir()
    for name in ("reader", "worker"):
        (workdir / f"{name}.key").rename(clients / f"{name}.key")
    daemon = daemons(
        workdir,
        fetch={"endpoint": "tcp://127.0.0.1:*"},
        journal={"path": str(workdir / "journal.db")},
        security={"server_key": workdir / "server.key_secret", "clients": clients},
    )
    make(daemon, "a")
    endpoint = wait_for(
        lambda: re.search(r"fetch on (tcp://\S+)", daemon.log_text()), what="the endpoint"
    )[1]

    def run(*words):
        process = processes(
            [BINARY, *words, "--endpoint", endpoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return finish(process)

    def with_key(name):
        return "--server-key", workdir / "server.key", "--key", workdir / f"{name}.key_secret"

    consume = ("consume", "c", "file.completed", "--until-empty")
    out, err, code = run(*consume, *with_key("worker"))
    assert (paths_of(out), code) == (["a"], 0), err
    _, err, code = run(*consume, *with_key("reader"))
    assert code == 1
    assert "read" in err
    out, err, code = run("status", "--check", *with_key("reader"))
    assert code == 0, err
    _, err, code = run(*consume, *with_key("stranger"))
    assert code == 1
    assert "refuses our key" in err
    _, err, code = run(*consume)
    assert code == 1
    assert "--server-key" in err
    _, err, code = run(*consume, "--key", workdir / "worker.key_secret")
    assert code == 1
    assert "--server-key" in err
    wrong = ("--server-key", workdir / "stranger.key", "--key", workdir / "worker.key_secret")
    _, err, code = run(*consume, *wrong)
    assert code == 1
    assert "--server-key" in err


# --- a command


def test_every_file_once_with_four_at_a_time(durable, inotifier, workdir):
    log = workdir / "log"
    process = inotifier(
        "consume", "c", "file.completed", "-n", "1000", "--parallel", "4",
        "--", "sh", "-c", LOG, "{path}", log,
    )  # fmt: skip
    names = [f"f{i}" for i in range(1000)]
    for name in names:
        (durable.workdir / "in" / name).write_bytes(b"x")
    _, err, code = finish(process, 100)
    assert code == 0, err[-2000:]
    assert collections.Counter(logged(log)) == collections.Counter(names)
    assert "1000 done, 0 failed, 0 skipped" in err
    out, err, code = finish(inotifier("consume", "c", "--until-empty"))
    assert (out, code) == (b"", 0), err


def test_a_failing_command_is_tried_again(durable, inotifier, workdir):
    log = workdir / "log"
    script = 'echo x >> "$1"; [ "$(wc -l < "$1")" -ge 3 ]'
    make(durable, "a")
    process = inotifier(
        "consume", "c", "file.completed", "--until-empty", "--retry-delay", "10ms",
        "--", "sh", "-c", script, "{path}", log,
    )  # fmt: skip
    _, err, code = finish(process)
    assert code == 0, err
    assert len(lines_of(log)) == 3
    assert "1 done, 0 failed" in err
    assert "try 2" in err


def test_what_fails_is_kept_and_comes_back(durable, inotifier, workdir):
    log = workdir / "log"
    script = LOG + '; [ "$(basename "$0")" != bad ] || exit 3'
    make(durable, "good", "bad", "better")
    words = (
        "consume", "c", "file.completed", "--until-empty", "--retry-delay", "10ms",
        "--max-tries", "3", "--", "sh", "-c",
    )  # fmt: skip
    _, err, code = finish(inotifier(*words, script, "{path}", log))
    assert code == 1, err
    assert "2 done, 1 failed, 0 skipped" in err
    assert collections.Counter(logged(log)) == {"good": 1, "better": 1, "bad": 3}
    ids = {line.split()[0] for line in lines_of(log) if line.endswith(" bad")}
    out, err, code = finish(inotifier("failed", "c", "--json"))
    (failed,) = [json.loads(line) for line in out.splitlines()]
    assert failed["reason"] == "exit 3"
    assert failed["tries"] == 3
    assert failed["event"]["id"] in ids

    log.unlink()
    out, err, code = finish(inotifier("retry", "c"))
    assert code == 0, err
    assert b"1" in out
    _, err, code = finish(inotifier(*words, LOG, "{path}", log))
    assert code == 0, err
    assert [line.split() for line in lines_of(log)] == [[*ids, "bad"]]
    out, _, code = finish(inotifier("failed", "c", "--json"))
    assert (out, code) == (b"", 0)


def test_a_failing_event_does_not_hold_the_others(durable, inotifier, workdir):
    log = workdir / "log"
    script = '[ "$(basename "$0")" != stuck ] || exit 1; ' + LOG
    process = inotifier(
        "consume", "c", "file.completed", "--retry-delay", "1h",
        "--", "sh", "-c", script, "{path}", log,
    )  # fmt: skip
    make(durable, "stuck")
    names = [f"f{i}" for i in range(20)]
    make(durable, *names)
    wait_for(lambda: len(logged(log)) == 20, what="twenty files")
    process.terminate()
    _, err, code = finish(process)
    assert code == 0, err
    assert logged(log) == names
    # What was done beyond the one that was not comes again with it: at least once.
    out, err, code = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out)[0] == "stuck"


def test_a_killed_consumer_loses_nothing(durable, inotifier, workdir):
    log = workdir / "log"
    names = [f"f{i}" for i in range(200)]
    for name in names:
        (durable.workdir / "in" / name).write_bytes(b"x")
    words = (
        "consume", "c", "file.completed", "--parallel", "2", "--lease", "1s", "--until-empty",
        "--", "sh", "-c", LOG, "{path}", log,
    )  # fmt: skip
    make(durable, "last")
    for target in (10, 60, 120):
        process = inotifier(*words)
        wait_for(lambda: len(lines_of(log)) >= target or process.poll() is not None)
        process.kill()
        process.wait()
        # The lease of the one that was killed has to end.
        wait_for(lambda: not owned(inotifier, "c"), what="the end of the lease")
    _, err, code = finish(inotifier(*words), 60)
    assert code == 0, err
    seen = collections.Counter(logged(log))
    assert set(seen) == {*names, "last"}
    ids = collections.defaultdict(set)
    for line in lines_of(log):
        ids[line.split()[1]].add(line.split()[0])
    assert all(len(each) == 1 for each in ids.values())


def told_of(inotifier, name):
    """What `consumers` says of one; {} if it is not there."""
    out, err, code = finish(inotifier("consumers", "--json"))
    assert code == 0, err
    return {each["name"]: each for each in map(json.loads, out.splitlines())}.get(name, {})


def owned(inotifier, name):
    return told_of(inotifier, name).get("owned", False)


def acked(inotifier, name):
    """Nothing is behind the consumer's position."""
    return told_of(inotifier, name).get("behind") == 0


def test_of_two_one_works_and_the_other_takes_over(durable, inotifier, workdir):
    logs = [workdir / "log0", workdir / "log1"]

    def start(log):
        return inotifier(
            "consume", "c", "file.completed", "--lease", "2s", "--", "sh", "-c", LOG, "{path}", log
        )

    first = start(logs[0])
    make(durable, "a")
    wait_for(lambda: logged(logs[0]) == ["a"], what="a")
    second = start(logs[1])
    line = second.stderr.readline().decode()
    assert "standing by" in line
    make(durable, "b")
    wait_for(lambda: logged(logs[0]) == ["a", "b"], what="b")
    wait_for(lambda: acked(inotifier, "c"), what="the ack")
    first.kill()
    make(durable, "d")
    wait_for(lambda: "d" in logged(logs[1]), what="the take-over")
    assert "d" not in logged(logs[0])
    second.terminate()
    _, err, code = finish(second)
    assert code == 0, err


def test_who_stood_by_and_left_gets_nothing_any_more(durable, inotifier, workdir):
    """Else the next one would have to wait for the lease of somebody who is not there."""
    make(durable, "a")
    first = inotifier("consume", "c", "file.completed", "--", "true")
    wait_for(lambda: acked(inotifier, "c"), what="the ack")
    second = inotifier("consume", "c", "file.completed", "--", "true")
    assert "standing by" in second.stderr.readline().decode()

    def waiting():
        return json.loads(finish(inotifier("status", "--json"))[0])["polls"]

    wait_for(lambda: waiting() == 2, what="both fetches")
    for process in (second, first):
        process.terminate()
        _, err, code = finish(process)
        assert code == 0, err
    make(durable, "b")
    out, err, code = finish(inotifier("consume", "c", "file.completed", "-n", "1"))
    assert (paths_of(out), code) == (["b"], 0)
    assert "standing by" not in err


def test_until_empty_says_nothing_when_there_was_nothing(durable, inotifier):
    words = ("consume", "c", "file.completed", "--until-empty", "--", "true")
    make(durable, "a")
    out, err, code = finish(inotifier(*words))
    assert (out, code) == (b"", 0) and "1 done" in err
    assert finish(inotifier(*words)) == (b"", "", 0)


def test_until_empty_leaves_the_work_to_the_one_who_works(durable, inotifier, workdir):
    first = inotifier("consume", "c", "file.completed", "--", "sleep", "1000")
    make(durable, "a")
    wait_for(lambda: owned(inotifier, "c"), what="an owner")
    out, err, code = finish(inotifier("consume", "c", "--until-empty"))
    assert (out, code) == (b"", 0), err
    assert "standing by" in err
    first.terminate()
    first.terminate()


def test_files_that_are_gone_or_changed_are_skipped(durable, inotifier, workdir):
    make(durable, "gone", "same", "touched", "longer", "replaced")
    root = durable.workdir / "in"
    os.unlink(root / "gone")
    os.utime(root / "touched", ns=(1, 1))  # as cp -p does, after the file is complete
    with open(root / "longer", "ab") as file:
        file.write(b"more")
    other = root / "replaced.part"
    other.write_bytes(b"y")
    os.utime(other, ns=(5, 5))
    os.rename(other, root / "replaced")
    durable.collector.wait(path=root / "longer", count=2)
    durable.collector.wait(path=root / "replaced", count=2)
    for name, words, expected in (
        ("skips", (), ["same", "touched", "longer", "replaced"]),
        ("runs", ("--missing", "run"), None),
    ):
        log = workdir / name
        process = inotifier(
            "consume", name, "file.completed", "--until-empty", *words,
            "--", "sh", "-c", LOG, "{path}", log,
        )  # fmt: skip
        _, err, code = finish(process)
        assert code == 0, err
        seen = collections.Counter(logged(log))
        if expected:
            assert seen == collections.Counter(expected), err
            assert "4 done, 0 failed, 3 skipped" in err
        else:
            assert seen == {"gone": 1, "same": 1, "touched": 1, "longer": 2, "replaced": 2}


def test_what_is_not_mounted_is_held_not_skipped(durable, inotifier, workdir):
    make(durable, "a", "b")
    elsewhere = workdir / "elsewhere"
    elsewhere.mkdir()
    log = workdir / "log"

    def consume(root):
        words = ("consume", "c", "file.completed", "--until-empty")
        env = {**durable.env, "INOTIFIER_ROOTS": f"in={root}"}
        command = ("--", "sh", "-c", LOG, "{path}", log)
        return finish(inotifier(*words, *command, env=env))

    for root, reason in ((workdir / "missing", "No such file"), (elsewhere, "not the directory")):
        _, err, code = consume(root)
        assert code == 1
        assert reason in err and "0 done, 0 failed, 0 skipped" in err, err
    (durable.workdir / "in" / "b").unlink()
    link = workdir / "link"
    link.symlink_to(durable.workdir / "in")
    _, err, code = consume(link)
    assert code == 0 and "1 done, 0 failed, 1 skipped" in err, err
    assert logged(log) == ["a"]


def test_the_roots_of_the_environment_hold_for_printing(durable, inotifier):
    make(durable, "a")
    env = {**durable.env, "INOTIFIER_ROOTS": "in=/mnt/x"}
    words = ("consume", "c", "file.completed", "--until-empty")
    out, err, code = finish(inotifier(*words, "--format", "{path} {root}", env=env))
    assert (out, code) == (b"/mnt/x/a /mnt/x\n", 0), err
    out, err, code = finish(inotifier(*words, env={**env, "INOTIFIER_ROOTS": "/mnt/x"}))
    assert code == 2 and "WATCH=/path" in err


def test_what_could_not_be_printed_is_not_acked(durable, inotifier):
    make(durable, "a", "b")
    words = ("consume", "c", "file.completed", "--until-empty")
    with open("/dev/full", "wb") as full:
        _, err, code = finish(inotifier(*words, stdout=full))
    assert code == 1 and "ENOSPC" in err
    out, err, code = finish(inotifier(*words))
    assert (paths_of(out), code) == (["a", "b"], 0), err


def closed_streams(*numbers):
    """For preexec_fn: as a shell's <&-, >&- and 2>&-."""

    def close():
        for number in numbers:
            os.close(number)

    return close


def test_what_is_printed_to_a_closed_stream_is_not_acked(durable, inotifier):
    make(durable, "a")
    words = ("consume", "c", "file.completed", "--until-empty")
    _, err, code = finish(inotifier(*words, preexec_fn=closed_streams(1)))
    assert code == 1 and "write standard output" in err and "EBADF" in err
    out, err, code = finish(inotifier(*words))
    assert (paths_of(out), code) == (["a"], 0), err


def test_no_stream_need_be_open(durable, inotifier, workdir):
    make(durable, "a")
    command = ["cp", "{path}", str(workdir / "out")]
    words = ("consume", "c", "file.completed", "--until-empty", "--", *command)
    _, _, code = finish(inotifier(*words, preexec_fn=closed_streams(0, 1, 2)))
    assert code == 0 and (workdir / "out" / "a").exists()


def test_a_hangup_lets_running_commands_end(durable, inotifier, workdir):
    make(durable, "a")
    log = workdir / "log"
    script = 'echo begun >> "$1"; sleep 1; echo ended >> "$1"'
    process = inotifier("consume", "c", "file.completed", "--", "sh", "-c", script, "{path}", log)
    wait_for(lambda: lines_of(log) == ["begun"])
    process.send_signal(signal.SIGHUP)
    _, err, code = finish(process)
    assert code == 0 and "1 done" in err, err
    assert lines_of(log) == ["begun", "ended"]


def test_a_command_over_its_time_is_ended_with_all_it_started(durable, inotifier, workdir):
    read, write = os.pipe()
    script = f"(echo started >/dev/fd/{write}; exec sleep 1000) & wait"
    make(durable, "a")
    process = inotifier(
        "consume", "c", "file.completed", "--until-empty", "--job-timeout", "300ms",
        "--max-tries", "1", "--", "sh", "-c", script,
        pass_fds=[write],
    )  # fmt: skip
    os.close(write)
    _, err, code = finish(process)
    assert code == 1, err
    assert "timed out after 300ms" in err
    with os.fdopen(read, "rb") as file:
        assert file.read() == b"started\n"  # the end: nobody holds the other end any more
    out, _, _ = finish(inotifier("failed", "c", "--json"))
    assert json.loads(out)["reason"] == "timed out after 300ms"


def test_sigterm_lets_running_commands_end(durable, inotifier, workdir):
    fifo = workdir / "fifo"
    os.mkfifo(fifo)
    log = workdir / "log"
    make(durable, "a", "b")
    process = inotifier(
        "consume", "c", "file.completed", "--", "sh", "-c", 'echo "$0" >> "$1"; cat "$2"',
        "{path}", log, fifo,
    )  # fmt: skip
    wait_for(lambda: len(lines_of(log)) == 1, what="the first command")
    process.terminate()
    line = process.stderr.readline().decode()
    assert "waiting for 1" in line
    assert process.poll() is None
    fifo.write_bytes(b"")  # the command ends
    _, err, code = finish(process)
    assert code == 0, err
    assert "1 done" in err
    assert len(lines_of(log)) == 1
    assert not owned(inotifier, "c")
    out, _, _ = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out) == ["b"]


def test_a_second_signal_ends_them(durable, inotifier, workdir):
    make(durable, "a")
    process = inotifier(
        "consume", "c", "file.completed", "--", "sh", "-c", "echo here; exec sleep 1000"
    )
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    assert "waiting" in process.stderr.readline().decode()
    process.send_signal(signal.SIGINT)
    _, err, code = finish(process)
    assert code == 0, err
    out, _, _ = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out) == ["a"]


def test_a_command_that_was_ended_is_not_done_whatever_it_says(durable, inotifier, workdir):
    make(durable, "a")
    body = "trap 'exit 0' TERM; echo here; while :; do sleep 1000 & wait; done"
    process = inotifier("consume", "c", "file.completed", "--", "sh", "-c", body)
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGTERM)
    assert "waiting" in process.stderr.readline().decode()
    process.send_signal(signal.SIGTERM)
    _, err, code = finish(process)
    assert code == 0 and "0 done" in err
    out, _, _ = finish(inotifier("consume", "c", "--until-empty"))
    assert paths_of(out) == ["a"]


def test_the_lease_is_kept_during_a_long_command(durable, inotifier, workdir):
    fifo = workdir / "fifo"
    os.mkfifo(fifo)
    make(durable, "a")
    first = inotifier(
        "consume", "c", "file.completed", "--lease", "1s", "-n", "1", "--", "cat", fifo
    )
    wait_for(lambda: owned(inotifier, "c"), what="an owner")
    # Stands by for longer than the lease, and gets nothing.
    out, err, code = finish(inotifier("consume", "c", "--timeout", "2500ms"))
    assert (out, code) == (b"", 3), err
    fifo.write_bytes(b"")
    _, err, code = finish(first)
    assert code == 0, err
    assert "ours again" not in err


def test_a_daemon_that_is_restarted_is_found_again(durable, inotifier, workdir):
    log = workdir / "log"
    process = inotifier("consume", "c", "file.completed", "--", "sh", "-c", LOG, "{path}", log)
    make(durable, "a")
    wait_for(lambda: logged(log) == ["a"], what="a")
    durable.stop()
    (durable.workdir / "in" / "b").write_bytes(b"x")
    durable.start()
    wait_for(lambda: set(logged(log)) == {"a", "b"}, 30, what="b")
    process.terminate()
    _, err, code = finish(process)
    assert code == 0, err
    assert "connection is lost" in err


def test_a_forgotten_consumer_says_so(durable, inotifier, workdir):
    process = inotifier("consume", "c", "file.completed", "--", "true")
    make(durable, "a")
    wait_for(lambda: owned(inotifier, "c"), what="an owner")
    _, err, code = finish(inotifier("forget", "c"))
    assert code == 0, err
    _, err, code = finish(process)
    assert code == 1, err


def test_a_command_that_is_not_there(durable, inotifier):
    _, err, code = finish(inotifier("consume", "c", "--", "no-such-command", "{path}"))
    assert code == 2
    assert "no-such-command" in err


def test_the_command_gets_the_event(durable, inotifier, workdir):
    log = workdir / "log"
    script = (
        "import json, os, sys\n"
        "open(sys.argv[1], 'a').write(json.dumps([sys.argv[2], json.load(sys.stdin), "
        "dict(os.environ)]) + '\\n')"
    )
    name = "$(touch pwned); 'a b'"
    make(durable, name)
    _, err, code = finish(
        inotifier(
            "consume", "c", "file.completed", "--until-empty",
            "--", sys.executable, "-c", script, log, "{path}",
        )  # fmt: skip
    )
    assert code == 0, err
    path, event, environment = json.loads(log.read_text())
    assert path == event["data"]["path"] == environment["INOTIFIER_PATH"]
    assert path == str(durable.workdir / "in" / name)
    assert environment["INOTIFIER_TYPE"] == event["type"] == "file.completed"
    assert environment["INOTIFIER_ID"] == event["id"]
    assert environment["INOTIFIER_WATCH"] == "in"


def test_shell_example(durable, processes, workdir):
    """clients/shell/consume-each.sh, as it stands there."""
    make(durable, "a b", "c")
    path = f"{os.path.dirname(BINARY)}:{os.environ['PATH']}"
    log = workdir / "log"
    process = processes(
        [
            PROJECT / "clients" / "shell" / "consume-each.sh",
            "c",
            "sh",
            "-c",
            'echo "$1" >> "$0"',
            log,
        ],
        env={**durable.env, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _, err, code = finish(process)
    assert code == 0, err
    assert lines_of(log) == [str(durable.workdir / "in" / name) for name in ("a b", "c")]
