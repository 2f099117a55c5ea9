"""The root goes away and comes back."""

import os
import subprocess

import pytest

from harness import wait_for


def test_missing_at_the_start(workdir, daemons):
    root = workdir / "later"
    daemon = daemons(workdir, {"path": root}, ready=False)
    wait_for(lambda: "watch.lost/in/" in daemon.told(), what="watch.lost")
    (root / "d").mkdir(parents=True)
    (root / "d" / "f").write_bytes(b"x")
    daemon.collector.wait(path=root / "d" / "f")
    (root / "live").write_bytes(b"x")
    daemon.collector.wait(path=root / "live")


def test_deleted_and_made_again(workdir, daemon):
    root = workdir / "in"
    (root / "f").write_bytes(b"x")
    daemon.collector.wait(path=root / "f")
    (root / "f").unlink()
    root.rmdir()
    daemon.collector.wait("watch.lost")
    root.mkdir()
    (root / "f").write_bytes(b"other")
    daemon.collector.wait("watch.restored")
    daemon.collector.wait(path=root / "f", count=2)
    daemon.sentinel()
    assert not daemon.announced(type="file.removed")


def test_renamed_away_and_back(workdir, daemon):
    root = workdir / "in"
    (root / "f").write_bytes(b"x")
    daemon.collector.wait(path=root / "f")
    root.rename(workdir / "elsewhere")
    daemon.collector.wait("watch.lost")
    (workdir / "elsewhere" / "g").write_bytes(b"x")
    (workdir / "elsewhere").rename(root)
    daemon.collector.wait("watch.restored")
    daemon.collector.wait(path=root / "g")
    daemon.sentinel()
    assert daemon.announced()[os.fsencode(root / "f")] == 1
    assert not daemon.announced(type="file.removed")


def test_replaced_at_once(workdir, daemon):
    root = workdir / "in"
    other = workdir / "other"
    other.mkdir()
    (other / "g").write_bytes(b"x")
    root.rename(workdir / "old")
    other.rename(root)
    daemon.collector.wait(path=root / "g")
    (workdir / "old" / "h").write_bytes(b"x")
    (root / "live").write_bytes(b"x")
    daemon.collector.wait(path=root / "live")
    daemon.sentinel()
    assert os.fsencode(root / "h") not in daemon.announced()
    assert os.fsencode(workdir / "old" / "h") not in daemon.announced()


def test_parent_renamed(workdir, daemons):
    """There is no event for this at all."""
    parent = workdir / "a"
    root = parent / "b"
    root.mkdir(parents=True)
    daemon = daemons(workdir, {"path": root})
    parent.rename(workdir / "c")
    daemon.collector.wait("watch.lost")
    (workdir / "c").rename(parent)
    daemon.collector.wait("watch.restored")
    (root / "f").write_bytes(b"x")
    daemon.collector.wait(path=root / "f")


def test_mounted_over_and_unmounted(workdir, daemons):
    if os.geteuid() != 0 or os.system("unshare -m true 2>/dev/null") != 0:
        pytest.skip("only root can mount")
    root = workdir / "in"
    daemon = daemons(workdir, wrapper=["unshare", "-m", "--propagation", "private"])
    inside = ["nsenter", "-m", "-t", str(daemon.process.pid)]
    (root / "f").write_bytes(b"x")
    daemon.collector.wait(path=root / "f")
    subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", str(root)], check=True)
    subprocess.run([*inside, "sh", "-c", f"echo mounted > {root}/g"], check=True)
    daemon.collector.wait(path=root / "g")
    subprocess.run([*inside, "umount", str(root)], check=True)
    wait_for(
        lambda: daemon.collector.of("watch.lost") or daemon.collector.of("watch.restored"),
        what="watch.lost or watch.restored",
    )
    (root / "h").write_bytes(b"x")
    daemon.collector.wait(path=root / "h")
    daemon.sentinel()
    assert daemon.announced()[os.fsencode(root / "f")] == 1
    assert not daemon.announced(type="file.removed")


def test_mount_point_below(workdir, daemons):
    if os.geteuid() != 0 or os.system("unshare -m true 2>/dev/null") != 0:
        pytest.skip("only root can mount")
    volume = workdir / "in" / "volume"
    volume.mkdir()
    daemon = daemons(workdir, wrapper=["unshare", "-m", "--propagation", "private"])
    inside = ["nsenter", "-m", "-t", str(daemon.process.pid)]
    subprocess.run([*inside, "mount", "-t", "tmpfs", "tmpfs", str(volume)], check=True)
    subprocess.run([*inside, "sh", "-c", f"echo mounted > {volume}/f"], check=True)
    daemon.collector.wait(path=volume / "f")
    subprocess.run([*inside, "sh", "-c", f"echo live > {volume}/g"], check=True)
    daemon.collector.wait(path=volume / "g")
    subprocess.run([*inside, "umount", str(volume)], check=True)
    daemon.collector.wait("watch.lost")
    daemon.sentinel()
    assert not daemon.announced(type="file.removed")


def test_root_through_a_symbolic_link(workdir, daemons):
    link = workdir / "link"
    link.symlink_to(workdir / "in")
    daemon = daemons(workdir, {"path": link})
    (link / "f").write_bytes(b"x")
    daemon.collector.wait(count=1)
    daemon.sentinel()
    assert sum(daemon.announced().values()) == 1
