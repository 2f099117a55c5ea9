"""What SQLite needs: one process at a time works on the inbox, and few waits for the disk."""

import contextlib
import fcntl
from typing import IO, Any, Iterator, Optional

from django.db import connections
from django.db.backends.signals import connection_created

from .inbox import database


class OneProcess:
    """A lock on a file beside the database, since SQLite has no row locks. Free where the database
    has some, or is in memory."""

    def __init__(self) -> None:
        connection = connections[database()]
        name = str(connection.settings_dict.get("NAME") or "")
        memory = not name or ":memory:" in name or "mode=memory" in name
        needed = not connection.features.has_select_for_update and not memory
        self.path = f"{name}-inotifier.lock" if needed else None
        self._file: Optional[IO[str]] = None

    def take(self) -> bool:
        """Whether it is ours. Ends with the process, however that ends."""
        if self.path is None or self._file is not None:
            return True
        # No database file: closing one of those would drop SQLite's own locks on it.
        file = open(self.path, "a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def give(self) -> None:
        """The file stays: who removed it could remove that of the next one."""
        if self._file is not None:
            self._file.close()
            self._file = None


def has_wal(using: str) -> bool:
    """Whether an SQLite database has write-ahead logging; true for other databases."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return True
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return bool(cursor.fetchone()[0].lower() in ("wal", "memory"))


@contextlib.contextmanager
def not_waiting_for_the_disk() -> Iterator[None]:
    """With write-ahead logging a commit of this process's need not wait for the disk: what a power
    cut takes back, rows, marks, the receivers' work and the cursor alike, is fetched again from
    that cursor."""

    def ease(sender: Any, connection: Any, **kwargs: Any) -> None:
        if connection.alias == using and connection.vendor == "sqlite" and has_wal(using):
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA synchronous=NORMAL")

    using = database()
    if connections[using].vendor == "sqlite" and not connections[using].in_atomic_block:
        connections[using].close()
    connection_created.connect(ease)
    try:
        yield
    finally:
        connection_created.disconnect(ease)
