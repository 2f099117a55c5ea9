"""The README's two commands, as a newcomer finds them: in a clean clone, on a bare Debian."""

import os
import pty
import select
import signal
import subprocess
import time

import pytest

from bare_debian import in_debian
from harness import wait_for

# Each builds everything once more; .ci/run is a bare machine's first ./dev test itself, and has an hour.
pytestmark = pytest.mark.skipif("CI" in os.environ, reason=".ci/run is this test, and has an hour")

BUILD_TIME = 600


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, argv, cwd):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )
        os.close(slave)
        self.text = b""

    def read(self, timeout):
        """False if nothing came."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            self.text += os.read(self.master, 65536)
        except OSError:  # the other side has closed
            return False
        return True

    def read_until(self, words, timeout):
        deadline = time.monotonic() + timeout
        while not all(w in self.text for w in words):
            assert time.monotonic() < deadline, f"{words} not in: {self.text.decode()[-3000:]}"
            if not self.read(0.1):
                assert self.process.poll() is None, self.text.decode()[-3000:]

    def press_ctrl_c(self):
        os.write(self.master, b"\x03")

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.master)


def processes_below(directory):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith(str(directory)):
                found.append(int(pid))
        except OSError:
            pass
    return found


def test_dev_run(workdir, clone):
    terminal = Terminal(["./dev", "run"], clone)
    try:
        terminal.read_until([b"Try it"], BUILD_TIME)
        attempts = iter(range(1000))

        def printed():  # the subscriber may not be listening yet
            (clone / "incoming" / f"first{next(attempts)}").write_bytes(b"1")
            terminal.read(0.1)
            return b"first" in terminal.text

        wait_for(printed, what="a file to be printed")
        (workdir / "out" / "tree").mkdir()
        (workdir / "out" / "tree" / "second").write_bytes(b"2")
        (workdir / "out" / "tree").rename(clone / "incoming" / "tree")
        terminal.read_until([b"second"], 10)
        terminal.press_ctrl_c()
        assert terminal.process.wait(10) == 0
        assert processes_below(clone) == []
    finally:
        terminal.end()


def test_dev_test_on_a_bare_debian(bare_debian, clone):
    """From nothing to ctest's summary in less than ten minutes."""
    subprocess.run(["cp", "-a", str(clone), str(bare_debian / "src")], check=True)
    done = in_debian(bare_debian, "./dev test", 900)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "100% tests passed" in done.stdout
    tail = done.stdout[done.stdout.rindex("100% tests passed") :]
    print(tail)
    # A second time nothing is installed.
    done = in_debian(bare_debian, "./dev test -R unit.storms", 300)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "installing" not in done.stdout
