from typing import List

from django.core.management.base import BaseCommand, CommandError

from ...daemon import DaemonError, OwnDaemon


class Command(BaseCommand):
    help = "Stops the daemon that inotifier_start runs."
    requires_system_checks: List[str] = []  # also when the setting has become a wrong one

    def handle(self, *args, **options):
        try:
            pid = OwnDaemon().stop()
        except DaemonError as error:
            raise CommandError(str(error)) from None
        if options["verbosity"] >= 1:
            self.stdout.write(
                "inotifier did not run" if pid is None else f"inotifier stopped, pid {pid}"
            )
