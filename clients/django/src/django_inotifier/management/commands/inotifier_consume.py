"""The worker: fetches events from the daemon and runs their receivers, for ever or until empty."""

import os

import inotifier
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections

from ... import conf
from ...consume import Loop, Stop, wait_for_turn
from ...dispatch import anybody_listens
from ...inbox import database
from ...intake import WAIT, Intake
from ...sqlite import OneProcess, has_wal, not_waiting_for_the_disk
from ...supervisor import FATAL, Supervisor
from ...work import DatabaseTrouble, Worker

NOBODY = (
    "nobody would get the events: connect a receiver to a signal of django_inotifier.signals (in a "
    "module that the ready() of an AppConfig imports), or name one in HANDLERS of INOTIFIER"
)


def _intake(options):
    return Intake(conf.config(), options["start"], 0 if options["until_empty"] else WAIT)


class Command(BaseCommand):
    help = "Fetches events from the daemon and runs their receivers; whatever is killed loses none."

    def add_arguments(self, parser):
        parser.add_argument(
            "--until-empty",
            "--once",
            action="store_true",
            help="end when there is nothing left to do; exit code 1 if events have failed",
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            metavar="N",
            help="so many processes run receivers; needs a database with row locks (not SQLite)",
        )
        parser.add_argument(
            "--max-tries",
            type=int,
            default=0,
            metavar="N",
            help="after so many tries an event stays failed until somebody retries it; "
            "default: it is tried for ever, at last once an hour",
        )
        parser.add_argument(
            "--start",
            choices=["oldest", "now", "state"],
            help="where a site begins that has no cursor yet: with the oldest event kept "
            "(default), with what comes, or with every file that is there",
        )

    def handle(self, *args, **options):
        if options["workers"] < 1:
            raise CommandError("--workers is a number from 1 on")
        if not anybody_listens():
            raise CommandError(NOBODY)
        workers = options["workers"]
        using = database()
        if workers > 1 and not connections[using].features.has_select_for_update_skip_locked:
            vendor = connections[using].display_name
            self.stderr.write(f"{vendor} cannot skip rows that are locked: one process works")
            workers = 1
        with Stop() as stop:
            if workers == 1:
                self._in_one_process(stop, options, using)
            else:
                self._in_several(stop, options, workers)

    def _in_one_process(self, stop, options, using):
        lock = OneProcess()
        if not has_wal(using):
            self.stderr.write(
                "SQLite without write-ahead logging: slower, and readers and writers wait for each "
                "other. README.md says how to switch it on"
            )
        if not wait_for_turn(stop, lock, options["until_empty"]):
            return
        intake = _intake(options)
        worker = Worker(options["max_tries"])
        try:
            with not_waiting_for_the_disk():
                Loop(stop, intake, worker, options["until_empty"]).run()
        except (inotifier.ConnectionFailed, inotifier.RequestError) as error:
            raise CommandError(str(error)) from error
        except (DatabaseTrouble, Error) as error:
            raise CommandError(f"the database: {error}") from error
        except KeyboardInterrupt:
            pass  # the second SIGTERM: what ran is rolled back and comes again
        finally:
            lock.give()
            self._say(options, intake, worker)
        if options["until_empty"]:
            self._check_failures(using)

    def _in_several(self, stop, options, workers):
        parent = os.getpid()

        def orphaned():
            return os.getppid() != parent

        def fetch(stop):
            intake = _intake(options)
            try:
                Loop(stop, intake, None, options["until_empty"], orphaned).run()
            except (inotifier.ConnectionFailed, inotifier.RequestError) as error:
                self.stderr.write(f"CommandError: {error}")
                return FATAL
            self._say(options, intake, None)
            return 0

        def work(stop):
            worker = Worker(options["max_tries"])
            Loop(stop, None, worker, options["until_empty"], orphaned).run()
            self._say(options, None, worker)
            return 0

        supervisor = Supervisor(stop)
        supervisor.start("the process that fetches", fetch)
        if options["until_empty"]:  # first all of it in, then all of it out
            supervisor.wait(once=True)
        for number in range(0 if stop.asked else workers):
            supervisor.start(f"worker {number + 1}", work)
        code = supervisor.wait(once=options["until_empty"])
        if code:
            raise CommandError("one of the processes failed", returncode=code)
        if options["until_empty"]:
            self._check_failures(database())

    def _say(self, options, intake, worker):
        if options["verbosity"] < 1:
            return
        counts = []
        if intake is not None:
            counts.append(f"{intake.received} received")
        if worker is not None:
            counts += [f"{worker.done} done", f"{worker.failed} failed"]
        self.stdout.write(", ".join(counts))

    def _check_failures(self, using):
        from ...models import InboxEvent

        failed = InboxEvent.objects.using(using).filter(status=InboxEvent.Status.FAILED).count()
        if failed:
            raise CommandError(f"{failed} events have failed; see the inbox in the admin")
