from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ...inbox import database
from ...models import InboxEvent
from ...moments import duration

BATCH = 1000


class Command(BaseCommand):
    help = (
        "Deletes events that are done or dismissed and older than that. An event that the daemon "
        "tells again is recognised only as long as its row is there: keep them at least as long "
        "as the daemon keeps its journal (retain, 7 days)."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--older-than", default="30d", metavar="AGE", help="30d, 12h, 90m; default 30d"
        )
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args, **options):
        try:
            before = timezone.now() - duration(options["older_than"])
        except ValueError as error:
            raise CommandError(f"--older-than: {error}") from None
        rows = InboxEvent.objects.using(database()).filter(
            status__in=[InboxEvent.Status.DONE, InboxEvent.Status.DISMISSED], received__lt=before
        )
        if options["dry_run"]:
            self.stdout.write(f"{rows.count()} would be deleted")
            return
        deleted = 0
        while True:  # bit by bit, so that nobody waits long for a lock
            keys = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
            if not keys:
                break
            deleted += rows.filter(pk__in=keys).delete()[0]
        if options["verbosity"] >= 1:
            self.stdout.write(f"{deleted} deleted")
