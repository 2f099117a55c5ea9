import inotifier
from django.core.management.base import BaseCommand, CommandError

from ... import conf
from ...daemon import OwnDaemon, ask
from ...lag import inbox_counts

NOT_RUNNING = 3  # as init scripts have it


class Command(BaseCommand):
    help = (
        "The daemon, its watches, and how far behind this site is. Exit code 3: no daemon answers."
    )

    def handle(self, *args, **options):
        config = conf.config()
        running = OwnDaemon(config).running()
        if running:
            self.stdout.write(f"daemon    pid {running.pid}, started by inotifier_start")
        counts = inbox_counts()
        try:
            status, ours = ask(config, 2.5)
        except inotifier.Error as error:
            self._inbox(counts)
            raise CommandError(str(error), returncode=NOT_RUNNING) from None
        ready = "ready" if status.get("ready") else "not ready: it still looks at what is there"
        self.stdout.write(
            f"daemon    {status.get('daemon')}, version {status.get('version')}, {ready}"
        )
        for watch in status.get("watches") or ():
            self.stdout.write(f"watch     {_watch(watch)}")
        if ours is None:
            self.stdout.write(
                f"consumer  {config.consumer}: not made yet; inotifier_consume makes it"
            )
        else:
            owned = "fetching" if ours.get("owned") else "nobody fetches"
            self.stdout.write(
                f"consumer  {config.consumer}: {ours.get('behind')} events to fetch, {owned}"
            )
        self._inbox(counts)

    def _inbox(self, counts):
        told = ", ".join(f"{number} {status}" for status, number in counts.items())
        self.stdout.write(f"inbox     {told}")


def _watch(watch):
    words = [f"{watch.get('name')}: {watch.get('path')} ({watch.get('processor')})"]
    words.append(f"{watch.get('files', 0)} files in {watch.get('directories', 0)} directories")
    words += [word for word in ("lost", "degraded") if watch.get(word)]
    if not watch.get("ready"):
        words.append("not ready")
    return ", ".join(words)
