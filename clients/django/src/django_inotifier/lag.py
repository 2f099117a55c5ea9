"""How far behind this site is: what the daemon has yet to give, what the inbox has yet to do."""

from typing import Any, Dict

import inotifier
from django.db.models import Count

from . import conf
from .daemon import ask
from .inbox import database
from .models import InboxEvent

PATIENCE = 1.0  # seconds for a daemon that does not answer


def inbox_counts() -> Dict[str, int]:
    """Rows pending and failed."""
    outstanding = InboxEvent.objects.using(database()).filter(status__in=InboxEvent.OUTSTANDING)
    found = dict(outstanding.values_list("status").annotate(Count("pk")))
    return {str(status): found.get(str(status), 0) for status in InboxEvent.OUTSTANDING}


def lag() -> Dict[str, Any]:
    """{pending, failed, behind, ready, owned, error}; behind, ready and owned are None if the
    daemon cannot be asked, and error says why. Takes about three seconds at most."""
    told: Dict[str, Any] = {"behind": None, "ready": None, "owned": None, "error": ""}
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
        told["behind"], told["owned"] = ours.get("behind"), bool(ours.get("owned"))
    return told
