"""What a service manager sees of the daemon (sd_notify), and the unit that asks for it."""

import re
import signal
import socket
import subprocess

import pytest

from harness import PROJECT

UNITS = [PROJECT / "conf" / "inotifier.service", PROJECT / "conf" / "inotifier-consume@.service"]


class Manager:
    """The socket of a service manager."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "200000"}

    def wait_for(self, wanted):
        """All lines up to one that is or begins with this one."""
        lines = []
        while not any(line.startswith(wanted) for line in lines):
            lines += self.socket.recv(65536).decode().splitlines()
        return lines


@pytest.fixture
def manager(workdir):
    made = Manager(workdir / "notify")
    yield made
    made.socket.close()


def test_manager_hears_of_start_life_reload_and_stop(workdir, daemons, manager):
    daemon = daemons(workdir, environment=manager.environment)
    with_first = manager.wait_for("READY=1")
    assert "STOPPING=1" not in with_first
    assert (workdir / "daemon-fetch.sock").is_socket()
    for _ in range(3):
        manager.wait_for("WATCHDOG=1")
    daemon.sentinel()
    manager.wait_for("STATUS=1 watch, 1 files known")
    daemon.signal(signal.SIGHUP)
    assert "READY=1" not in manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    daemon.signal(signal.SIGTERM)
    manager.wait_for("STOPPING=1")


def test_a_manager_that_reads_nothing_holds_up_nothing(workdir, daemons, manager):
    manager.environment["WATCHDOG_USEC"] = "2000"
    manager.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    daemon = daemons(workdir, environment=manager.environment)
    for _ in range(20):  # more than unix(7) queues for a socket that nobody reads
        daemon.sentinel()
    assert daemon.stop() == 0


def test_stopped_process_gives_no_sign_of_life(workdir, daemons, manager):
    daemon = daemons(workdir, environment=manager.environment)
    manager.wait_for("WATCHDOG=1")
    daemon.signal(signal.SIGSTOP)
    manager.socket.settimeout(1)  # five times the watchdog's patience
    with pytest.raises(TimeoutError):
        while True:
            manager.socket.recv(65536)
    daemon.signal(signal.SIGCONT)
    manager.socket.settimeout(20)
    manager.wait_for("WATCHDOG=1")


def test_units_are_valid(workdir, tool, daemon):
    """Their programs are looked for, too: the daemon's stands in for the installed one."""
    analyze = tool("systemd-analyze")
    for unit in UNITS:
        text = unit.read_text().replace("/usr/bin/inotifier", str(daemon.binary))
        copy = workdir / unit.name
        copy.write_text(text)
        done = subprocess.run(
            [analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert unit.name not in done.stderr, done.stderr


def test_unit_exposes_little(tool):
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(UNITS[0])],
        capture_output=True,
        text=True,
    )
    score = re.search(r"Overall exposure level.*: ([0-9.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    assert float(score[1]) <= 2.0, done.stdout
