#!/usr/bin/env python3
"""Measures the daemon side by side with its peers and prints Markdown tables.

bench.py [--binary PATH] [--writer PATH] [--step PATH] [--directory DIR] [tree] [receiver] [latency]
[throughput] [publish] [step] [restart] [million] [django]; without a name all of them. A peer
that is not installed is left out.
"""

import argparse
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Callable, Dict

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.dont_write_bytecode = True

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--binary")
parser.add_argument("--writer")
parser.add_argument("--step", default="build/release/tests/step_bench")
parser.add_argument("--directory", default=tempfile.gettempdir(), help="on the disk to measure")
parser.add_argument("names", nargs="*")
arguments = parser.parse_args()
for variable, value in (("INOTIFIER", arguments.binary), ("INOTIFIER_WRITER", arguments.writer)):
    if value:
        os.environ[variable] = os.path.abspath(value)

import harness  # noqa: E402  (reads the environment)
import zmq  # noqa: E402


def table(title, head, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join("---" if i == 0 else "--:" for i in range(len(head))) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


class Work:
    """A directory with `in` and `out`, removed at the end."""

    def __init__(self, base):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-bench-", dir=base))
        self.root = self.path / "in"
        self.root.mkdir()
        (self.path / "out").mkdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["rm", "-rf", "--", str(self.path)], check=True)

    def fresh(self):
        subprocess.run(["rm", "-rf", "--", str(self.root)], check=True)
        self.root.mkdir()


def start_daemon(work, **watch):
    daemon = harness.Daemon(
        work.path,
        [{"name": "in", "path": work.root, **watch}],
        publish={
            "endpoint": f"ipc://{work.path}/daemon.sock",
            "heartbeat": "100ms",
            "high_water_mark": 2000000,
        },
        log={"level": "warning"},
    )
    return daemon


def stop_daemon(daemon):
    daemon.stop(30)
    daemon.collector.stop()


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) / 1024


# --- a large tree


