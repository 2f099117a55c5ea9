"""The daemon, its writers and a subscriber, as objects a test can hold.

Nothing here sleeps to let something happen: one waits for a condition with a deadline. That
something did *not* happen is told by a sentinel: a file made afterwards whose event has come.
"""

import collections
import datetime
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import msgpack
import zmq

PROJECT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("INOTIFIER", str(PROJECT / "build/release/inotifier"))
WRITER = os.environ.get("INOTIFIER_WRITER", str(PROJECT / "build/release/tests/writer"))
SANITIZED = bool(os.environ.get("INOTIFIER_SANITIZE"))
# Deadlines are for a machine that is busy with other things; sanitized programs are slower still.
PATIENCE = 4 if SANITIZED else 1

Message = collections.namedtuple("Message", "topic event mono real")


def wait_for(condition, timeout=10, what="the condition", interval=0.005):
    """The first true value of condition()."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * PATIENCE} s in vain for {what}")
        time.sleep(interval)


def nanoseconds(rfc3339):
    """ "2026-01-02T03:04:05.123456789Z" -> nanoseconds since 1970."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{9})Z", rfc3339)
    assert match, f"no RFC 3339 time with nine decimals: {rfc3339}"
    whole = datetime.datetime.fromisoformat(match[1] + "+00:00")
    return int(whole.timestamp()) * 1_000_000_000 + int(match[2])


def path_of(event):
    """The path as bytes; b"" if the event has none."""
    data = event["data"]
    return data.get("path_bytes") or data.get("path", "").encode()


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value))


