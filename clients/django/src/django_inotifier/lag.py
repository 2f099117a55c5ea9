"""How far behind this site is: what the daemon has yet to give, what the inbox has yet to do."""

from typing import Any, Dict

import inotifier
from django.db.models import Count
from inotifier.wire import nanoseconds

from . import conf
from .daemon import ask
from .inbox import database
from .models import InboxEvent

PATIENCE = 1.0  # seconds for a daemon that does not answer
# A receiver that takes longer than the lease is no sign that nobody works, nor is cron.
SILENT = 300.0


def inbox_counts() -> Dict[str, int]:
    """Rows pending and failed."""
    outstanding = InboxEvent.objects.using(database()).filter(status__in=InboxEvent.OUTSTANDING)
    found = dict(outstanding.values_list("status").annotate(Count("pk")))
    return {str(status): found.get(str(status), 0) for status in InboxEvent.OUTSTANDING}


def lag() -> Dict[str, Any]:
    """{pending, failed, behind, ready, runs, error}; behind, ready and runs are None if the daemon
    cannot be asked, and error says why. Takes about three seconds at most."""
    told: Dict[str, Any] = {"behind": None, "ready": None, "runs": None, "error": ""}
    told.update(inbox_counts())
    try:
        status, ours = ask(conf.config(), PATIENCE)
    except inotifier.Error as error:
        told["error"] = str(error)
        return told
    told["ready"] = bool(status.get("ready"))
    if ours is None:
        told[
            "error"
        ] = f"the daemon has no consumer {conf.config().consumer}: inotifier_consume makes it"
    else:
        told["behind"] = ours.get("behind")
        told["runs"] = bool(ours.get("owned")) or _silent(status, ours) < SILENT
    return told


def _silent(status: Dict[str, Any], ours: Dict[str, Any]) -> float:
    """Seconds since the consumer was last used, by the daemon's clock."""
    try:
        now, then = nanoseconds(status["time"]), nanoseconds(ours["last_seen"])
    except (KeyError, TypeError, ValueError):
        return SILENT
    return (now - then) / 1e9
