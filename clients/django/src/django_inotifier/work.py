"""Works on the inbox: one row, its receivers and its mark, in one transaction.

A row is claimed by a lock where the database has row locks, so that any number of processes share
the work. SQLite has none; there one process works (see sqlite.py), and its transaction begins with
a write: one that has only read when another process writes could not write any more.
"""

import collections
import datetime
import logging
import traceback
from typing import Any, Deque, Dict, Optional, Tuple

from django.db import Error, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from .answers import check_hooks
from .dispatch import dispatch
from .inbox import database
from .models import InboxEvent

logger = logging.getLogger("django_inotifier")

LONGEST_BACKOFF = datetime.timedelta(hours=1)
# After a start the first rows are marked before they run: one that ends the process (a crash in a
# C library, no memory) is then not the first again at the next start, but waits its turn.
CAREFUL_ROWS = 32
# So often one that failed goes before those that are new.
FAILED_FIRST = 10
# Where one process works, so many rows are read at once.
AHEAD = 100
# A hook of transaction.on_commit has the time until this to end, or its row runs again.
HOOKS_TIME = datetime.timedelta(minutes=5)

ENDED_MEANWHILE = "The process ended while this event's receivers ran: killed, or crashed.\n"
HOOKS_MISSING = "The process ended before the hooks of transaction.on_commit had run.\n"

Status = InboxEvent.Status


class DatabaseTrouble(Exception):
    """The database cannot be worked with just now; nothing was decided about any row."""


def backoff(tries: int) -> datetime.timedelta:
    """After so many: 1 s, 2 s, 4 s, ... an hour, for ever."""
    return min(LONGEST_BACKOFF, datetime.timedelta(seconds=2 ** min(max(tries - 1, 0), 20)))


