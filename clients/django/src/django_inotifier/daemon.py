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

from . import conf
from .conf import Config
from .own_rules import environment
from .toml import configuration

STARTING = 10.0  # seconds until it has to answer
STOPPING = 10.0
CHECKING = 60.0  # it looks at the directories
INTERVAL = 0.02


class DaemonError(Exception):
    """The message is for a person, with what the daemon said."""


class Running(NamedTuple):
    pid: int
    started: str  # as proc(5) has it: another process with this pid has another one


class OwnDaemon:
    """The daemon of DAEMON: its files lie in DIRECTORY."""

    def __init__(self, config: Optional[Config] = None) -> None:
        """Without `config` it can be stopped, whatever the setting has become."""
        self.config = config
        self.directory = config.daemon.directory if config else conf.daemon_directory()
        self.file = self.directory / "inotifier.toml"
        self.pid_file = self.directory / "pid"
        self.log = self.directory / "log"

    def start(self) -> Tuple[int, str]:
        """Its pid, and "started", "told of a new configuration" or "runs already". Returns when it
        answers. Raises DaemonError."""
        assert self.config is not None
        if not self.config.daemon.watches:
            raise DaemonError(
                'DAEMON of INOTIFIER has no WATCHES: {"WATCHES": [{"path": "/srv/incoming"}]}'
            )
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                return self._start(self.config)
        except OSError as error:
            where = error.filename or self.directory
            raise DaemonError(
                f"{where}: {error.strerror}: DIRECTORY in DAEMON of INOTIFIER is a directory that "
                "this user can write to"
            ) from None

    def _start(self, config: Config) -> Tuple[int, str]:
        changed = self._write(config)
        running = self.running()
        if running is None:
            return self._run(config), "started"
        if changed:
            os.kill(running.pid, signal.SIGHUP)
            return running.pid, "told of a new configuration"
        return running.pid, "runs already"

    def stop(self) -> Optional[int]:
        """The pid that it had; None if it did not run. Raises DaemonError."""
        running = self.running()
        if running is None:
            return None
        try:
            os.kill(running.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise DaemonError(f"{running.pid} was started by another user") from None
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

    def _write(self, config: Config) -> bool:
        """Whether the configuration is another than before. A wrong one leaves the old one."""
        text = configuration(config)
        with contextlib.suppress(FileNotFoundError):
            if self.file.read_text(errors="replace") == text:
                return False
        new = self.file.with_name("inotifier.new.toml")
        new.write_text(text)
        with self._binary(config):
            done = subprocess.run(
                [config.daemon.binary, "check", "-c", str(new)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=CHECKING,
            )
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode != 0 and said:
            raise DaemonError(f"the daemon does not take its configuration:\n{said}")
        new.replace(self.file)
        return True

    @contextlib.contextmanager
    def _binary(self, config: Config) -> Iterator[None]:
        """What goes wrong in here is BINARY's fault."""
        binary = config.daemon.binary
        try:
            yield
        except OSError as error:
            why = error.strerror
        except subprocess.TimeoutExpired:
            why = "it does not end"
        else:
            return
        raise DaemonError(f"{binary}: {why}: BINARY in DAEMON of INOTIFIER is the daemon's path")

    def _run(self, config: Config) -> int:
        said = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log, self._binary(config):
            process = subprocess.Popen(
                [config.daemon.binary, "run", "-c", str(self.file)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        try:
            self.pid_file.write_text(f"{process.pid} {_start_time(process.pid)}\n")
            self._wait_until_it_answers(config, process, said)
        except BaseException:
            process.terminate()  # nothing is left that nobody reaches
            raise
        return process.pid

    def _wait_until_it_answers(
        self, config: Config, process: "subprocess.Popen[bytes]", said: int
    ) -> None:
        deadline = time.monotonic() + STARTING
        while True:
            try:
                ask(config, 0.2)
                return
            except inotifier.Error as error:
                # NotInotifier is also one that listens already and does not answer yet.
                if isinstance(error, (inotifier.HandshakeRefused, inotifier.BadKey)):
                    deadline = 0
                reason = f"does not answer: {error}"
            if process.poll() is not None:
                reason = "ended"
            if process.poll() is not None or time.monotonic() > deadline:
                with open(self.log, errors="replace") as file:
                    file.seek(said)
                    text = file.read()[-3000:].strip()
                raise DaemonError(f"the daemon {reason}\n{text}\n(all of it is in {self.log})")
            time.sleep(INTERVAL)


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
