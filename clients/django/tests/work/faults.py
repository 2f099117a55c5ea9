"""What a test does to the consumer's process from within, as SITE_FAULT says; each once."""

import os
import signal

from django.conf import settings


def once(name):
    mark = settings.DIRECTORY / f"fault-{name}"
    if mark.exists():
        return False
    mark.touch()
    return True


def install(name):
    from django_inotifier import inbox, intake, work

    store, run = inbox.store, work.Worker._work_on

    if name == "killed-before-ack":

        def killing(consumer, expected, reached, events, lost=None):
            result = store(consumer, expected, reached, events, lost)
            if events and once(name):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        intake.inbox.store = killing
    elif name == "killed-before-commit":

        def killing(consumer, expected, reached, events, lost=None):
            if events and once(name):
                make = inbox._move_cursor
                inbox._move_cursor = lambda *a: (make(*a), os.kill(os.getpid(), signal.SIGKILL))
            return store(consumer, expected, reached, events, lost)

        intake.inbox.store = killing
    elif name == "killed-before-mark":

        def killing(self, row):
            result = run(self, row)
            if row.type == "file.completed" and once(name):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        work.Worker._work_on = killing
    else:
        raise ValueError(name)
