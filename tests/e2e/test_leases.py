"""require_lease = true: a file system without leases is refused at the start; a single file that cannot
be judged ends nothing."""

import os
import subprocess

import pytest

from harness import Daemon, wait_for
from test_reload import rewrite

NOBODY = 65534


@pytest.fixture
def without_leases(workdir):
    path = workdir / "ramfs"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "ramfs", "inotifier-test", str(path)], stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"cannot mount a ramfs: {done.stderr.strip()}")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_an_unreadable_file_delays_only_itself(workdir, daemons, tool):
    if os.geteuid() != 0:
        pytest.skip("needs root, to start a daemon that may not read every file")
    for path in (workdir, workdir / "in"):
        os.chown(path, NOBODY, NOBODY)
    wrapper = [tool("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    daemon = daemons(workdir, {"require_lease": True}, wrapper=wrapper)
    (workdir / "in" / "unreadable").touch(mode=0o600)
    wait_for(lambda: "watch.degraded/in/" in daemon.told(), what="watch.degraded")
    (workdir / "in" / "readable").write_bytes(b"x")
    os.chown(workdir / "in" / "readable", NOBODY, NOBODY)
    assert daemon.collector.wait(path=workdir / "in" / "readable")
    assert daemon.process.poll() is None


def test_a_file_system_without_leases_is_refused(workdir, without_leases):
    watch = {"name": "in", "path": without_leases, "require_lease": True}
    assert "leases do not work here" in Daemon(workdir, [watch]).fail_to_start()


def test_a_reload_does_not_end_the_daemon(workdir, daemons, without_leases):
    daemon = daemons(workdir)
    first = {"name": '"in"', "path": f'"{workdir}/in"'}
    second = {"name": '"other"', "path": f'"{without_leases}"', "require_lease": "true"}
    rewrite(daemon, [first, second])
    wait_for(lambda: "watch.degraded/other/" in daemon.told(), what="watch.degraded")
    daemon.sentinel()
