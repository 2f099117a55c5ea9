"""Volumes that come and go at the root of a watch and below it, while it is watched: local ones are watched
with inotify, network and FUSE ones polled, and what they cover is there again when they have gone."""

import os
import signal
import subprocess
import time

import pytest

from harness import BINARY, wait_for


@pytest.fixture
def mounted():
    """mounted(place, "-t", "tmpfs", "none"), or mounted(place, bindfs=directory). Unmounts what is left."""
    processes, places = {}, []

    def unmount(place):
        subprocess.run(["umount", "-l", str(place)], check=True)
        places.remove(place)
        if place in processes:
            processes[place].send_signal(signal.SIGCONT)
            processes.pop(place).wait(timeout=10)

    def mount(place, *arguments, bindfs=None):
        if bindfs is None:
            done = subprocess.run(
                ["mount", *arguments, str(place)], stderr=subprocess.PIPE, text=True, check=False
            )
            if done.returncode != 0:
                pytest.skip(f"cannot mount here: {done.stderr.strip()}")
        else:
            if not os.access("/dev/fuse", os.R_OK | os.W_OK):
                pytest.skip("no /dev/fuse")
            tool, behind = bindfs
            process = subprocess.Popen(
                # fusermount of version 2 covers files only if it is told to.
                [tool, "-f", *(["-o", "nonempty"] if any(place.iterdir()) else [])]
                + [str(behind), str(place)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            processes[place] = process
            wait_for(lambda: os.path.ismount(place) or process.poll() is not None, what="the mount")
            if process.poll() is not None:
                processes.pop(place)
                pytest.skip("bindfs cannot mount here")
        places.append(place)
        return processes.get(place)

    mount.unmount = unmount  # type: ignore[attr-defined]
    yield mount
    for place in reversed(places[:]):
        if place in processes:
            processes[place].send_signal(signal.SIGCONT)
        unmount(place)


@pytest.fixture
def tree(workdir):
    root, behind = workdir / "in", workdir / "behind"
    (root / "sub").mkdir(parents=True)
    behind.mkdir()
    (root / "sub" / "before").write_bytes(b"x")
    (behind / "there").write_bytes(b"x")
    return root, behind


EVENTS = ["file.completed", "file.removed"]


def start(workdir, daemons, root, *more):
    watch = {"name": "in", "path": root, "poll_interval": "100ms", "events": EVENTS}
    daemon = daemons(workdir, [watch, *more])
    daemon.collector.wait(path=root / "sub" / "before")
    return daemon


def check_covering(daemon, covered, place, mount, unmount, write):
    """`covered`: a directory that `place` covers or is."""
    mount()
    daemon.collector.wait(path=place / "there")
    write("new")
    daemon.collector.wait(path=place / "new")
    unmount()
    wait_for(lambda: (covered / "before").exists(), what="what was covered")
    # Seen at the next look at the mounts; until then there is no watch.
    wait_for(lambda: "watch.lost/in/" in daemon.told(), what="watch.lost")
    (covered / "later").write_bytes(b"x")
    daemon.collector.wait(path=covered / "later")
    assert not daemon.collector.of("file.removed")
    assert set(daemon.announced().values()) == {1}


@pytest.mark.parametrize("place", ["sub", "."])
def test_fuse_over_a_directory(workdir, daemons, tree, mounted, tool, place):
    """Below the root, and the root."""
    root, behind = tree
    daemon = start(workdir, daemons, root)
    check_covering(
        daemon,
        root / "sub",
        root / place,
        lambda: mounted(root / place, bindfs=(tool("bindfs"), behind)),
        lambda: mounted.unmount(root / place),
        lambda name: (behind / name).write_bytes(b"x"),
    )


def test_local_volume_over_a_subdirectory(workdir, daemons, tree, mounted):
    root, _ = tree
    daemon = start(workdir, daemons, root)
    sub = root / "sub"

    def mount():
        mounted(sub, "-t", "tmpfs", "none")
        (sub / "there").write_bytes(b"x")

    check_covering(
        daemon,
        sub,
        sub,
        mount,
        lambda: mounted.unmount(sub),
        lambda name: (sub / name).write_bytes(b"x"),
    )


def test_bind_mount_over_a_subdirectory(workdir, daemons, tree, mounted):
    root, behind = tree
    daemon = start(workdir, daemons, root)
    sub = root / "sub"
    check_covering(
        daemon,
        sub,
        sub,
        lambda: mounted(sub, "--bind", str(behind)),
        lambda: mounted.unmount(sub),
        lambda name: (behind / name).write_bytes(b"x"),
    )


def test_hung_volume_below_a_local_root(workdir, daemons, tree, mounted, tool):
    root, behind = tree
    volume, other = root / "volume", workdir / "other"
    volume.mkdir()
    other.mkdir()
    server = mounted(volume, bindfs=(tool("bindfs"), behind))
    daemon = start(workdir, daemons, root, {"name": "other", "path": other})
    daemon.collector.wait(path=volume / "there")
    server.send_signal(signal.SIGSTOP)
    try:
        for i in range(10):
            for directory in (root, root / "sub", other):
                (directory / f"f{i}").write_bytes(b"x")
                daemon.collector.wait(path=directory / f"f{i}")
            time.sleep(0.3)  # some rounds of the poller, which hang
        daemon.process.terminate()
        assert daemon.process.wait(timeout=5) == 0
    finally:
        server.send_signal(signal.SIGCONT)


def test_fuse_with_the_number_of_a_local_volume(workdir, daemons, tree, mounted, tool):
    """Device numbers are given again at once: what tmpfs can be trusted with says nothing of FUSE."""
    root, behind = tree
    volume = root / "volume"
    volume.mkdir()
    mounted(volume, "-t", "tmpfs", "none")
    number = os.stat(volume).st_dev
    daemon = start(workdir, daemons, root)
    (volume / "local").write_bytes(b"x")
    daemon.collector.wait(path=volume / "local")
    mounted.unmount(volume)
    wait_for(lambda: "watch.lost/in/" in daemon.told(), what="watch.lost")
    mounted(volume, bindfs=(tool("bindfs"), behind))
    if os.stat(volume).st_dev != number:
        pytest.skip("another number was given")
    daemon.collector.wait(path=volume / "there")
    with open(behind / "slow", "wb", buffering=0) as file:
        for _ in range(6):
            file.write(b"x")
            time.sleep(0.5)
        assert not daemon.collector.of(path=volume / "slow")
    assert daemon.collector.wait(path=volume / "slow")[0].event["data"]["size"] == 6


def test_start_before_the_network_volume_is_mounted(workdir, daemons, tree, mounted, tool):
    root, behind = tree
    mount = workdir / "mount"
    mount.mkdir()
    watch = {"name": "in", "path": mount, "poll_interval": "100ms", "events": EVENTS}
    mounted(mount, bindfs=(tool("bindfs"), behind))
    daemon = daemons(workdir, watch, ready=False)
    daemon.collector.wait(path=mount / "there")
    daemon.stop()
    mounted.unmount(mount)
    daemon.start(ready=False)
    wait_for(lambda: "watch.lost/in/" in daemon.told(), what="watch.lost")
    mounted(mount, bindfs=(tool("bindfs"), behind))
    wait_for(lambda: "watch.restored/in/" in daemon.told(), what="watch.restored")
    (behind / "late").write_bytes(b"x")
    daemon.collector.wait(path=mount / "late")
    assert not daemon.collector.of("file.removed")
    assert not daemon.collector.of(path=mount / "there")


def test_files_of_a_volume_that_is_not_there_are_held(workdir, daemons, tree, mounted):
    """Its mount point is empty, but its files are not gone: the events come again."""
    root, behind = tree
    (root / "sub" / "before").unlink()
    mounted(root / "sub", "--bind", str(behind))
    daemon = daemons(workdir, [{"name": "in", "path": root}])
    daemon.collector.wait(path=root / "sub" / "there")
    mounted.unmount(root / "sub")
    daemon.collector.wait("watch.lost")
    command = [BINARY, "consume", "c", "file.completed", "--until-empty"]
    command += ["--endpoint", daemon.fetch_endpoint, "--", "echo", "{relative_path}"]

    def consume():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.split(), done.stderr

    code, paths, said = consume()
    assert code == 1 and not paths and "0 skipped" in said, said
    assert f"{root}/sub" in said and "are held" in said
    mounted(root / "sub", "--bind", str(behind))
    daemon.collector.wait("watch.restored")
    code, paths, said = consume()
    assert code == 0 and paths == ["sub/there"], said
