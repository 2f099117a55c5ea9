"""SIGTERM, SIGINT and SIGHUP as the end of a loop: the consumer is given up, and the next process
need not wait until its lease has run out.

The first one ends the loop when its body is through, the second is KeyboardInterrupt at once. What
is ignored (nohup) stays ignored. Handlers are those of the process: they are installed with the
first consumer that wants them, and what was before is put back after the last one, and in children.
"""

import contextlib
import os
import signal
import socket
import threading
from typing import Any, Dict, List

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_active: "List[StopSignals]" = []
_before: Dict[int, Any] = {}


class StopSignals:
    def __init__(self) -> None:
        """Raises ValueError outside of the main thread."""
        self.asked = False
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(
                "stop_signals: signals come to the main thread; make the consumer there, or leave "
                "it out"
            )
        self._there, self._here = socket.socketpair()
        self._there.setblocking(False)
        if not _active:
            _install()
        _active.append(self)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._here.fileno()

    def ask(self) -> None:
        self.asked = True
        with contextlib.suppress(OSError):
            self._there.send(b"s")

    def close(self) -> None:
        if self in _active:
            _active.remove(self)
            if not _active:
                _put_back()
        self._there.close()
        self._here.close()


def _install() -> None:
    for number in SIGNALS:
        handler = signal.getsignal(number)
        if handler is not None and handler != signal.SIG_IGN:
            _before[number] = handler
            signal.signal(number, _on_signal)


def _put_back() -> None:
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()


def _on_signal(_number: int, _frame: Any) -> None:
    if all(stop.asked for stop in _active):
        raise KeyboardInterrupt
    for stop in _active:
        stop.ask()


def _in_child() -> None:
    # A client is not for a child: a signal to it concerns it alone.
    if _active and threading.current_thread() is threading.main_thread():
        _put_back()
    while _active:
        stop = _active.pop()
        stop._there.close()
        stop._here.close()


os.register_at_fork(after_in_child=_in_child)
