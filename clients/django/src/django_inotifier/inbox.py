"""From the daemon into the database: the events of a fetch and the cursor, in one transaction."""

import datetime
import logging
from typing import List, NamedTuple, Optional, Sequence, Tuple

import inotifier
from django.conf import settings
from django.db import IntegrityError, router, transaction
from django.utils import timezone

from . import signals
from .models import Cursor, InboxEvent

logger = logging.getLogger("django_inotifier")

_LOOK_UP = 500  # ids in one query; SQLite takes 999 parameters at least


class Place(NamedTuple):
    stream: str
    position: str


class CursorMoved(Exception):
    """The cursor in the database is not where we left it: a backup was restored, or another process
    has the consumer."""


def database() -> str:
    return router.db_for_write(InboxEvent)


def read_cursor(consumer: str) -> Optional[Place]:
    row = Cursor.objects.using(database()).filter(consumer=consumer).first()
    return Place(row.stream, row.position) if row else None


def store(
    consumer: str,
    expected: Optional[Place],
    reached: Place,
    events: Sequence[inotifier.Event],
    lost: Optional[Tuple[str, str]] = None,
) -> List[InboxEvent]:
    """Commits the rows that are new, and the cursor at `reached`; the new rows.

    `expected` is the cursor as this process knows it. Raises CursorMoved if it is another one by
    now; nothing is stored then.
    """
    rows = [make_row(event) for event in events]
    if lost is not None:
        rows.insert(0, make_row(_gap_event(consumer, reached.stream, lost)))
    using = database()
    # Durable: what is acknowledged after this must not be part of a transaction that is still open.
    with transaction.atomic(using=using, durable=True):
        _move_cursor(consumer, expected, reached, using)
        fresh = _new_ones(rows, using)
        # A plain INSERT: with OR IGNORE a row that breaks another rule would vanish silently. That
        # nobody else inserts the same now, the row of the cursor sees to: it is locked.
        InboxEvent.objects.using(using).bulk_create(fresh)
    if lost is not None:
        logger.warning("events from %s to %s were no longer kept by the daemon", *lost)
    return fresh


def make_row(event: inotifier.Event) -> InboxEvent:
    return InboxEvent(
        source=event.source,
        event_id=event.id,
        position=event.position,
        type=event.type,
        watch=event.watch,
        path=event.display_path,
        evidence=event.evidence or "",
        time=event.time if settings.USE_TZ else timezone.make_naive(event.time),
        data=event.as_dict(),
    )


def _move_cursor(consumer: str, expected: Optional[Place], reached: Place, using: str) -> None:
    values = {**reached._asdict(), "updated": timezone.now()}
    if expected is None:
        try:
            with transaction.atomic(using=using):
                Cursor.objects.using(using).create(consumer=consumer, **values)
        except IntegrityError:
            raise CursorMoved(consumer) from None
        return
    here = Cursor.objects.using(using).filter(consumer=consumer, **expected._asdict())
    if not here.update(**values):
        raise CursorMoved(consumer)


def _new_ones(rows: List[InboxEvent], using: str) -> List[InboxEvent]:
    known = set()
    ids = list({row.event_id for row in rows})
    for start in range(0, len(ids), _LOOK_UP):
        known.update(
            InboxEvent.objects.using(using)
            .filter(event_id__in=ids[start : start + _LOOK_UP])
            .values_list("source", "event_id")
        )
    fresh = []
    for row in rows:
        key = (row.source, row.event_id)
        if key not in known:
            known.add(key)
            fresh.append(row)
    return fresh


def _gap_event(consumer: str, stream: str, lost: Tuple[str, str]) -> inotifier.Event:
    first, last = lost
    now = datetime.datetime.now(datetime.timezone.utc)
    return inotifier.Event.from_dict(
        {
            "specversion": "1.0",
            "id": f"{stream}-{first}-{last}"[-100:],
            "source": f"//consumer/{consumer}",
            "type": signals.GAP,
            "time": now.strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
            "sequence": last,
            "data": {"consumer": consumer, "stream": stream, "first": first, "last": last},
        }
    )
