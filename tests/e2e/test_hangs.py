"""Something does not answer: only that waits, and SIGTERM ends the daemon within a second."""

import os
import signal
import subprocess
import sys
import time

import pytest

from durable import Service
from harness import BINARY, PATIENCE, wait_for
from test_reload import rewrite


class Volume:
    """A FUSE file system whose server can be stopped."""

    def __init__(self, bindfs, behind, mount):
        self.mount = mount
        self.process = subprocess.Popen(
            [bindfs, "-f", str(behind), str(mount)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(
            lambda: os.path.ismount(mount) or self.process.poll() is not None, what="the mount"
        )
        if self.process.poll() is not None:
            pytest.skip("bindfs cannot mount here")

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        subprocess.run(["umount", "-l", str(self.mount)], check=False)
        self.go_on()
        self.process.terminate()
        self.process.wait(timeout=10)


@pytest.fixture
def volume(workdir, tool):
    """Mounted below the watched directory."""
    bindfs = tool("bindfs")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse")
    (workdir / "behind").mkdir()
    (workdir / "in" / "volume").mkdir()
    volume = Volume(bindfs, workdir / "behind", workdir / "in" / "volume")
    yield volume
    volume.end()


def seconds_to_end(daemon):
    begin = time.monotonic()
    assert daemon.stop() == 0
    return time.monotonic() - begin


def test_sigterm_while_a_volume_hangs(workdir, daemons, volume):
    daemon = daemons(workdir)
    volume.hang()
    # It looks at the root and what is mounted below once a second.
    daemon.signal(signal.SIGUSR1)
    time.sleep(1)
    assert seconds_to_end(daemon) < 1.2 * PATIENCE


SCANNER = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
CONTENT, OPEN_PERM, ON_CHILD, ADD, ALLOW = 0x4, 0x10000, 0x08000000, 0x1, 0x1
fd = libc.fanotify_init(CONTENT | 1, os.O_RDONLY)
mark = libc.fanotify_mark
mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
if fd < 0 or mark(fd, ADD, OPEN_PERM | ON_CHILD, -100, sys.argv[1].encode()):
    sys.exit(f"fanotify: {os.strerror(ctypes.get_errno())}")
print("ready", flush=True)
held, holds = [], True
while True:
    data, at = os.read(fd, 4096), 0
    while at < len(data):
        length, _, _, _, _, file, pid = struct.unpack_from("IBBHQii", data, at)
        at += length
        name = os.path.basename(os.readlink(f"/proc/self/fd/{file}"))
        with open(f"/proc/{pid}/comm") as comm:
            if holds and name.startswith("held") and comm.read().startswith("inotifier"):
                held.append(file)
                continue
        if name == "release":
            for one in held:
                os.write(fd, struct.pack("iI", one, ALLOW))
                os.close(one)
            held, holds = [], False
        os.write(fd, struct.pack("iI", file, ALLOW))
        os.close(file)
"""


@pytest.fixture
def scanner(workdir):
    """An on-access scanner: open(2) of what is called held* waits until `release` is opened.

    From then on it holds none: what was outdated while it waited is opened once more."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCANNER, str(workdir / "in")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdout.readline() != "ready\n":
        pytest.skip(process.communicate()[1].strip())
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


def unanswered(daemon):
    return Service(daemon.fetch_endpoint).request("status")["unanswered"]


def test_a_file_that_cannot_be_opened_delays_only_itself(workdir, daemons, scanner):
    daemon = daemons(workdir)
    root = workdir / "in"
    (root / "held-1").write_bytes(b"x")
    wait_for(lambda: unanswered(daemon), what="status to name it")
    (told,) = unanswered(daemon)
    assert (told["watch"], told["path"], told["call"]) == ("in", str(root / "held-1"), "open")
    text = subprocess.run(
        [daemon.binary, "status", "--endpoint", daemon.fetch_endpoint],
        capture_output=True,
        text=True,
    ).stdout
    assert f"{root}/held-1: no answer to open" in text
    for i in range(100):
        (root / f"f{i}").write_bytes(b"x")
    daemon.sentinel()
    for i in range(10):
        (root / f"held-more-{i}").write_bytes(b"x")
    daemon.signal(signal.SIGUSR1)
    daemon.sentinel()
    wait_for(lambda: len(unanswered(daemon)) == 11, what="status to name them all")
    assert not any(b"held" in path for path in daemon.announced())
    (root / "release").write_bytes(b"x")
    daemon.collector.wait(path=root / "held-1")
    daemon.sentinel()
    names = ["held-1", "release"]
    names += [f"f{i}" for i in range(100)] + [f"held-more-{i}" for i in range(10)]
    wanted = {os.fsencode(root / name) for name in names}
    wait_for(lambda: wanted <= set(daemon.announced()), what="all that was held")
    assert daemon.announced() == dict.fromkeys(wanted, 1)
    wait_for(lambda: not unanswered(daemon), what="status to name none")


def test_sigterm_while_a_file_cannot_be_opened(workdir, daemons, scanner):
    daemon = daemons(workdir)
    for i in range(3):
        (workdir / "in" / f"held{i}").write_bytes(b"x")
    daemon.sentinel()
    wait_for(lambda: len(unanswered(daemon)) == 3, what="status to name them")
    assert seconds_to_end(daemon) < 1.2 * PATIENCE


def test_a_file_that_cannot_be_opened_at_the_start(workdir, daemons, scanner):
    """The scan ends, and is reported, without it."""
    root = workdir / "in"
    for name in ("held", "there"):
        (root / name).write_bytes(b"x")
    daemon = daemons(workdir)
    daemon.collector.wait(path=root / "there")
    wait_for(lambda: "watch.scanned/in/" in daemon.told(), what="watch.scanned")
    assert unanswered(daemon)
    (root / "release").write_bytes(b"x")
    daemon.collector.wait(path=root / "held")


def test_status_names_a_volume_that_hangs(workdir, daemons, volume):
    """Below a local root; files beside it are announced meanwhile."""
    daemon = daemons(workdir, {"poll_interval": "100ms"})
    (volume.mount / "first").write_bytes(b"x")
    daemon.collector.wait(path=volume.mount / "first", timeout=20)
    volume.hang()
    (told,) = wait_for(lambda: unanswered(daemon), timeout=20, what="status to name it")
    assert told["path"] == str(volume.mount)
    daemon.sentinel()
    volume.go_on()
    wait_for(lambda: not unanswered(daemon), what="status to name none")


def test_start_and_reload_while_a_root_hangs(workdir, daemons, volume):
    """Neither needs an answer of a volume whose server is dead; the other watches go on."""
    volume.hang()
    other = workdir / "other"
    other.mkdir()
    watches = [{"name": "other", "path": other}, {"name": "remote", "path": volume.mount}]
    daemon = daemons(workdir, watches, ready=False)
    wait_for(lambda: "watch.ready/other/" in daemon.told(), what="the watch that answers")
    daemon.sentinel()
    rewrite(
        daemon,
        [
            {"name": '"other"', "path": f'"{other}"', "stalled_after": '"2h"'},
            {"name": '"remote"', "path": f'"{volume.mount}"'},
        ],
    )
    daemon.sentinel()
    assert seconds_to_end(daemon) < 1.2 * PATIENCE


def test_a_consumer_goes_on_while_the_volume_of_another_watch_hangs(workdir, daemons, volume):
    """It asks whether each file is still there, which lstat(2) may not answer."""
    watches = [
        {"name": "local", "path": workdir / "local"},
        {"name": "remote", "path": volume.mount, "poll_interval": "100ms", "settle": "1s"},
    ]
    (workdir / "local").mkdir()
    daemon = daemons(workdir, watches)
    (volume.mount / "a").write_bytes(b"x")
    daemon.collector.wait(path=volume.mount / "a", timeout=20)
    (workdir / "local" / "b").write_bytes(b"x")
    daemon.collector.wait(path=workdir / "local" / "b")
    volume.hang()
    look = [
        "timeout",
        "-s",
        "KILL",
        "0.3",
        "stat",
        volume.mount / "a",
    ]  # the kernel's answer expires
    wait_for(lambda: subprocess.run(look, stdout=subprocess.DEVNULL, check=False).returncode != 0)
    words = ["consume", "c", "file.completed", "--endpoint", daemon.fetch_endpoint]
    log = workdir / "log"
    consumer = subprocess.Popen(
        [BINARY, *words, "--", "sh", "-c", 'echo "$1" >> "$2"', "sh", "{relative_path}", log]
    )
    try:
        wait_for(lambda: log.exists() and log.read_text() == "b\n", what="the other watch's file")
        consumer.terminate()
        assert consumer.wait(timeout=10 * PATIENCE) == 0
    finally:
        volume.go_on()
        consumer.kill()
        consumer.wait()
