"""Who gets an event: the handler and the task of its watch, then the receivers of its type."""

from django.utils.module_loading import import_string

from . import conf, signals, tasks
from .answers import run_to_its_end
from .models import InboxEvent

# What a handler gets: it is for people who want files, and a stalled one is none yet.
HANDLED = ("file.completed", "directory.completed", "group.completed")


def dispatch(row: InboxEvent) -> None:
    """Raises what the first one raises; those after it have not run then."""
    event = row.event
    if event.type in HANDLED:
        setting = conf.raw()
        path = (setting.get("HANDLERS") or {}).get(event.watch)
        if path is not None:
            run_to_its_end(import_string(path)(event), path)
        path = (setting.get("TASKS") or {}).get(event.watch)
        if path is not None:
            tasks.enqueue(path, event)
    signal = signals.signal_for(event.type)
    # Django runs asynchronous receivers from version 5 on; before, it returns their coroutines.
    for receiver, answer in signal.send(sender=InboxEvent, event=event, inbox_event=row):
        run_to_its_end(answer, receiver)


def anybody_listens() -> bool:
    setting = conf.raw()
    return bool(setting.get("HANDLERS") or setting.get("TASKS")) or signals.has_receivers()