class Worker:
    """One process's work on the inbox."""

    def __init__(self, max_tries: int = 0) -> None:
        """`max_tries`: after so many a row stays failed until somebody retries it; 0: never."""
        self.using = database()
        self.max_tries = max_tries
        self.done = 0
        self.failed = 0
        self._turn = 0
        self._careful = CAREFUL_ROWS
        self._to_note: Optional[Tuple[InboxEvent, str]] = None
        self._ahead: Deque[InboxEvent] = collections.deque()

    def run_next(self) -> bool:
        """Works on the row that is next; False if there is none. Raises DatabaseTrouble."""
        try:
            if self._to_note is not None:
                self._note_failure()
            if not self._row_locks and not self._look_ahead():
                return False
            if self._careful == 0:
                return self._run(None)
            self._careful -= 1
            row = self._mark_beforehand()
            return row is not None and self._run(row)
        except Error as error:
            raise DatabaseTrouble(str(error).strip()) from error

    def seconds_to_next(self, longest: float) -> float:
        """Until a failed row is due, at most `longest`."""
        failed = self._rows().filter(status=Status.FAILED, next_try__isnull=False)
        when = failed.order_by("next_try").values_list("next_try", flat=True).first()
        if when is None:
            return longest
        return min(longest, max(0.0, (when - timezone.now()).total_seconds()))

    def _rows(self) -> "QuerySet[InboxEvent]":
        return InboxEvent.objects.using(self.using)

    @property
    def _row_locks(self) -> bool:
        return connections[self.using].features.has_select_for_update

    def _run(self, marked: Optional[InboxEvent]) -> bool:
        """`marked`: the row to be run, whose try was counted beforehand; None: the next one. False
        if there is none."""
        row = None
        hooks = False
        try:
            with transaction.atomic(using=self.using, durable=True):
                row = self._claim(marked)
                if row is None:
                    return marked is not None or not self._row_locks
                if marked is None:
                    row.tries += 1
                hooks = self._work_on(row)
        except Exception:  # the connection is gone, or a hook of on_commit raised
            if row is None:
                raise
            self._to_note = (row, traceback.format_exc())
            self._note_failure()
            return True
        if row.status == Status.FAILED and not hooks:
            self.failed += 1
            return True
        if hooks:
            self._still_ours(row).update(**_DONE, tries=row.tries, finished=timezone.now())
        self.done += 1
        return True

    def _work_on(self, row: InboxEvent) -> bool:
        """The receivers, and the mark; whether hooks have to run after the commit."""
        connection = connections[self.using]
        before = len(connection.run_on_commit)
        try:
            with transaction.atomic(using=self.using):
                dispatch(row)
                check_hooks(hook[1] for hook in connection.run_on_commit[before:])
        except KeyboardInterrupt:
            raise  # the process is to end; the row is as it was
        except BaseException as error:  # SystemExit and asyncio.CancelledError are no Exception
            text = traceback.format_exc()
            try:
                self._fail(row, text)
            except Exception:  # the transaction is lost: what broke it is to be told
                raise error from None
            return False
        hooks = len(connection.run_on_commit) > before
        values: Dict[str, Any] = {**_DONE, "finished": timezone.now()}
        if hooks:
            # Not done before they have run: what they send would be lost with the process.
            values = _failed(HOOKS_MISSING, timezone.now() + HOOKS_TIME)
        self._rows().filter(pk=row.pk).update(**values, tries=row.tries)
        row.status = values["status"]
        return hooks

    def _fail(self, row: InboxEvent, text: str) -> None:
        values = _failed(text, self._next_try(row))
        self._still_ours(row).update(**values, tries=row.tries)
        row.status = Status.FAILED
        text = row.traceback = values["traceback"]
        logger.error("%s (inbox event %s, try %s) failed\n%s", row, row.pk, row.tries, text)

    def _next_try(self, row: InboxEvent) -> Optional[datetime.datetime]:
        if self.max_tries and row.tries >= self.max_tries:
            return None
        return timezone.now() + backoff(row.tries)

    def _note_failure(self) -> None:
        """What broke the transaction of a row; remembered until the database can be told."""
        assert self._to_note is not None
        row, text = self._to_note
        connections[self.using].close_if_unusable_or_obsolete()
        # If only the answer to the commit was lost, the row is done and stays so.
        self._fail(row, text)
        self._to_note = None
        self.failed += 1

    def _still_ours(self, row: InboxEvent) -> "QuerySet[InboxEvent]":
        return self._rows().filter(pk=row.pk, status__in=InboxEvent.OUTSTANDING)

    def _mark_beforehand(self) -> Optional[InboxEvent]:
        with transaction.atomic(using=self.using, durable=True):
            row = self._claim(None)
            if row is None:
                return None
            row.tries += 1
            values = _failed(ENDED_MEANWHILE, self._next_try(row))
            self._rows().filter(pk=row.pk).update(**values, tries=row.tries)
        return row

    def _claim(self, row: Optional[InboxEvent]) -> Optional[InboxEvent]:
        """This row, or the next one; ours until the transaction ends."""
        if self._row_locks:
            return self._claim_by_lock(row)
        if row is None:
            row = self._ahead.popleft()
        return row if self._still_ours(row).update(tries=row.tries) else None

    def _claim_by_lock(self, row: Optional[InboxEvent]) -> Optional[InboxEvent]:
        if row is not None:
            # Waits: another one that passed over this row may have locked it all the same (it was
            # pending when that one looked), until the end of its own transaction.
            return self._still_ours(row).select_for_update().first()
        skip = connections[self.using].features.has_select_for_update_skip_locked
        rows = self._rows().select_for_update(skip_locked=skip)
        self._turn += 1
        order = [_pending, _due]
        if self._turn % FAILED_FIRST == 0:
            order.reverse()
        return order[0](rows).first() or order[1](rows).first()

    def _look_ahead(self) -> bool:
        """Nobody else takes rows, so that many can be read at once; whether there are any."""
        if not self._ahead:
            rows = self._rows()
            parts = [_due(rows)[: AHEAD // FAILED_FIRST], _pending(rows)[:AHEAD]]
            if self._careful:  # one that ended the process may be due by now
                parts.reverse()
            for part in parts:
                self._ahead.extend(part)
        return bool(self._ahead)


def _pending(rows: "QuerySet[InboxEvent]") -> "QuerySet[InboxEvent]":
    return rows.filter(status=Status.PENDING).order_by(*_ORDER)


def _due(rows: "QuerySet[InboxEvent]") -> "QuerySet[InboxEvent]":
    return rows.filter(status=Status.FAILED, next_try__lte=timezone.now()).order_by(*_ORDER)


_ORDER = ("next_try", "id")  # as the index has it
_DONE = {"status": Status.DONE, "next_try": None, "traceback": ""}


def _failed(text: str, next_try: Optional[datetime.datetime]) -> Dict[str, Any]:
    # A traceback may hold what no database takes: names that are no UTF-8, NUL.
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", r"\x00")
    return {"status": Status.FAILED, "traceback": text, "next_try": next_try}
