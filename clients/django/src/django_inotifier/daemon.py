"""The daemon of a site that runs its own: written, started, stopped and asked after."""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import time
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

import inotifier

from .conf import Config
from .toml import configuration

STARTING = 10.0  # seconds until it has to answer
STOPPING = 10.0
INTERVAL = 0.02


class DaemonError(Exception):
    """The message is for a person, with what the daemon said."""


class Running(NamedTuple):
    pid: int
    started: str  # as proc(5) has it: another process with this pid has another one


class OwnDaemon:
    """The daemon of DAEMON: its files lie in DIRECTORY."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.directory: pathlib.Path = config.daemon.directory
        self.file = self.directory / "inotifier.toml"
        self.pid_file = self.directory / "pid"
        self.log = self.directory / "log"

    def start(self) -> Tuple[int, str]:
        """Its pid, and "started", "told of a new configuration" or "runs already". Returns when it
        answers. Raises DaemonError."""
        if not self.config.daemon.watches:
            raise DaemonError(
                'DAEMON of INOTIFIER has no WATCHES: {"WATCHES": [{"path": "/srv/incoming"}]}'
            )
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            changed = self._write()
            running = self.running()
            if running is None:
                return self._run(), "started"
            if changed:
                os.kill(running.pid, signal.SIGHUP)
                return running.pid, "told of a new configuration"
            return running.pid, "runs already"

    def stop(self) -> Optional[int]:
        """The pid that it had; None if it did not run. Raises DaemonError."""
        running = self.running()
        if running is None:
            return None
        os.kill(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOPPING
        while self.running() == running:
            if time.monotonic() > deadline:
                raise DaemonError(
                    f"{running.pid} is still there {STOPPING:.0f} s after SIGTERM; kill -9 "
                    f"{running.pid} loses nothing"
                )
            time.sleep(INTERVAL)
        self.pid_file.unlink(missing_ok=True)
        return running.pid

    def running(self) -> Optional[Running]:
        """As the pid file has it, if that process is still the same."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (OSError, ValueError):
            return None
        found = Running(int(pid), started)
        return found if _start_time(found.pid) == started else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.directory / "lock", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self) -> bool:
        """Whether the configuration is another than before. A wrong one leaves the old one."""
        text = configuration(self.config)
        with contextlib.suppress(OSError):
            if self.file.read_text() == text:
                return False
        new = self.file.with_name("inotifier.new.toml")
        new.write_text(text)
        done = self._call("check", "-c", new)
        if done.returncode != 0 and done.stderr.strip():
            raise DaemonError(f"the daemon does not take its configuration:\n{done.stderr.strip()}")
        new.replace(self.file)
        return True

    def _call(self, *words: Any) -> "subprocess.CompletedProcess[str]":
        binary = self.config.daemon.binary
        try:
            return subprocess.run(
                [binary, *map(str, words)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise DaemonError(
                f"{binary}: {error.strerror}: BINARY in DAEMON of INOTIFIER is the daemon's path"
            ) from None

    def _run(self) -> int:
        said = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [self.config.daemon.binary, "run", "-c", str(self.file)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        self.pid_file.write_text(f"{process.pid} {_start_time(process.pid)}\n")
        deadline = time.monotonic() + STARTING
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                how = "ended" if process.poll() is not None else "does not answer"
                with open(self.log, errors="replace") as file:
                    file.seek(said)
                    text = file.read()[-3000:].strip()
                raise DaemonError(f"the daemon {how}:\n{text}\n(all of it is in {self.log})")
            time.sleep(INTERVAL)
        return process.pid

    def _answers(self) -> bool:
        try:
            ask(self.config, 0.2)
        except (inotifier.NothingListens, inotifier.NoAnswer, inotifier.NotInotifier):
            return False  # the last is also who listens already and does not answer yet
        return True


def ask(config: Config, patience: float = 1.0) -> Tuple[Dict[str, Any], Optional[Dict[str, Any]]]:
    """What the daemon says of itself, and of our consumer (None if it has none). Raises
    inotifier.Error after about `patience` seconds."""
    with inotifier.Requester(
        config.endpoint,
        server_key=config.server_key,
        key=config.key,
        connect_timeout=patience,
    ) as requester:
        status = requester.request("status", timeout=patience)
        consumers = requester.request("consumers", timeout=patience).get("consumers") or ()
    ours = [each for each in consumers if each.get("name") == config.consumer]
    return status, ours[0] if ours else None


def _start_time(pid: int) -> Optional[str]:
    """None if there is no such process, or only what is left of it."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _environment() -> Dict[str, str]:
    """Variables go before the file in the daemon; here the setting holds."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INOTIFIER_")}
