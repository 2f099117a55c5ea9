"""A durable consumer for tests, and what happens to a daemon: stopped, killed, without power."""

import pathlib
import shutil
import signal
import sys
import time

from harness import PATIENCE, path_of, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))

from protocol import Refused, Service, client_id  # noqa: E402, F401


class Consumer:
    """A durable consumer that keeps all it is told: (position, id, type, path)."""

    def __init__(self, daemon, name="c", **arguments):
        self.service = Service(daemon.fetch_endpoint)
        self.name = name
        self.client = client_id()
        self.arguments = arguments
        self.events = []
        self.lost = []
        self.cursor = self.stream = None
        self.behind = None

    def fetch(self, ack=True, limit=4096, wait=0.0):
        """The events of one reply."""
        acks = {"stream": self.stream, "ack": self.cursor} if ack and self.cursor else {}
        reply = self.service.request(
            "fetch",
            timeout=20 * PATIENCE,
            consumer=self.name,
            client=self.client,
            limit=limit,
            wait=wait,
            **acks,
            **self.arguments,
        )
        assert "standby" not in reply, reply
        self.cursor, self.stream, self.behind = reply["cursor"], reply["stream"], reply["behind"]
        if reply.get("lost"):
            self.lost.append(reply["lost"])
        events = [(e["sequence"], e["id"], e["type"], path_of(e)) for e in reply["events"]]
        self.events += events
        return events

    def drain(self, ack=True):
        """Up to the end; the last events are acked, too."""
        got = []
        while True:
            events = self.fetch(ack=ack)
            got += events
            if not events and self.behind == 0:
                return got
            assert ack, "without an ack it would begin again"

    def paths(self):
        return [path for _, _, type, path in self.events if type == "file.completed"]

    def wait_for_paths(self, count, timeout=30):
        def enough():
            self.fetch(wait=0.2)
            return len(set(self.paths())) >= count

        wait_for(enough, timeout, f"{count} paths")


def stop_daemon(daemon):
    daemon.signal(signal.SIGSTOP)

    def is_stopped():
        text = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text()
        return text.rsplit(")", 1)[1].split()[0] in "Tt"

    wait_for(is_stopped, what="the daemon to stop")


def kill(daemon):
    daemon.process.kill()
    daemon.process.wait()


def journal_files(daemon):
    return [daemon.journal, pathlib.Path(f"{daemon.journal}-wal")]


def copy_journal(daemon):
    """A consistent picture of the moment: whoever writes it is stopped."""
    stop_daemon(daemon)
    copies = []
    for file in journal_files(daemon):
        if file.exists():
            copies.append((file, pathlib.Path(f"{file}.copy")))
            shutil.copyfile(*copies[-1])
    daemon.signal(signal.SIGCONT)
    return copies


def cut_power(daemon, copies):
    kill(daemon)
    for file in journal_files(daemon):
        file.unlink(missing_ok=True)
    for file, copy in copies:
        shutil.copyfile(copy, file)
    # No machine is up again within the second in which it went down.
    second = int(time.time())
    wait_for(lambda: int(time.time()) > second, what="the next second")
