"""Several processes: one that fetches, some that work, and this one, which starts them again.

This one opens nothing, so that it can fork at any time.
"""

import logging
import os
import signal
import sys
import time
from typing import Callable, Dict, List, Tuple

from django.db import connections

from .consume import IDLE, Stop

logger = logging.getLogger("django_inotifier")

AGAIN = 1.0  # seconds before one that died is started again
FATAL = 3  # exit code of one that must not be started again: its configuration is wrong

Job = Callable[[Stop], int]  # its exit code


class Supervisor:
    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._running: Dict[int, Tuple[str, Job]] = {}
        self._due: List[Tuple[float, str, Job]] = []
        self._result = 0

    def start(self, name: str, job: Job) -> None:
        connections.close_all()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._running[pid] = (name, job)
            return
        code = 1
        try:
            with Stop() as stop:
                code = job(stop)
        except KeyboardInterrupt:
            pass
        except BaseException:
            logger.exception("%s ended", name)
        finally:
            connections.close_all()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)  # nothing of the parent's is to be run here

    def wait(self, once: bool = False) -> int:
        """Until SIGTERM (`once`: until all have ended by themselves); the worst exit code."""
        told = False
        while self._running or (self._due and not self._stop.asked):
            self._reap(once)
            self._start_due()
            if self._stop.asked and not told:
                told = True
                for pid in self._running:
                    os.kill(pid, signal.SIGTERM)
            if self._running:
                time.sleep(0.02 if told else IDLE / 5)
            else:
                self._stop.wait(IDLE / 5)
        return self._result

    def _reap(self, once: bool) -> None:
        for pid in list(self._running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            name, job = self._running.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if code in (0, FATAL) or self._stop.asked or (once and code == 1):
                self._result = max(self._result, min(abs(code), 1))
                if code == FATAL:
                    self._stop.ask()
                continue
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            logger.error("%s ended with %s; it is started again", name, how)
            self._due.append((time.monotonic() + AGAIN, name, job))

    def _start_due(self) -> None:
        due, self._due = self._due, []
        for when, name, job in due:
            if self._stop.asked:
                continue
            if time.monotonic() < when:
                self._due.append((when, name, job))
            else:
                self.start(name, job)
