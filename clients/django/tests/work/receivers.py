"""The receiver of the tests' site does as the name of the file says, the first time or always."""

import os
import pathlib
import signal
import time

from django.conf import settings
from django.db import connection, transaction
from django_inotifier.signals import file_completed, on

from .models import Work

LOG = settings.DIRECTORY / "runs.log"


def note(word, event):
    """What no rollback takes back."""
    with open(LOG, "ab") as file:
        file.write(f"{word} {event.id} {os.getpid()}\n".encode())


def first_time(event):
    mark = settings.DIRECTORY / f"seen-{event.id}"
    if mark.exists():
        return False
    mark.touch()
    return True


@on("file.completed", match="*")
def work(sender, event, **kwargs):
    note("begin", event)
    name = os.path.basename(event.path)
    Work.objects.create(event_id=event.id, path=event.relative_path, pid=os.getpid())
    if "always-raises" in name or ("raises-once" in name and first_time(event)):
        raise ValueError(f"no good: {event.path}")
    if "raises-for-now" in name and not (settings.DIRECTORY / "good").exists():
        raise ValueError(f"no patient in {event.path}")
    if "kills-once" in name and first_time(event):
        os.kill(os.getpid(), signal.SIGKILL)
    if "always-kills" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "waits" in name:
        pathlib.Path(settings.DIRECTORY / "waiting").touch()
        until = time.monotonic() + 60
        while not (settings.DIRECTORY / "go-on").exists() and time.monotonic() < until:
            time.sleep(0.01)
    if "loses-connection" in name and first_time(event):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    if "hook-dies-once" in name:
        transaction.on_commit(lambda: first_time(event) and os.kill(os.getpid(), signal.SIGKILL))
    if "takes-time" in name:
        time.sleep(0.02)
    note("end", event)


@on("gap")
def on_gap(sender, event, **kwargs):
    note("gap", event)


assert file_completed.receivers
