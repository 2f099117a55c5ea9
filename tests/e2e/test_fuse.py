"""A FUSE file system stands for all that give no events for others' writes: bindfs mirrors a directory
that is written from behind. It is polled, and a file is finished when it was quiet."""

import json
import os
import signal
import subprocess
import time

import pytest

from harness import BINARY, nanoseconds, wait_for


@pytest.fixture
def mirror(workdir, tool):
    bindfs = tool("bindfs")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("no /dev/fuse")
    behind = workdir / "behind"
    mount = workdir / "mount"
    behind.mkdir()
    mount.mkdir()
    process = subprocess.Popen(
        [bindfs, "-f", str(behind), str(mount)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: os.path.ismount(mount) or process.poll() is not None, what="the mount")
        if process.poll() is not None:
            pytest.skip("bindfs cannot mount here")
        yield behind, mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        process.terminate()
        process.wait(timeout=10)


def start(workdir, daemons, mount):
    return daemons(
        workdir,
        {"path": mount, "poll_interval": "100ms", "events": ["file.completed", "file.removed"]},
        ready=False,
    )


def test_written_from_behind(workdir, daemons, mirror):
    behind, mount = mirror
    (behind / "old").write_bytes(b"before the start")
    daemon = start(workdir, daemons, mount)
    wait_for(lambda: "watch.degraded/in/" in daemon.told(), what="watch.degraded")
    old = daemon.collector.wait(path=mount / "old")[0]
    assert old.event["data"]["origin"] == "startup"
    (behind / "d").mkdir()
    (behind / "d" / "new").write_bytes(b"x" * 1000)
    new = daemon.collector.wait(path=mount / "d" / "new")[0]
    data = new.event["data"]
    assert (data["size"], data["evidence"], data["origin"]) == (1000, "settled", "poll")
    # Two seconds of quiet.
    assert nanoseconds(new.event["time"]) - nanoseconds(data["mtime"]) >= 2_000_000_000
    (behind / "d" / "new").unlink()
    daemon.collector.wait("file.removed", path=mount / "d" / "new")
    assert set(daemon.announced().values()) == {1}


def test_not_announced_while_it_grows(workdir, daemons, mirror):
    behind, mount = mirror
    daemon = start(workdir, daemons, mount)
    wait_for(lambda: "watch.scanned/in/" in daemon.told(), what="watch.scanned")
    with open(behind / "grows", "wb", buffering=0) as file:
        for _ in range(8):  # a slow writer: four seconds, twice the quiet time
            file.write(b"x")
            time.sleep(0.5)
        assert not daemon.collector.of(path=mount / "grows")
    assert daemon.collector.wait(path=mount / "grows")[0].event["data"]["size"] == 8


def test_dead_server_keeps_nobody_waiting(workdir, daemons, mirror):
    """The file system hangs; another watch of the same daemon goes on."""
    behind, mount = mirror
    other = workdir / "other"
    other.mkdir()
    remote = {"name": "remote", "path": mount, "poll_interval": "100ms"}
    daemon = daemons(workdir, [remote, {"name": "local", "path": other}], ready=False)
    wait_for(lambda: "watch.scanned/remote/" in daemon.told(), what="the first round")
    found = subprocess.run(
        ["pgrep", "-f", f"bindfs -f {behind}"], stdout=subprocess.PIPE, text=True
    )
    server = int(found.stdout.split()[0])
    os.kill(server, signal.SIGSTOP)
    try:
        for i in range(20):
            (other / f"f{i}").write_bytes(b"x")
            daemon.collector.wait(path=other / f"f{i}")
    finally:
        os.kill(server, signal.SIGCONT)


def test_the_root_is_a_link_to_it(workdir, daemons, mirror):
    behind, mount = mirror
    link = workdir / "link"
    link.symlink_to(mount.name)
    daemon = start(workdir, daemons, link)
    wait_for(lambda: "watch.scanned/in/" in daemon.told(), what="the first round")
    (behind / "new").write_bytes(b"x")
    daemon.collector.wait(path=link / "new")


def test_unmounted_is_lost_and_nothing_is_removed(workdir, daemons, mirror, tool):
    behind, mount = mirror
    for i in range(3):
        (behind / f"f{i}").write_bytes(b"x")
    daemon = start(workdir, daemons, mount)
    for i in range(3):
        daemon.collector.wait(path=mount / f"f{i}")
    subprocess.run(["umount", "-l", str(mount)], check=True)
    wait_for(lambda: "watch.lost/in/" in daemon.told(), what="watch.lost")
    again = subprocess.Popen([tool("bindfs"), "-f", str(behind), str(mount)])
    try:
        wait_for(lambda: "watch.restored/in/" in daemon.told(), what="watch.restored")
        (behind / "late").write_bytes(b"x")
        daemon.collector.wait(path=mount / "late")
        assert not daemon.collector.of("file.removed")
        assert set(daemon.announced().values()) == {1}
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=False)
        again.terminate()
        again.wait(timeout=10)


def test_temporary_files_that_are_gone_are_forgotten(workdir, daemons, mirror):
    behind, mount = mirror
    daemon = start(workdir, daemons, mount)
    wait_for(lambda: "watch.scanned/in/" in daemon.told(), what="the first round")
    parts = [behind / f"{i}.part" for i in range(10)]

    def in_progress():
        told = subprocess.run(
            [BINARY, "status", "--json", "--endpoint", daemon.fetch_endpoint],
            capture_output=True,
            check=True,
        )
        return json.loads(told.stdout)["watches"][0]["in_progress"]

    for part in parts:
        part.touch()
    wait_for(lambda: in_progress() == 10, what="the temporary files")
    for part in parts:
        part.unlink()
    wait_for(lambda: in_progress() == 0, what="that they are forgotten")
