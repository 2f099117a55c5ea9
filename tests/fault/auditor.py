#!/usr/bin/env python3
"""Lets producers write in every way there is, does to the daemon whatever can happen to it, and
compares at the end: every finished file on the disk was told to the durable consumer, none too
early, none under two ids.

auditor.py [--seconds N] [--seed N] [--rate FILES/S] [--gap SECONDS] [--faults NAME,...] [--keep]

Exit 0: the promise was kept; 1: it was not, and what was wrong is printed. What is done when is
drawn from the seed, but for the time that things take. As root the journal lies on a small file
system of its own that is filled now and then; otherwise that fault is left out, and the report says
so.
"""

import argparse
import collections
import ctypes
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ledger import Follow, Ledger
from protocol import Refused, Service, Silence

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ.get("INOTIFIER", str(HERE.parents[1] / "build/release/inotifier"))
PYTHON = "/usr/bin/python3"
CONSUMER = "auditor"
LEASE = 1
JOURNAL_SIZE = 1 << 30  # of tmpfs: takes what is used
RETAIN_MIB = 64
QUEUE = pathlib.Path("/proc/sys/fs/inotify/max_queued_events")
# So many faults, then calm for a while: a start may come to its end, and old directories go.
CALM_EVERY, CALM = 25, 4.0
# How often each fault is drawn.
FAULTS = {
    "kill": 50,
    "kill in the start": 10,
    "overflow": 4,
    "overflow and rest": 2,
    "overflow and kill": 4,
    "stop": 3,
    "terminate": 6,
    "rescan": 4,
    "hangup": 1,
    "consumer": 10,
    "consumer that vanishes": 1,
    "full": 4,
    "file size limit": 3,
    "power cut": 4,
    "mount": 4,
}


def die_with_parent(number):
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(1, number)  # PR_SET_PDEATHSIG


class Failure(Exception):
    """The daemon did what it never must, besides what the ledger finds."""


class Process:
    """A child that ends with us."""

    def __init__(self, words, log, signal_at_death=signal.SIGKILL, environment=None):
        self.popen = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=open(log, "ab"),
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(signal_at_death),
            env=environment,
        )

    def is_running(self):
        return self.popen.poll() is None

    def send(self, number):
        self.popen.send_signal(number)

    def kill(self):
        if self.is_running():
            self.popen.kill()
        self.popen.wait()

    def terminate(self, timeout):
        """Seconds until it had ended."""
        begin = time.monotonic()
        self.popen.send_signal(signal.SIGCONT)
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"still there {timeout} s after SIGTERM") from None
        return time.monotonic() - begin


