"""Hands events over to tasks: of django.tasks, of its backport django-tasks, or of anything else that has
enqueue()."""

from typing import Any, Dict

import inotifier
from django.utils.module_loading import import_string

from . import conf
from .answers import run_to_its_end


class TaskFailed(Exception):
    """A backend that runs tasks at once has run this one, and it raised."""


def enqueue(path: str, event: inotifier.Event) -> None:
    """In the transaction that is open: a backend that keeps tasks in the site's database takes them
    back with it."""
    result = run_to_its_end(import_string(path).enqueue(event.as_dict()), path)
    # Such a backend keeps what was raised to itself; the event must not be done then.
    if str(getattr(result, "status", "")) == "FAILED":
        errors = getattr(result, "errors", None) or ()
        text = "\n".join(str(getattr(error, "traceback", error)) for error in errors)
        raise TaskFailed(f"{path}\n{text}")


def event_of(value: Dict[str, Any]) -> inotifier.Event:
    """What a task got, as the event that receivers get. Raises inotifier.WireError."""
    return inotifier.Event.from_dict(value, roots=conf.roots())