class Collector(threading.Thread):
    """Receives everything an endpoint publishes and checks what holds for every event."""

    def __init__(self, endpoint):
        super().__init__(daemon=True)
        self.messages = []
        self.heartbeats = []
        self.failures = []
        self._last = {}
        self._sequence = ""
        self._ids = set()
        self._ended = False
        self.ctx = zmq.Context()
        self.socket = self.ctx.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 2)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.connect(endpoint)
        self.start()

    def run(self):
        while not self._ended:
            if not self.socket.poll(50):
                continue
            while True:
                try:
                    frames = self.socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:
                    break
                mono, real = time.monotonic_ns(), time.time_ns()
                try:
                    self._take(frames, mono, real)
                except Exception as error:  # a test has to hear of it
                    self.failures.append(f"{error!r} in {frames!r}")
        self.socket.close()
        self.ctx.term()

    def _take(self, frames, mono, real):
        assert len(frames) == 2
        topic = frames[0].decode()
        body = msgpack.unpackb(frames[1], raw=False)
        if topic == "heartbeat/":
            self.heartbeats.append(body)
            return
        self._check(topic, body)
        self.messages.append(Message(topic, body, mono, real))

    def _check(self, topic, event):
        if event["sequence"] <= self._sequence and event["prevsequence"] == "0":
            self._last, self._ids = {}, set()  # the daemon was started anew
        assert event["specversion"] == "1.0"
        assert topic == f"{event['type']}/{event['data']['watch']}/"
        assert re.fullmatch("[0-9a-f]{32}", event["id"])
        assert re.fullmatch("[0-9]{20}", event["sequence"])
        nanoseconds(event["time"])
        if event["sequence"] <= self._sequence:
            self.failures.append(f"sequence does not rise: {event}")
        if topic in self._last and event["prevsequence"] != self._last[topic]:
            self.failures.append(f"prevsequence is not {self._last[topic]}: {event}")
        if event["id"] in self._ids:
            self.failures.append(f"id published twice: {event}")
        self._sequence = self._last[topic] = event["sequence"]
        self._ids.add(event["id"])

    def stop(self):
        self._ended = True
        self.join()

    def of(self, type="file.completed", watch=None, path=None):
        path = os.fsencode(path) if path is not None else None
        return [
            m
            for m in list(self.messages)
            if (type is None or m.event["type"] == type)
            and (watch is None or m.event["data"]["watch"] == watch)
            and (path is None or path_of(m.event) == path)
        ]

    def wait(self, type="file.completed", watch=None, path=None, count=1, timeout=10):
        what = f"{count} {type}" + (f" of {path}" if path is not None else "")

        def enough():
            found = self.of(type, watch, path)
            return found if len(found) >= count else None

        try:
            return wait_for(enough, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; received {self.summary()}") from None

    def summary(self):
        counts = collections.Counter(m.event["type"] for m in list(self.messages))
        return dict(counts)

    def paths(self, type="file.completed", watch=None):
        """How often each path was told."""
        return collections.Counter(path_of(m.event) for m in self.of(type, watch))


class Daemon:
    """`inotifier run` on a configuration of the test's, with a subscriber of its own."""

    def __init__(
        self, workdir, watches, name="daemon", environment=None, binary=BINARY, **sections
    ):
        self.workdir = pathlib.Path(workdir)
        self.watches = watches
        self.name = name
        self.binary = binary
        self.endpoint = f"ipc://{self.workdir}/{name}.sock"
        self.fetch_endpoint = f"ipc://{self.workdir}/{name}-fetch.sock"
        self.journal = self.workdir / f"{name}-journal.db"
        self.config = self.workdir / f"{name}.toml"
        self.log = self.workdir / f"{name}.log"
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.collector = None
        self._sentinels = 0
        self._before = 0
        self._stream_before = None
        sections = {
            "publish": {"endpoint": self.endpoint, "heartbeat": "200ms"},
            "fetch": {"endpoint": self.fetch_endpoint},
            "journal": {"path": self.journal},
            "log": {"level": "debug"},
            **sections,
        }
        text = ""
        for section, values in sections.items():
            text += f"[{section}]\n"
            text += "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        for watch in watches:
            text += "[[watch]]\n"
            text += "".join(f"{key} = {toml(value)}\n" for key, value in watch.items())
        self.config.write_text(text)

    def start(self, wrapper=(), ready=True):
        # Positions of this run are above this one, unless its journal is another one.
        seen = max((int(m.event["sequence"]) for m in self._heard()), default=0)
        self._before = max(self._before, seen, int(time.time()) << 20)
        if self.collector is not None and self.collector.heartbeats:
            self._stream_before = self.collector.heartbeats[-1]["stream"]
        self.listen_anew()
        self.process = subprocess.Popen(
            [*wrapper, str(self.binary), "run", "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=open(self.log, "ab"),
            stderr=subprocess.STDOUT,
            env=self.environment,
        )
        if ready:
            self.wait_ready()
        return self

    def fail_to_start(self):
        """What it says when it cannot start."""
        words = [str(self.binary), "run", "-c", str(self.config)]
        done = subprocess.run(
            words, stderr=subprocess.PIPE, env=self.environment, timeout=10 * PATIENCE, text=True
        )
        assert done.returncode == 1, done.stderr
        return done.stderr

    def _heard(self):
        return list(self.collector.messages) if self.collector else []

    def listen_anew(self):
        """A new subscriber, which has heard nothing yet."""
        if self.collector is not None:
            self.collector.stop()
        self.collector = Collector(self.endpoint)

    def wait_ready(self, timeout=20):
        """Until every watch has said watch.ready, to us or, before we listened, to nobody."""
        wanted = {f"watch.ready/{w['name']}/" for w in self.watches}

        def ready():
            assert self.process.poll() is None, f"the daemon ended: {self.log_text()}"
            return wanted <= self.told()

        wait_for(ready, timeout, "watch.ready")

    def told(self):
        """Topics of which this run published at least one event, also before we were connected."""
        topics = {m.topic for m in list(self.collector.messages)}
        if self.collector.heartbeats:
            heartbeat = self.collector.heartbeats[-1]
            known = self._stream_before in (None, heartbeat["stream"])
            before = self._before if known else 0
            topics |= {topic for topic, at in heartbeat["last"].items() if int(at) > before}
        return topics

    def sentinel(self, watch=None, timeout=10):
        """Returns when everything that the kernel told of this watch before has been looked at."""
        watch = watch or self.watches[0]
        self._sentinels += 1
        path = pathlib.Path(watch["path"]) / f"sentinel-{self._sentinels}"
        part = path.with_name(path.name + ".part")
        part.write_bytes(b"sentinel")
        part.rename(path)
        self.collector.wait(path=path, timeout=timeout)
        return path

    def announced(self, watch=None, type="file.completed"):
        """How often each path was told, sentinels left out."""
        return collections.Counter(
            {
                path: n
                for path, n in self.collector.paths(type, watch).items()
                if not re.search(rb"/sentinel-\d+$", path)
            }
        )

    def signal(self, number):
        self.process.send_signal(number)

    def log_text(self):
        return self.log.read_text(errors="replace")

    def stop(self, timeout=10.0):
        """SIGTERM; the exit code. How long it may take: fastest_stop()."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still there {timeout * PATIENCE} s after SIGTERM") from None

    def rss(self):
        """Resident memory in bytes."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024


def fastest_stop(start, number=signal.SIGTERM, tries=3):
    """Seconds from a signal to the end of the daemon that start() returns; the least of some, because
    a busy machine can only add to it."""
    times = []
    for _ in range(tries):
        daemon = start()
        begin = time.monotonic()
        daemon.signal(number)
        assert daemon.process.wait(10 * PATIENCE) == 0
        times.append(time.monotonic() - begin)
    return min(times)


def parse_log(text):
    records = []
    for line in text.splitlines():
        record = json.loads(line)
        record["path"] = urllib.parse.unquote_to_bytes(record["path"])
        records.append(record)
    return records


def write(*arguments):
    """Runs a writer to its end; its log."""
    words = [str(a) for a in arguments]
    done = subprocess.run([WRITER, *words], stdout=subprocess.PIPE, check=True)
    return parse_log(done.stdout.decode())


def finished(records):
    """path -> the last close or rename of it, taken before the call."""
    ends = ("close-before", "rename-before", "link-before")
    result = {}
    for record in records:
        if record["what"] in ends:
            old = result.get(record["path"])
            if old is None or record["mono"] > old["mono"]:
                result[record["path"]] = record
    return result


class SteppedWriter:
    """A writer that waits at its pauses until it is told to go on."""

    def __init__(self, workdir, command, *arguments):
        self.log = pathlib.Path(workdir) / f"writer-{time.monotonic_ns()}.log"
        words = [str(a) for a in arguments]
        self.process = subprocess.Popen(
            [WRITER, command, "--step", "--log", str(self.log), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_at(self, where):
        line = self.process.stdout.readline()
        assert line == f"at {where}\n", f"expected {where}, the writer is {line!r}"

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def finish(self):
        """Lets it run to its end; its log."""
        self.go()
        assert self.process.wait(10 * PATIENCE) == 0
        return parse_log(self.log.read_text())

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def assert_not_early(messages, records):
    """No announcement of a path before its last close or rename was begun."""
    ends = finished(records)
    early = []
    for message in messages:
        end = ends.get(path_of(message.event))
        if end is None:
            continue
        if message.mono < end["mono"] or nanoseconds(message.event["time"]) < end["real"]:
            early.append((path_of(message.event), message.mono - end["mono"]))
    assert not early, f"{len(early)} announced too early: {early[:5]}"


def assert_final(messages):
    """What was said of the files is what they are now."""
    for message in messages:
        data = message.event["data"]
        st = os.lstat(path_of(message.event))
        told = (int(data["size"]), data["inode"])
        assert told == (st.st_size, str(st.st_ino)), f"{data} but the file is {st}"
