"""Something does not answer: only that waits, and SIGTERM ends the daemon within a second."""

import os
import signal
import subprocess
import time

import pytest

from harness import PATIENCE, wait_for


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