def peer_inotifywait_tree(root):
    begin = time.monotonic()
    process = subprocess.Popen(
        ["inotifywait", "-m", "-r", "-e", "close_write,moved_to,create", str(root)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "Watches established" in line:
            break
    seconds = time.monotonic() - begin
    memory = resident(process.pid)
    process.kill()
    process.wait()
    return seconds, memory


def daemon_tree(work, existing):
    daemon = start_daemon(work, existing=existing)
    begin, begin_wall = time.monotonic(), time.time_ns()
    daemon.start(ready=False)
    message = daemon.collector.wait("watch.ready", timeout=300)[0]
    seconds = message.mono / 1e9 - begin
    # By the daemon's own time: behind 300,000 announcements it reaches a Python subscriber late.
    scanned = daemon.collector.wait("watch.scanned", timeout=300)[0]
    scanned = (harness.nanoseconds(scanned.event["time"]) - begin_wall) / 1e9
    memory = resident(daemon.process.pid)
    stop_daemon(daemon)
    return seconds, scanned, memory


def bench_tree():
    with Work(arguments.directory) as work:
        for i in range(100):
            (work.root / f"t{i}").mkdir()
            harness.write("bulk", 3000, 499, work.root / f"t{i}", "--bytes", 0)
        rows = []
        base = None
        if shutil.which("inotifywait"):
            peer_inotifywait_tree(work.root)  # fills the cache
            runs = [peer_inotifywait_tree(work.root) for _ in range(3)]
            base = min(r[0] for r in runs)
            rows.append(
                ("`inotifywait -m -r`", f"{base:.2f} s", "1.00", "–", f"{runs[0][1]:.0f} MB")
            )
        for existing, again in (("ignore", False), ("announce", False), ("announce", True)):
            runs = []
            for _ in range(3):
                if not again:
                    for file in work.path.glob("daemon-journal.db*"):
                        file.unlink()
                runs.append(daemon_tree(work, existing))
            seconds = min(r[0] for r in runs)
            rows.append(
                (
                    "the same, started again"
                    if again
                    else f"`inotifier run`, existing = {existing}",
                    f"{seconds:.2f} s",
                    f"{seconds / base:.2f}" if base else "–",
                    f"{min(r[1] for r in runs):.2f} s",
                    f"{max(r[2] for r in runs):.0f} MB",
                )
            )
    table(
        "50,000 directories, 300,000 files",
        ("", "watched after", "ratio", "all files decided after", "memory"),
        rows,
    )


# --- the nested receiver

WATCHDOG = """
import sys, time
from watchdog.observers import Observer
from watchdog.events import FileSystemEventHandler
class Handler(FileSystemEventHandler):
    def on_any_event(self, event):
        print(getattr(event, "dest_path", "") or event.src_path, flush=True)
observer = Observer()
observer.schedule(Handler(), sys.argv[1], recursive=True)
observer.start()
print("ready", flush=True)
while True:
    time.sleep(1)
"""

PYINOTIFY = """
import sys, pyinotify
manager = pyinotify.WatchManager()
class Handler(pyinotify.ProcessEvent):
    def process_default(self, event):
        print(event.pathname, flush=True)
notifier = pyinotify.Notifier(manager, Handler())
mask = pyinotify.IN_CREATE | pyinotify.IN_CLOSE_WRITE | pyinotify.IN_MOVED_TO
manager.add_watch(sys.argv[1], mask, rec=True, auto_add=True)
print("ready", flush=True)
notifier.loop()
"""


class Peer:
    """A program that prints paths, and its output."""

    def __init__(self, argv, ready):
        self.process = subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.lines = []
        self.last = time.monotonic()
        for line in self.process.stdout:
            if ready in line:
                break
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.last = time.monotonic()

    def quiet(self):
        """When nothing has come for two seconds."""
        self.last = time.monotonic()
        harness.wait_for(lambda: time.monotonic() - self.last > 2, 60, "quiet")
        self.process.kill()
        self.process.wait()
        self.thread.join()
        return self.lines


def bench_receiver(count=2000):
    peers = []
    if shutil.which("inotifywait"):
        events = "create,close_write,moved_to"
        words = ["inotifywait", "-m", "-r", "-e", events, "--format", "%w%f"]
        peers.append(("inotifywait", words, "Watches established"))
    for name, script in (("watchdog", WATCHDOG), ("pyinotify", PYINOTIFY)):
        if (
            subprocess.run(
                ["/usr/bin/python3", "-c", f"import {name}"], stderr=subprocess.DEVNULL
            ).returncode
            == 0
        ):
            peers.append((name, ["/usr/bin/python3", "-c", script], "ready"))
    rows = []
    with Work(arguments.directory) as work:
        for name, words, ready in peers:
            peer = Peer([*words, str(work.root)], ready)
            harness.write("nested-receiver", count, work.root, "--bytes", 1)
            finals = [line for line in peer.quiet() if re.search(r"/s/\d+$", line)]
            rows.append((name, len(set(finals)), len(finals) - len(set(finals)), "–"))
            work.fresh()
        daemon = start_daemon(work).start()
        records = harness.write("nested-receiver", count, work.root, "--bytes", 1)
        daemon.collector.wait(count=count, timeout=60)
        daemon.sentinel()
        announced = daemon.announced()
        counts = {p: n for p, n in announced.items() if re.search(rb"/s/\d+$", p)}
        early = "0"
        try:
            harness.assert_not_early(daemon.collector.of(), records)
        except AssertionError:
            early = "some"
        rows.append(("inotifier", len(counts), sum(counts.values()) - len(counts), early))
        stop_daemon(daemon)
    table(
        f"{count:,} × {{write `N.part`; mkdir `p`, `p/s`; rename to `p/s/N`}}, without a pause",
        ("", "final names reported", "reported twice", "before the rename"),
        rows,
    )


# --- latency


def percentile(values, p):
    values = sorted(values)
    return values[math.ceil(len(values) * p) - 1]


def bench_latency(count=500):
    rows = []
    for name, base in (("disk", arguments.directory), ("tmpfs", "/dev/shm")):
        for size, label in ((4096, "4 kB"), (1 << 20, "1 MB")):
            with Work(base) as work:
                daemon = start_daemon(work).start()
                records = harness.write("paced", count, work.root, "--bytes", size, "--pause", 5)
                messages = daemon.collector.wait(count=count, timeout=60)
                ends = harness.finished(records)
                waits = [(m.mono - ends[harness.path_of(m.event)]["mono"]) / 1e6 for m in messages]
                rows.append(
                    (
                        f"new files of {label}, {name}",
                        f"{statistics.median(waits):.2f} ms",
                        f"{percentile(waits, 0.99):.2f} ms",
                        f"{max(waits):.2f} ms",
                    )
                )
                waits = []
                for i in range(100):
                    path = work.root / f"rewritten{i % 10}"
                    records = harness.write("rewrite-loop", 1, path, "--bytes", size)
                    message = daemon.collector.wait(path=path, count=i // 10 + 1)[-1]
                    end = harness.finished(records)[os.fsencode(path)]
                    waits.append((message.mono - end["mono"]) / 1e6)
                rows.append(
                    (
                        f"rewritten files of {label}, {name}",
                        f"{statistics.median(waits):.2f} ms",
                        f"{percentile(waits, 0.99):.2f} ms",
                        f"{max(waits):.2f} ms",
                    )
                )
                stop_daemon(daemon)
    table("From the last close to the event's arrival", ("", "median", "99 %", "worst"), rows)


# --- throughput


class Counter(threading.Thread):
    """Counts the messages of a topic without decoding them."""

    def __init__(self, endpoint, topic):
        super().__init__(daemon=True)
        self.count, self.first, self.last, self.ended = 0, 0.0, 0.0, False
        self.ctx = zmq.Context()
        self.socket = self.ctx.socket(zmq.SUB)
        self.socket.set(zmq.RCVHWM, 0)
        self.socket.set(zmq.LINGER, 0)
        self.socket.set(zmq.SUBSCRIBE, topic)
        self.socket.set(zmq.SUBSCRIBE, b"heartbeat/")
        self.socket.connect(endpoint)
        self.joined = threading.Event()
        self.start()

    def run(self):
        while not self.ended:
            if not self.socket.poll(50):
                continue
            while True:
                try:
                    frames = self.socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                if frames[0] == b"heartbeat/":
                    self.joined.set()
                    continue
                self.last = time.monotonic()
                if self.count == 0:
                    self.first = self.last
                self.count += 1
        self.socket.close()
        self.ctx.term()

    def stop(self):
        self.ended = True
        self.join()


def bench_throughput(count=50000):
    rows = []
    for name, base in (("disk", arguments.directory), ("tmpfs", "/dev/shm")):
        with Work(base) as work:
            daemon = start_daemon(work).start()
            counter = Counter(daemon.endpoint, b"file.completed/")
            counter.joined.wait(10)
            records = harness.write("bulk", count, 500, work.root, "--bytes", 1000)
            harness.wait_for(lambda: counter.count >= count, 120, f"{count} events")
            written = (records[-1]["mono"] - records[0]["mono"]) / 1e9
            seconds = counter.last - records[0]["mono"] / 1e9
            counter.stop()
            stop_daemon(daemon)
            rows.append(
                (
                    f"{count:,} files of 1 kB in 500 new directories, {name}",
                    f"{count / written:,.0f} /s",
                    f"{count / seconds:,.0f} /s",
                )
            )
    table("Files per second, one writer without a pause", ("", "written", "announced"), rows)


def bench_publish(count=100000):
    rows = []
    for name, base in (("disk", arguments.directory), ("tmpfs", "/dev/shm")):
        with Work(base) as work:
            tree = work.path / "out" / "tree"
            tree.mkdir()
            harness.write("bulk", count, 100, tree, "--bytes", 1)
            daemon = start_daemon(work).start()
            daemon.collector.stop()  # leaves the processor to the daemon and one counter
            counter = Counter(daemon.endpoint, b"file.completed/")
            counter.joined.wait(10)
            begin = time.monotonic()
            tree.rename(work.root / "tree")
            harness.wait_for(lambda: counter.count >= count, 120, f"{count} events")
            seconds = counter.last - begin
            counter.stop()
            daemon.stop(30)
            rows.append(
                (f"{count:,} files, {name}", f"{seconds:.2f} s", f"{count / seconds:,.0f} /s")
            )
    table(
        "A tree that is moved in: listed, each file checked for writers, published, received",
        ("", "time", "events"),
        rows,
    )


# --- journal and recovery


def bench_step(files=200000):
    rows = []
    for name, base in (("disk", arguments.directory), ("tmpfs", "/dev/shm")):
        done = subprocess.run(
            [arguments.step, base, str(files)], stdout=subprocess.PIPE, text=True, check=True
        )
        for line in done.stdout.splitlines():
            what, count, _, rate, clock = line.split("\t")
            if what == "decide only" and name != "disk":
                continue
            where = "" if what == "decide only" else f", journal on {name}"
            by_clock = f"{int(count) / float(clock):,.0f} /s"
            rows.append((what + where, f"{int(rate):,} /s", by_clock))
    table(
        f"{files:,} completed files from raw record to PUB, file system in memory, one thread",
        ("", "by processor time", "by the clock"),
        rows,
    )


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(words):
    begin = time.monotonic()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def bench_restart():
    with Work(arguments.directory) as work:
        for i in range(100):
            (work.root / f"t{i}").mkdir()
            harness.write("bulk", 3000, 499, work.root / f"t{i}", "--bytes", 0)
        daemon = start_daemon(work).start(ready=False)
        daemon.collector.wait("watch.scanned", timeout=300)
        daemon.stop(30)
        find = ["find", str(work.root), "-type", "f", "-printf", "%s %T@ %i\\n"]
        timed(find)  # fills the cache
        finds, starts, memory, used = [], [], 0, []
        for _ in range(5):
            finds.append(timed(find))
            begin = time.time_ns()
            daemon.start(ready=False)
            scanned = daemon.collector.wait("watch.scanned", timeout=300)[0]
            starts.append((harness.nanoseconds(scanned.event["time"]) - begin) / 1e9)
            used.append(processor_seconds(daemon.process.pid))
            memory = max(memory, resident(daemon.process.pid))
            assert scanned.event["data"]["announced"] == 0
            daemon.stop(30)
        daemon.collector.stop()
    table(
        "A start over 300,000 known files in 50,000 directories, warm cache, best of 5",
        ("", "time", "ratio", "processor", "memory"),
        [
            ("`find -type f -printf '%s %T@ %i\\n'`", f"{min(finds):.2f} s", "1.00", "–", "–"),
            (
                "from the start of the process to `watch.scanned`",
                f"{min(starts):.2f} s",
                f"{min(starts) / min(finds):.2f}",
                f"{min(used):.2f} s",
                f"{memory:.0f} MB",
            ),
        ],
    )


class Fetcher:
    """Requests by hand: what a client costs that decodes each event is no matter of the daemon."""

    def __init__(self, endpoint):
        import msgpack

        self.pack, self.unpack = msgpack.packb, msgpack.unpackb
        self.ctx = zmq.Context()
        self.socket = self.ctx.socket(zmq.REQ)
        self.socket.set(zmq.LINGER, 0)
        self.socket.connect(endpoint)

    def raw(self, **request):
        self.socket.send(self.pack(request))
        assert self.socket.poll(60000), "no reply"
        return self.socket.recv()

    def __call__(self, **request):
        reply = self.unpack(self.raw(**request))
        assert reply["ok"], reply
        return reply

    def stop(self):
        self.socket.close()
        self.ctx.term()


def replay(daemon, fetcher, decode):
    """Reads the whole journal; events a second, the daemon's processor time, ours."""
    stream = fetcher(op="hello")["stream"]
    ack = {}
    count = 0
    begin = time.monotonic()
    ours, daemons = time.process_time(), processor_seconds(daemon.process.pid)
    consumer = "decoded" if decode else "counted"
    while True:
        reply = fetcher.raw(op="fetch", consumer=consumer, client="bench", limit=4096, **ack)
        if decode:
            body = fetcher.unpack(reply)
            number, cursor = len(body["events"]), body["cursor"]
        else:
            number = reply.count(b"\xabspecversion")
            at = reply.rindex(b"\xa6cursor\xb4") + 8
            cursor = reply[at : at + 20].decode()
        count += number
        if number == 0:
            break
        ack = {"stream": stream, "ack": cursor}
    seconds = time.monotonic() - begin
    return (
        count,
        count / seconds,
        processor_seconds(daemon.process.pid) - daemons,
        time.process_time() - ours,
    )


def bench_million(count=1_000_000):
    with Work(arguments.directory) as work:
        live = work.path / "live"
        live.mkdir()
        harness.write("bulk", count, 1, work.root, "--bytes", 1)
        daemon = start_daemon(work)
        config = daemon.config.read_text()
        daemon.config.write_text(config + f'[[watch]]\nname = "live"\npath = "{live}"\n')
        daemon.start(ready=False)
        daemon.collector.stop()
        context = zmq.Context()
        socket = context.socket(zmq.SUB)
        socket.set(zmq.SUBSCRIBE, b"file.completed/live/")
        socket.set(zmq.SUBSCRIBE, b"watch.scanned/in/")
        socket.set(zmq.LINGER, 0)
        socket.connect(daemon.endpoint)
        fetcher = Fetcher(daemon.fetch_endpoint)
        fetcher(op="hello")
        events, fetches, peak = [], [], 0
        begin = time.monotonic()
        scanned = False
        while not scanned:
            path = live / f"{len(events)}"
            path.write_bytes(b"x")
            written = time.monotonic()
            while True:
                assert socket.poll(60000), "no event"
                topic, _ = socket.recv_multipart()
                if topic == b"watch.scanned/in/":
                    scanned = True
                    break
                break
            if scanned:
                break
            events.append(time.monotonic() - written)
            asked = time.monotonic()
            fetcher(op="fetch", after="0", limit=1)
            fetches.append(time.monotonic() - asked)
            peak = max(peak, resident(daemon.process.pid))
            time.sleep(0.01)
        seconds = time.monotonic() - begin
        memory = resident(daemon.process.pid)
        socket.close()
        context.term()
        table(
            f"The first start on a directory with {count:,} files",
            ("", ""),
            [
                ("all announced after", f"{seconds:.1f} s"),
                ("memory at the end", f"{memory:.0f} MB"),
                ("most memory meanwhile", f"{peak:.0f} MB"),
                ("live events waited, median", f"{statistics.median(events) * 1000:.1f} ms"),
                ("live events waited, longest", f"{max(events) * 1000:.1f} ms"),
                ("fetches waited, median", f"{statistics.median(fetches) * 1000:.1f} ms"),
                ("fetches waited, longest", f"{max(fetches) * 1000:.1f} ms"),
            ],
        )
        rows = []
        for name, decode in (("counted", False), ("decoded in Python", True)):
            got, rate, daemons, ours = replay(daemon, fetcher, decode)
            rows.append(
                (
                    f"{got:,} events, {name}",
                    f"{rate:,.0f} /s",
                    f"{daemons:.2f} s",
                    f"{got / daemons:,.0f} /s",
                    f"{ours:.2f} s",
                )
            )
        fetcher.stop()
        daemon.stop(30)
    table(
        "One durable consumer reads the journal, 4,096 events a request, each acked",
        ("", "events", "daemon's processor time", "events a second of it", "client's"),
        rows,
    )


def bench_django():
    print("\ndjango: 10,000 events through inotifier_consume\n", flush=True)
    script = harness.PROJECT / "clients/django/tests/bench/django_bench.py"
    words = ["--binary", harness.BINARY, "--directory", arguments.directory]
    subprocess.run([sys.executable, "-B", str(script), *words], check=True)


BENCHES: Dict[str, Callable[[], None]] = {
    "tree": bench_tree,
    "receiver": bench_receiver,
    "latency": bench_latency,
    "throughput": bench_throughput,
    "publish": bench_publish,
    "step": bench_step,
    "restart": bench_restart,
    "million": bench_million,
    "django": bench_django,
}


def main():
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    kernel = os.uname().release
    print(f"Linux {kernel}, {os.cpu_count()} processors", flush=True)
    for name in arguments.names or BENCHES:
        BENCHES[name]()


main()
