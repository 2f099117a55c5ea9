"""`inotifier watch`, `sub` and `check`, as people and scripts use them."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from harness import BINARY, PATIENCE, PROJECT, wait_for


@pytest.fixture
def inotifier(processes):
    def start(*words, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return processes([BINARY, *words], **options)

    return start


def watching(process, directories=1):
    """Waits until a process has so many inotify watches."""

    def found():
        assert process.poll() is None, process.stderr.read() if process.stderr else "it ended"
        count = 0
        for fd in os.listdir(f"/proc/{process.pid}/fdinfo"):
            try:
                with open(f"/proc/{process.pid}/fdinfo/{fd}") as file:
                    count += file.read().count("inotify wd:")
            except OSError:
                pass
        return count >= directories

    wait_for(found, what="the watches")
    return process


def finish(process, timeout=20):
    out, err = process.communicate(timeout=timeout * PATIENCE)
    return out, err.decode(), process.returncode


# --- watch


def test_watch_prints_json_when_piped(workdir, inotifier):
    process = watching(inotifier("watch", "-n", "2", workdir / "in"))
    (workdir / "in" / "a").write_bytes(b"1")
    (workdir / "in" / "b.part").write_bytes(b"12")
    (workdir / "in" / "b.part").rename(workdir / "in" / "b")
    out, _, code = finish(process)
    assert code == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert [e["type"] for e in events] == ["file.completed"] * 2
    assert [e["data"]["path"] for e in events] == [str(workdir / "in" / n) for n in "ab"]
    assert all(e["specversion"] == "1.0" for e in events)


def test_watch_with_nul(workdir, inotifier):
    names = [b"a\nb", b"\xff", b"c d"]
    process = watching(inotifier("watch", "-0", "-n", "3", workdir / "in"))
    for name in names:
        with open(os.fsencode(workdir / "in") + b"/" + name, "wb") as file:
            file.write(b"x")
    out, _, code = finish(process)
    assert code == 0
    assert out == b"".join(os.fsencode(workdir / "in") + b"/" + n + b"\0" for n in names)


def test_watch_with_a_format(workdir, inotifier):
    process = watching(
        inotifier("watch", "-n", "1", "--format", r"{path}\t{size}\t{evidence}", workdir / "in")
    )
    (workdir / "in" / "f").write_bytes(b"12345")
    out, _, code = finish(process)
    assert code == 0
    assert out.decode() == f"{workdir}/in/f\t5\tclose_write\n"


def test_watch_with_an_unknown_field(workdir, inotifier):
    _, err, code = finish(inotifier("watch", "--format", "{pth}", workdir / "in"))
    assert code == 2
    assert "pth" in err


def test_watch_times_out(workdir, inotifier):
    out, _, code = finish(inotifier("watch", "--timeout", "300ms", workdir / "in"))
    assert (out, code) == (b"", 3)


def test_watch_of_nothing(workdir, inotifier):
    _, err, code = finish(inotifier("watch"))
    assert code == 2
    _, err, code = finish(inotifier("watch", workdir / "nowhere", "-n", "1", "--timeout", "2s"))
    assert code in (1, 2)
    assert "nowhere" in err


def test_watch_existing(workdir, inotifier):
    (workdir / "in" / "old").write_bytes(b"x")
    out, _, code = finish(inotifier("watch", "--existing", "-n", "1", workdir / "in"))
    assert code == 0
    assert json.loads(out)["data"]["path"] == str(workdir / "in" / "old")


def test_watch_says_nothing_of_what_was_there(workdir, inotifier):
    (workdir / "in" / "old").write_bytes(b"x")
    process = watching(inotifier("watch", "-n", "1", workdir / "in"))
    (workdir / "in" / "new").write_bytes(b"x")
    out, _, code = finish(process)
    assert code == 0
    assert json.loads(out)["data"]["path"] == str(workdir / "in" / "new")


def test_watch_several_directories_with_options(workdir, inotifier):
    process = watching(
        inotifier("watch", "-n", "2", "-o", 'include=["*.dcm"]', workdir / "in", workdir / "out"),
        2,
    )
    for root in ("in", "out"):
        (workdir / root / "f.txt").write_bytes(b"x")
        (workdir / root / "f.dcm").write_bytes(b"x")
    out, _, code = finish(process)
    assert code == 0
    paths = sorted(json.loads(line)["data"]["path"] for line in out.splitlines())
    assert paths == [f"{workdir}/in/f.dcm", f"{workdir}/out/f.dcm"]


COMMAND = """
import json, os, sys
event = json.load(sys.stdin)
with open(sys.argv[1], "a") as file:
    print(json.dumps([sys.argv[2], event, dict(os.environ)]), file=file)