class Auditor:
    def __init__(self, arguments):
        self.arguments = arguments
        self.choice = random.Random(arguments.seed)
        base = arguments.directory or tempfile.gettempdir()
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-audit-", dir=base))
        self.root, self.outside = self.work / "in", self.work / "out"
        self.journal_directory = self.work / "journal"
        self.copy = self.work / "copy"
        for directory in (self.root, self.outside, self.journal_directory):
            directory.mkdir()
        self.journal = self.journal_directory / "journal.db"
        self.filler = self.journal_directory / "filler"
        self.mounted = False
        self.volume = self.root / "volume"
        self.log = self.work / "daemon.log"
        self.fetch = f"ipc://{self.work}/fetch"
        self.ledger = Ledger(self.root)
        self.daemon = None
        self.full = False
        self.producers, self.consumers, self.workers = [], [], []
        self.producer_logs, self.consumer_logs = [], []
        self.acked = 0
        self.acked_again = 0
        self.deaf_until = 0
        self.counts = collections.Counter()
        self.skipped = []
        self.vanished = 0
        self.overflows_seen = 0  # of those that no kill hid
        self.slowest_stop = 0.0
        self.begun = time.monotonic()

    # --- the parts

    def mount(self):
        if os.geteuid() == 0:
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={JOURNAL_SIZE}", "inotifier-audit"]
                + [str(self.journal_directory)],
                stderr=subprocess.PIPE,
                text=True,
            )
            self.mounted = done.returncode == 0
        if not self.mounted:
            self.skipped.append("full, mount (the journal needs a file system of its own: root)")

    def configure(self):
        self.config = self.work / "inotifier.toml"
        self.config.write_text(
            f"""[publish]
endpoint = "ipc://{self.work}/publish"
[fetch]
endpoint = "{self.fetch}"
[journal]
path = "{self.journal}"
retain_size = "{RETAIN_MIB}MiB"
[log]
level = "info"
[[watch]]
name = "in"
path = "{self.root}"
events = ["file.completed", "file.removed", "watch.ready", "watch.scanned", "watch.rescan",
  "watch.lost", "watch.restored", "watch.degraded"]
"""
        )

    def start(self):
        self.daemon = Process([BINARY, "run", "-c", self.config], self.log)
        self.started = time.monotonic()
        self.counts["starts"] += 1

    def start_consumer(self, number):
        log = self.work / f"consumer{number}.log"
        if not any(follow.path == log for follow in self.consumer_logs):
            self.consumer_logs.append(Follow(log))
        seed = self.choice.randrange(10**9)
        words = [PYTHON, "-B", HERE / "consumer.py", self.fetch, CONSUMER, log, seed, LEASE]
        process = Process(words, self.work / "consumers.err")
        self.consumers[number : number + 1] = [process]

    def start_producers(self):
        for i in range(self.arguments.producers):
            log = self.work / f"producer{i}.log"
            self.producer_logs.append(Follow(log))
            seed = self.arguments.seed * 100 + i
            rate = self.arguments.rate / self.arguments.producers
            words = [PYTHON, "-B", HERE / "producer.py", self.root, self.outside, log, seed, rate]
            self.producers.append(Process(words, self.work / "producers.err", signal.SIGTERM))

    def start_worker(self):
        done = self.outside / "done"
        done.mkdir()
        # It follows one log: both consumers write to it in turn.
        for i in range(len(self.consumers)):
            words = [PYTHON, "-B", HERE / "worker.py", self.work / f"consumer{i}.log", done]
            keep = self.arguments.keep_files // len(self.consumers)
            self.workers.append(Process([*words, keep], self.work / "workers.err"))

    def look(self):
        """Everybody must still be there."""
        for group, log in (
            (self.producers, "producers.err"),
            (self.consumers, "consumers.err"),
            (self.workers, "workers.err"),
        ):
            for process in group:
                if not process.is_running():
                    raise Failure(f"{log}: {(self.work / log).read_text(errors='replace')[-3000:]}")
        if not self.daemon.is_running():
            raise Failure(f"the daemon ended by itself with {self.daemon.popen.returncode}")

    # --- faults

    def pause(self, seconds):
        """Takes in meanwhile what the consumers were told."""
        end = time.monotonic() + seconds
        self.take()
        time.sleep(max(0, end - time.monotonic()))

    def down(self):
        time.sleep(self.choice.choice((0, 0, 0, 0.02, 0.1, 0.5, 1.2)))

    def fault_kill(self):
        self.daemon.kill()
        self.counts["kills"] += 1
        self.down()
        self.start()

    def fault_kill_in_the_start(self):
        for _ in range(self.choice.randint(1, 3)):
            self.fault_kill()
            time.sleep(self.choice.uniform(0, 0.15))

    def fault_stop(self):
        self.daemon.send(signal.SIGSTOP)
        self.pause(self.choice.uniform(0.05, 1))
        self.daemon.send(signal.SIGCONT)
        self.counts["stops"] += 1

    def fault_overflow(self):
        """The kernel's queue is filled, then what the producers do is lost."""
        self.daemon.send(signal.SIGSTOP)
        self.wait_stopped()
        # Excluded names, two in turn: equal neighbours are merged into one record.
        noise = [self.root / ".noise-1", self.root / ".noise-2"]
        for path in noise:
            path.touch()
        for _ in range(int(QUEUE.read_text())):
            for path in noise:
                os.chmod(path, 0o600)
        self.pause(self.choice.uniform(0.1, 2))
        self.daemon.send(signal.SIGCONT)
        self.counts["stops"] += 1
        self.counts["overflows"] += 1

    def fault_overflow_and_rest(self):
        """Its rescan may come to an end."""
        if not self.takes_signals():
            return
        before = self.ledger.reasons["overflow"]
        self.fault_overflow()
        self.pause(5)
        self.overflows_seen += 1 if self.ledger.reasons["overflow"] > before else 0
        self.counts["overflows with rest"] += 1

    def fault_overflow_and_kill(self):
        self.fault_overflow()
        time.sleep(self.choice.uniform(0, 0.3))
        self.fault_kill()

    def fault_terminate(self):
        expected = 0 if self.takes_signals() else -signal.SIGTERM
        seconds = self.daemon.terminate(10)
        self.slowest_stop = max(self.slowest_stop, seconds)
        if self.daemon.popen.returncode not in (0, expected):
            raise Failure(f"SIGTERM: it exited with {self.daemon.popen.returncode}")
        self.counts["terminations"] += 1
        self.down()
        self.start()

    def takes_signals(self):
        """In the first moments of a process every signal ends it."""
        if time.monotonic() < self.started + 1:
            return False
        text = pathlib.Path(f"/proc/{self.daemon.popen.pid}/status").read_text()
        return int(re.search(r"SigBlk:\s+(\w+)", text)[1], 16) >> (signal.SIGUSR1 - 1) & 1

    def fault_rescan(self):
        if not self.takes_signals():
            return
        self.daemon.send(signal.SIGUSR1)
        self.counts["SIGUSR1"] += 1

    def fault_hangup(self):
        if not self.takes_signals():
            return
        self.daemon.send(signal.SIGHUP)
        self.counts["SIGHUP"] += 1

    def fault_consumer(self):
        """Between delivery and ack, wherever it is; the other one takes over."""
        which = self.choice.randrange(len(self.consumers))
        absent = [which] if self.choice.random() < 0.8 else list(range(len(self.consumers)))
        for number in absent:
            self.consumers[number].kill()
            self.counts["consumers killed"] += 1
        self.pause(self.choice.choice((0, 0.1, 1.5)))
        for number in absent:
            self.start_consumer(number)

    def fault_full(self):
        """The file system of the journal is full for a while; now and then it is killed then."""
        if not self.mounted:
            return
        fd = os.open(self.filler, os.O_WRONLY | os.O_CREAT, 0o600)
        size = 1 << 24
        offset = 0
        while size >= 4096:
            try:
                os.posix_fallocate(fd, offset, size)
                offset += size
            except OSError:
                size //= 2
        os.close(fd)
        self.counts["disks filled"] += 1
        self.full = True
        self.pause(self.choice.uniform(0.2, 2))
        if self.choice.random() < 0.4:
            self.daemon.kill()
            self.counts["kills"] += 1
            self.start()
            time.sleep(self.choice.uniform(0, 0.3))
        self.filler.unlink()
        self.full = False
        self.start_again_if_refused()

    def fault_file_size_limit(self):
        """As with a quota: the journal cannot grow, and its log neither."""
        pid = self.daemon.popen.pid
        if not self.takes_signals():
            return
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self.choice.choice((0, 100_000)), hard))
        self.pause(self.choice.uniform(0.2, 2))
        if self.daemon.is_running():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        self.counts["file sizes limited"] += 1

    def fault_mount(self):
        """A volume below the root comes, gets files and goes; its device's number is used again."""
        if not self.mounted:
            return
        words = ["mount", "-t", "tmpfs", "-o", "size=1m", "inotifier-volume", str(self.volume)]
        self.volume.mkdir(exist_ok=True)
        if subprocess.run(words).returncode != 0:
            raise Failure("no volume could be mounted")
        try:
            for _ in range(self.choice.randint(1, 3)):
                for i in range(self.choice.randint(0, 20)):
                    self.write(self.volume / f"on-the-volume-{i}")
                self.pause(self.choice.choice((0, 0.1, 1.5)))
        finally:
            # The daemon may have a directory open just now.
            subprocess.run(["umount", "-l", str(self.volume)], check=True)
        self.counts["mounts"] += 1
        if self.choice.random() < 0.5:
            self.write(self.volume / f"under-the-volume-{self.choice.randrange(5)}")

    def write(self, path):
        """As a producer does."""
        with open(path, "wb") as file:
            file.write(b"v" * self.choice.randint(1, 3000))
            file.flush()
            st = os.fstat(file.fileno())
            entry = ["done", os.fsencode(path), time.monotonic_ns(), time.time_ns()]
            self.ledger.take_producer([[*entry, st.st_ino, st.st_size, st.st_mtime_ns]])

    def fault_consumer_that_vanishes(self):
        """It takes a few events and never comes back."""
        self.vanished += 1
        try:
            Service(self.fetch).request(
                "fetch", timeout=2, consumer=f"vanished-{self.vanished}", client="x", limit=10
            )
        except (Refused, Silence) as error:
            self.counts[f"answers: {getattr(error, 'code', 'silence')}"] += 1

    def start_again_if_refused(self):
        # One that could not even start may have ended, and says why.
        time.sleep(0.2)
        if not self.daemon.is_running():
            if self.daemon.popen.returncode == 0:
                raise Failure("no room for the journal, and it exited with 0")
            self.counts["starts refused for want of room"] += 1
            self.start()

    def fault_power_cut(self):
        """An earlier consistent copy of the journal comes back."""
        self.daemon.send(signal.SIGSTOP)
        self.wait_stopped()
        shutil.rmtree(self.copy, ignore_errors=True)
        self.copy.mkdir()
        for file in self.journal_directory.glob("journal.db*"):
            if not file.name.endswith(".lock"):
                shutil.copyfile(file, self.copy / file.name)
        self.daemon.send(signal.SIGCONT)
        self.pause(self.choice.uniform(0.1, 5))
        self.daemon.kill()
        self.ledger.cuts.append((time.monotonic_ns(), time.time_ns()))
        for file in self.journal_directory.glob("journal.db*"):
            if not file.name.endswith(".lock"):
                file.unlink()
        for file in self.copy.iterdir():
            shutil.copyfile(file, self.journal_directory / file.name)
        self.counts["power cuts"] += 1
        # No machine is up again within the second in which it went down.
        self.pause(1.05)
        self.take()
        self.acked = 0
        self.deaf_until = time.monotonic_ns() + 10**9
        self.start()

    def wait_stopped(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            text = pathlib.Path(f"/proc/{self.daemon.popen.pid}/stat").read_text()
            if text.rsplit(")", 1)[1].split()[0] in "Tt":
                return
            time.sleep(0.001)
        raise Failure("SIGSTOP did not stop it")

    # --- what was told

    def take(self):
        for follow in self.producer_logs:
            self.ledger.take_producer(follow.new())
        entries = []
        for follow in self.consumer_logs:
            entries += follow.new()
        entries.sort(key=lambda entry: entry[1])
        for what, mono, *values in entries:
            if what == "told":
                self.take_told(mono, values[0])
            elif what == "acked":
                # What is confirmed by a daemon whose journal was put back says nothing.
                if mono >= self.deaf_until:
                    self.acked = max(self.acked, int(values[1]))
            elif what == "lost":
                self.ledger.wrong["lost told"].append(f"{values}")
            elif what == "error":
                self.counts[f"answers: {values[0]}"] += 1
            elif what == "owner":
                self.counts["owners"] += 1
            elif what == "behind":
                self.behind = values[0]

    def take_told(self, mono, events):
        before = ""
        for event in events:
            event[4] = event[4] if isinstance(event[4], bytes) else os.fsencode(event[4])
            position = event[0]
            if position <= before:
                self.ledger.wrong["positions do not rise"].append(f"{before} {position}")
            before = position
            if int(position) <= self.acked:
                self.ledger.wrong["acked, told again"].append(f"acked {self.acked}: {event}")
            self.ledger.take_event(event)

    # --- the run

    def run(self):
        a = self.arguments
        self.mount()
        self.configure()
        self.start()
        self.consumers = [None, None]
        for number in range(2):
            self.start_consumer(number)
        self.start_worker()
        self.start_producers()
        weights = {name: FAULTS[name] for name in (a.faults.split(",") if a.faults else FAULTS)}
        self.begun = time.monotonic()
        next_word = self.begun + 60
        faults = 0
        while time.monotonic() < self.begun + a.seconds:
            self.pause(self.choice.expovariate(1 / a.gap))
            self.look()
            fault = self.choice.choices(list(weights), list(weights.values()))[0]
            method = "fault_" + re.sub("[ ,]+", "_", fault)
            with open(self.work / "faults.log", "a") as log:
                log.write(f"{time.monotonic_ns()} {time.time_ns()} {fault}\n")
            getattr(self, method)()
            faults += 1
            if faults % CALM_EVERY == 0:
                self.pause(CALM)
            if time.monotonic() > next_word:
                next_word += 60
                self.say_so_far()
        self.load_seconds = time.monotonic() - self.begun
        self.end()

    def say_so_far(self):
        minutes = (time.monotonic() - self.begun) / 60
        print(
            f"{minutes:.0f} min: {self.ledger.finished:,} files, {self.counts['kills']} kills, "
            f"{self.ledger.delivered:,} deliveries; wrong so far: "
            f"{ {k: len(v) for k, v in self.ledger.wrong.items()} }",
            file=sys.stderr,
            flush=True,
        )

    def end(self):
        for producer in self.producers:
            producer.send(signal.SIGTERM)
        for producer in self.producers:
            producer.popen.wait(60)
            if producer.popen.returncode != 0:
                raise Failure((self.work / "producers.err").read_text(errors="replace")[-3000:])
        for worker in self.workers:
            worker.terminate(60)
        self.producers, self.workers = [], []
        self.lost = self.wait_for_the_rest(a_while=60)
        # A start that has nothing to find finds nothing.
        self.settle()
        before = self.ledger.types["file.completed"]
        scanned = self.ledger.scanned
        self.fault_terminate()
        deadline = time.monotonic() + 60
        while self.ledger.scanned == scanned and time.monotonic() < deadline:
            self.pause(0.1)
            self.look()
        if self.ledger.scanned == scanned:
            self.ledger.wrong["no watch.scanned"].append("within 60 s")
        self.settle()
        again = self.ledger.types["file.completed"] - before
        if again and not self.lost:
            self.ledger.wrong["told by a start that had nothing to find"].append(str(again))
        self.ledger.check()
        self.check_overflows()
        self.check_consumer()

    def wait_for_the_rest(self, a_while):
        deadline = time.monotonic() + a_while
        while True:
            self.pause(0.2)
            self.look()
            lost = self.ledger.missing()
            if not lost:
                return []
            if time.monotonic() > deadline:
                return lost

    def settle(self):
        """Until the consumer is told nothing more."""
        quiet = 0
        while quiet < 10:
            before = self.ledger.delivered
            self.pause(0.1)
            quiet = quiet + 1 if self.ledger.delivered == before else 0

    def check_overflows(self):
        tried = self.counts["overflows with rest"]
        if tried > 1 and self.overflows_seen == 0:
            self.ledger.wrong["no overflow was told"].append(f"of {tried} that were made")

    def check_consumer(self):
        try:
            reply = Service(self.fetch).request("consumers")
        except (Refused, Silence) as error:
            self.ledger.wrong["the service does not answer"].append(str(error))
            return
        own = [c for c in reply["consumers"] if c["name"] == CONSUMER]
        if not own or own[0]["behind"] != 0 or own[0].get("lost"):
            self.ledger.wrong["the consumer is behind"].append(f"{reply}")

    def report(self):
        ledger, counts = self.ledger, self.counts
        wrong = {kind: len(cases) for kind, cases in ledger.wrong.items()}
        seconds = getattr(self, "load_seconds", 0) or 1
        events = ledger.types["file.completed"]
        lines = [
            f"seed {self.arguments.seed}, {seconds:.0f} s, {ledger.finished:,} versions of files "
            f"finished ({ledger.finished / seconds:,.0f} a second), {len(ledger.done):,} names",
            f"{counts['kills']} kills, {counts['terminations']} terminations, {counts['stops']} "
            f"stops, {ledger.reasons['overflow']} rescans after an overflow, "
            f"{counts['overflows']} made, {counts['disks filled']} times no room, "
            f"{counts['file sizes limited']} limits of file sizes, {counts['mounts']} mounts, "
            f"{counts['power cuts']} power cuts, "
            f"{counts['SIGUSR1']} SIGUSR1, "
            f"{counts['consumers killed']} kills of consumers, {counts['owners']} changes of owner",
            f"{ledger.delivered:,} deliveries of {sum(ledger.types.values()):,} events, "
            f"{events:,} of them file.completed under {sum(map(len, ledger.events.values())):,} ids",
            f"lost {len(self.lost)}, early {wrong.pop('early', 0)}, two ids for one version "
            f"{wrong.pop('two ids', 0)}, a position given twice {wrong.pop('position given twice', 0)}"
            f", other {sum(wrong.values())}",
            f"announced again because times were set after a close that nobody saw {ledger.again}",
            f"announced again under another id, after a power cut that took back a version with later "
            f"times {ledger.renamed}",
            f"slowest end after SIGTERM {self.slowest_stop:.2f} s",
        ]
        rest = {k: v for k, v in counts.items() if k.startswith(("answers", "starts refused"))}
        if rest:
            lines.append(", ".join(f"{k} {v}" for k, v in sorted(rest.items())))
        lines += [f"left out: {what}" for what in self.skipped]
        print("\n".join(lines), flush=True)
        for path, st in self.lost[:10]:
            print(f"  lost: {path} {st}")
            print(f"    finished {ledger.done.get(path)} {ledger.times.get(path)}")
            print(f"    told {ledger.events.get(path)}")
        for kind, cases in ledger.wrong.items():
            for case in cases[:5]:
                print(f"  {kind}: {case}")
        return not self.lost and not ledger.wrong

    def close(self, keep):
        for process in [*self.producers, *self.consumers, *self.workers, self.daemon]:
            if process is not None:
                process.kill()
        if keep:
            print(f"kept: {self.work}", flush=True)
            return
        if self.mounted:
            subprocess.run(["umount", str(self.journal_directory)], check=True)
        subprocess.run(["rm", "-rf", "--", str(self.work)], check=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--rate", type=float, default=2000, help="files a second, if the machine can"
    )
    parser.add_argument("--gap", type=float, default=0.6, help="mean seconds between two faults")
    parser.add_argument("--faults", help=", ".join(FAULTS))
    parser.add_argument("--producers", type=int, default=2)
    parser.add_argument("--keep-files", type=int, default=10000)
    parser.add_argument("--directory", help="where the tree is made")
    parser.add_argument("--keep", action="store_true", help="leave everything there if it failed")
    arguments = parser.parse_args()
    auditor = Auditor(arguments)
    auditor.lost = []
    good = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        try:
            auditor.run()
        except Failure as failure:
            auditor.ledger.wrong["failure"].append(str(failure))
        good = auditor.report()
        if not good:
            print(auditor.log.read_text(errors="replace")[-3000:])
    finally:
        auditor.close(keep=arguments.keep and not good)
    return 0 if good else 1


sys.exit(main())
