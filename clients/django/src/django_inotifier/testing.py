"""For a site's own tests: its receivers get an event, and no daemon is needed.

    from django_inotifier.testing import deliver

    class Receiving(TestCase):
        def test_an_instance_is_made(self):
            deliver("file.completed", path="/srv/in/1.2.840", watch="incoming")
            self.assertEqual(Instance.objects.count(), 1)
"""

import os
from typing import Any, Optional, Union

import inotifier
from django.db import transaction
from django.utils import timezone
from inotifier.testing import make_event

from . import conf, signals
from .dispatch import dispatch
from .inbox import database, make_row
from .models import InboxEvent


def deliver(
    event: Union[str, inotifier.Event] = "file.completed",
    path: Union[str, bytes, "os.PathLike[Any]", None] = None,
    watch: str = "incoming",
    root: Union[str, "os.PathLike[str]", None] = None,
    roots: Optional[dict] = None,
    **data: Any,
) -> InboxEvent:
    """Delivers one event to all its receivers as inotifier_consume would, in a transaction of its
    own; the row of the inbox, done. What a receiver raises is raised here, and nothing is left.

    `event`: a type (ValueError if it is none), or an event ready made; an event that is done
    already is not delivered twice. `root`: the watch's directory; None: that of the path. Anything
    else is put into the event's `data`. Hooks of transaction.on_commit run in a
    TransactionTestCase, or in a TestCase's
    captureOnCommitCallbacks(execute=True).
    """
    if isinstance(event, str):
        reason = signals.unknown_type(event)
        if reason:
            raise ValueError(f"deliver: {reason}")
        roots = conf.roots() if roots is None else roots
        event = make_event(event, path, watch, root, roots, **data)
    using = database()
    with transaction.atomic(using=using):
        known = InboxEvent.objects.using(using).filter(source=event.source, event_id=event.id)
        row = known.first()
        if row is not None and row.status == InboxEvent.Status.DONE:
            return row
        if row is None:
            row = make_row(event)
        row.save(using=using)
        dispatch(row)
        row.status, row.tries, row.finished = InboxEvent.Status.DONE, row.tries + 1, timezone.now()
        row.traceback, row.next_try = "", None
        row.save(using=using)
    return row
