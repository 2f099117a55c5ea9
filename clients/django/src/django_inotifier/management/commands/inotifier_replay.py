from typing import Any, Dict

from django.core.management.base import BaseCommand, CommandError

from ... import conf, signals
from ...inbox import database
from ...models import InboxEvent
from ...moments import moment


class Command(BaseCommand):
    help = (
        "Puts events of the inbox back to be worked on: their receivers run again, in the order in "
        "which they came."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--since", metavar="WHEN", help="established since: 2h, 7d, 2026-11-22T10:00"
        )
        parser.add_argument(
            "--type", metavar="TYPE", action="append", help="such as file.completed"
        )
        parser.add_argument("--watch", metavar="NAME", action="append", help="of these watches")
        parser.add_argument(
            "--failed", action="store_true", help="those that failed; otherwise all that match"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args, **options):
        chosen: Dict[str, Any] = {}
        if options["since"]:
            try:
                chosen["time__gte"] = moment(options["since"])
            except ValueError as error:
                raise CommandError(f"--since: {error}") from None
        for type in options["type"] or ():
            if signals.unknown_type(type):
                raise CommandError(f"--type: {signals.unknown_type(type)}")
        if options["type"]:
            chosen["type__in"] = options["type"]
        if options["watch"]:
            chosen["watch__in"] = options["watch"]
        if options["failed"]:
            chosen["status"] = InboxEvent.Status.FAILED
        if not chosen:
            raise CommandError("say which: --since, --type, --watch or --failed")
        rows = InboxEvent.objects.using(database()).filter(**chosen)
        rows = rows.exclude(status=InboxEvent.Status.PENDING)
        if options["dry_run"]:
            self.stdout.write(f"{rows.count()} would be replayed")
            return
        count = rows.update(**InboxEvent.AGAIN)
        if options["verbosity"] >= 1:
            self.stdout.write(
                f"{count} will be worked on again by inotifier_consume of {conf.config().consumer}"
            )