"""


def test_watch_runs_a_command(workdir, inotifier):
    log = workdir / "log"
    process = watching(
        inotifier(
            "watch", "-n", "2", workdir / "in", "--", sys.executable, "-c", COMMAND, log, "{path}"
        )
    )
    for name in ("a b", "$(touch pwned); 'c"):
        (workdir / "in" / name).write_bytes(b"x")
    _, err, code = finish(process)
    assert code == 0, err
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(calls) == 2
    for path, event, environment in calls:
        assert os.path.exists(path)
        assert event["type"] == "file.completed"
        assert event["data"]["path"] == path == environment["INOTIFIER_PATH"]
        assert environment["INOTIFIER_TYPE"] == event["type"]
        assert environment["INOTIFIER_ID"] == event["id"]
        assert environment["INOTIFIER_WATCH"] == event["data"]["watch"]


def test_watch_goes_on_when_a_command_fails(workdir, inotifier):
    process = watching(inotifier("watch", "-n", "3", workdir / "in", "--", "sh", "-c", "exit 9"))
    for name in "abc":
        (workdir / "in" / name).write_bytes(b"x")
    _, err, code = finish(process)
    assert code in (0, 1)
    assert "9" in err


def test_watch_with_a_command_that_is_not_there(workdir, inotifier):
    process = inotifier("watch", "-n", "1", workdir / "in", "--", "no-such-command", "{path}")
    wait_for(lambda: process.poll() is not None or watching(process))
    (workdir / "in" / "a").write_bytes(b"x")
    _, err, code = finish(process)
    assert code != 0
    assert "no-such-command" in err


def test_watch_ends_when_its_reader_does(workdir, inotifier):
    process = watching(inotifier("watch", workdir / "in"))
    process.stdout.close()
    process.stdout = None

    def ended():
        (workdir / "in" / "f").write_bytes(os.urandom(8))
        return process.poll() is not None

    wait_for(ended, what="the end of watch", interval=0.05)
    assert process.returncode in (0, -13, 141)


def test_a_hangup_ends_watch(workdir, inotifier):
    process = inotifier("watch", workdir / "in")
    wait_for(lambda: os.path.exists(f"/proc/{process.pid}/fdinfo") and blocks_hangup(process.pid))
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=10 * PATIENCE) == 0


def blocks_hangup(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        mask = next(line.split()[1] for line in status if line.startswith("SigBlk:"))
    return bool(int(mask, 16) & 1 << (signal.SIGHUP - 1))


def test_watch_ends_when_nobody_reads_though_nothing_comes(workdir, inotifier):
    process = inotifier("watch", workdir / "in")
    process.stdout.close()
    assert process.wait(timeout=10 * PATIENCE) == 0


def test_a_full_disk_is_an_error_of_what_prints():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, "check"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"ENOSPC" in done.stderr


def test_watch_leaves_nothing_behind(workdir, inotifier):
    process = watching(inotifier("watch", workdir / "in"))
    process.terminate()
    assert process.wait(1 * PATIENCE) == 0
    assert os.listdir(workdir / "in") == []


# --- sub


def connected(process):
    """Waits until a subscriber has a connection: one more local socket than it had at first."""

    def found():
        assert process.poll() is None, process.stderr.read()
        links = []
        for fd in os.listdir(f"/proc/{process.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{process.pid}/fd/{fd}"))
            except OSError:
                pass
        return sum(link.startswith("socket:") for link in links) >= 1

    wait_for(found, what="a connection")
    return process


def feed(daemon, process, names):
    """New files until the subscriber has enough and ends: it may have joined late."""
    root = daemon.workdir / "in"
    rounds = iter(range(10**6))

    def ended():
        i = next(rounds)
        for name in names:
            part = root / f"{name}{i}.part"
            part.write_bytes(b"x")
            part.rename(root / f"{name}{i}")
        return process.poll() is not None

    wait_for(ended, what="the end of sub", interval=0.05)


def test_sub(daemon, inotifier):
    process = connected(inotifier("sub", "--endpoint", daemon.endpoint, "-n", "3"))
    feed(daemon, process, ["f"])
    out, err, code = finish(process)
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert len(events) == 3


def test_sub_of_one_type_and_watch(workdir, daemons, inotifier):
    daemon = daemons(
        workdir,
        [
            {"name": "in", "path": workdir / "in", "events": ["file.completed", "in_create"]},
            {"name": "inner", "path": workdir / "out"},
        ],
    )
    process = connected(
        inotifier(
            "sub", "file.completed", "--watch", "in", "--endpoint", daemon.endpoint, "-n", "4"
        )
    )
    (workdir / "out" / "other").write_bytes(b"x")
    feed(daemon, process, ["f"])
    out, err, code = finish(process)
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert {(e["type"], e["data"]["watch"]) for e in events} == {("file.completed", "in")}


def test_sub_output_is_the_event(daemon, inotifier):
    """Decoding and re-encoding as JSON is the JSON format."""
    process = connected(
        inotifier("sub", "file.completed", "--endpoint", daemon.endpoint, "-n", "1")
    )
    feed(daemon, process, ["f"])
    out, _, code = finish(process)
    assert code == 0
    event = json.loads(out)
    (message,) = [m for m in daemon.collector.of() if m.event["id"] == event["id"]]
    assert event == message.event


def test_sub_where_nobody_listens(workdir, inotifier):
    _, err, code = finish(inotifier("sub", "--endpoint", f"ipc://{workdir}/nowhere", "-n", "1"))
    assert code == 1
    assert "nowhere" in err


def test_sub_times_out(daemon, inotifier):
    out, err, code = finish(
        inotifier("sub", "file.completed", "--endpoint", daemon.endpoint, "--timeout", "300ms")
    )
    assert code == 3, err
    assert out == b""


def test_sub_through_jq(daemon, processes, tool, inotifier):
    sub = connected(inotifier("sub", "--json", "--endpoint", daemon.endpoint, "-n", "2"))
    jq = processes(
        [tool("jq"), "-r", "--unbuffered", ".data.path"], stdin=sub.stdout, stdout=subprocess.PIPE
    )
    feed(daemon, sub, ["f"])
    out, _ = jq.communicate(timeout=10)
    assert len(out.splitlines()) == 2
    assert all(line.startswith(b"/") for line in out.splitlines())


@pytest.mark.parametrize("socket", ["publish", "fetch"])
def test_the_few_lines_of_the_readme(daemon, processes, socket):
    """Python without a client of ours, as it stands there."""
    endpoint = f"ipc:///run/inotifier/{socket}"
    readme = (PROJECT / "README.md").read_text()
    (script,) = [b for b in re.findall(r"```python\n(.*?)```", readme, re.S) if endpoint in b]
    ours = {"publish": daemon.endpoint, "fetch": daemon.fetch_endpoint}[socket]
    script = script.replace(endpoint, ours).replace("/incoming/", "/in/")
    process = processes(
        ["/usr/bin/python3", "-u", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.set_blocking(process.stdout.fileno(), False)
    text = b""
    rounds = iter(range(10**6))

    def heard():
        nonlocal text
        assert process.poll() is None, process.stderr.read().decode()
        (daemon.workdir / "in" / f"f{next(rounds)}").write_bytes(b"x")
        text += process.stdout.read() or b""
        return str(daemon.workdir / "in" / "f").encode() in text

    wait_for(heard, what="a path from the script", interval=0.05)


# --- check


def run_check(*words, environment=None):
    return subprocess.run(
        [BINARY, "check", *[str(w) for w in words]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        timeout=20 * PATIENCE,
    )


def test_check_prints_a_configuration_that_can_be_read_back(workdir):
    config = workdir / "c.toml"
    config.write_text(
        f'[publish]\nendpoint = "ipc://{workdir}/p"\n[[watch]]\nname = "in"\npath = "{workdir}/in"\n'
    )
    done = run_check("-c", config)
    assert done.returncode == 0, done.stderr.decode()
    assert "[[watch]]" in done.stdout.decode()
    again = workdir / "again.toml"
    again.write_bytes(done.stdout)
    second = run_check("-c", again)
    assert second.returncode == 0, second.stderr.decode()

    def effective(text):
        return [
            line
            for line in text.decode().splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]

    assert effective(second.stdout) == effective(done.stdout)


def test_check_as_json(workdir):
    done = run_check("--json", workdir / "in")
    assert done.returncode == 0, done.stderr.decode()
    json.loads(done.stdout)


def test_check_warns_of_a_missing_directory(workdir):
    done = run_check(workdir / "nowhere")
    assert "nowhere" in (done.stdout + done.stderr).decode()


def test_every_shipped_configuration_is_valid(workdir):
    files = sorted((PROJECT / "conf").rglob("*.toml"))
    assert files
    for file in files:
        done = run_check("-c", file)  # 1: its directory is not on this machine
        assert done.returncode in (0, 1), f"{file}: {done.stderr.decode()}"


# --- the program


def test_help_and_version():
    commands = ("run", "watch", "sub", "consume", "consumers", "forget", "seek", "failed", "retry")
    for words in (["--help"], *([command, "--help"] for command in (*commands, "status", "check"))):
        done = subprocess.run([BINARY, *words], stdout=subprocess.PIPE, timeout=10 * PATIENCE)
        assert done.returncode == 0
        assert b"inotifier" in done.stdout
    done = subprocess.run([BINARY, "--version"], stdout=subprocess.PIPE, timeout=10 * PATIENCE)
    assert done.returncode == 0
    assert re.search(rb"\d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such-verb"],
        ["run", "--no-such-option"],
        ["consume"],
        ["consume", "c", "--"],
        ["consume", "c", "--start", "middle"],
        ["consume", "c", "--lease", "1ms"],
        ["consume", "c", "--job-timeout", "long"],
        ["consume", "c", "--json", "-0"],
        ["consume", "c", "--", "no-such-command"],
        ["consumers", "--", "true"],
        ["forget"],
        ["seek", "c"],
        ["seek", "c", "yesterday"],
        ["retry", "c", "x"],
        ["failed", "c", "--format", "{pth}"],
        ["sub", "--since", "yesterday"],
        ["sub", "--until-empty"],
    ],
)
def test_usage_errors(words):
    done = subprocess.run(
        [BINARY, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10 * PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr


def test_output_for_a_person(workdir, processes, tool):
    """On a terminal: no JSON."""
    script = tool("script")
    process = processes(
        [script, "-qec", f"'{BINARY}' watch -n 1 '{workdir}/in'", "/dev/null"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    rounds = iter(range(10**6))

    def ended():
        (workdir / "in" / f"file{next(rounds)}").write_bytes(b"x" * 2048)
        return process.poll() is not None

    wait_for(ended, what="the end of watch", interval=0.1)
    text = process.stdout.read().decode()
    assert "file" in text
    assert '"specversion"' not in text
