"""A large tree: as quick as inotifywait, and small in memory."""

import subprocess
import time

import pytest

from harness import SANITIZED, Daemon, wait_for, write


@pytest.fixture
def tree(workdir):
    """50,000 directories and 300,000 files."""
    with open("/proc/sys/fs/inotify/max_user_watches") as file:
        if int(file.read()) < 60000:
            pytest.skip("fs.inotify.max_user_watches is below 60000")
    root = workdir / "in"
    for i in range(100):
        top = root / f"t{i}"
        top.mkdir()
        write("bulk", 3000, 499, top, "--bytes", 0)
    return root


def time_of_inotifywait(program, root):
    """Seconds until inotifywait says "Watches established."."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [program, "-m", "-r", "-e", "close_write", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if "Watches established" in line:
                return time.monotonic() - begin
        raise AssertionError("inotifywait did not establish its watches")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def time_of_daemon(daemon):
    begin = time.monotonic()
    daemon.start(ready=False)
    (message,) = wait_for(lambda: daemon.collector.of("watch.ready"), 120, "watch.ready")
    return message.mono / 1e9 - begin


def test_tree_is_watched_as_quickly_as_by_inotifywait(workdir, tree, tool):
    if SANITIZED:
        pytest.skip("measures time and memory")
    inotifywait = tool("inotifywait")
    time_of_inotifywait(inotifywait, tree)  # the directories come into the cache
    peer = min(time_of_inotifywait(inotifywait, tree) for _ in range(3))
    for existing in ("ignore", "announce"):
        ours = []
        for i in range(3):
            daemon = Daemon(
                workdir,
                [{"name": "in", "path": tree, "existing": existing}],
                log={"level": "info"},
                publish={
                    "endpoint": f"ipc://{workdir}/daemon.sock",
                    "heartbeat": "200ms",
                    "high_water_mark": 1000000,
                },
            )
            try:
                ours.append(time_of_daemon(daemon))
                daemon.collector.wait("watch.scanned", timeout=120)
                rss = daemon.rss()
                assert rss < 60 << 20, f"{rss / (1 << 20):.0f} MB"
                path = tree / "t99" / "b498" / f"live-{existing}-{i}"
                path.write_bytes(b"x")
                daemon.collector.wait(path=path, timeout=30)
            finally:
                daemon.stop(10)
                daemon.collector.stop()
        print(f"{existing}: {min(ours):.2f} s, inotifywait {peer:.2f} s, {rss >> 20} MB")
        assert min(ours) <= 1.5 * peer
