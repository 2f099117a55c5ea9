from django.core.management.base import BaseCommand, CommandError

from ... import conf
from ...daemon import DaemonError, OwnDaemon


class Command(BaseCommand):
    help = (
        "Runs the daemon in the background on the watches of DAEMON in the setting INOTIFIER; "
        "tells one that runs of a changed setting."
    )

    def handle(self, *args, **options):
        daemon = OwnDaemon(conf.config())
        try:
            pid, what = daemon.start()
        except DaemonError as error:
            raise CommandError(str(error)) from None
        if options["verbosity"] >= 1:
            self.stdout.write(f"inotifier {what}, pid {pid}, log {daemon.log}")
