"""Durable delivery, with nothing but ZeroMQ and MessagePack: what clients/README.md says."""

import os
import signal
import time
import uuid

import msgpack
import zmq

from harness import PATIENCE, wait_for


class Client:
    """A DEALER that behaves, or does not, as the test wants."""

    def __init__(self, daemon, **options):
        self.context = zmq.Context()
        self.daemon = daemon
        self.client = uuid.uuid4().hex
        self.stream = None
        self.number = 0
        self.open(**options)

    def open(self, **options):
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.connect(self.daemon.fetch_endpoint)

    def close(self):
        self.socket.close()
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def send(self, op, **arguments):
        self.number += 1
        body = {"op": op, "request": self.number, **arguments}
        self.socket.send_multipart([b"", msgpack.packb(body)])
        return self.number

    def receive(self, timeout=10):
        assert self.socket.poll(timeout * 1000 * PATIENCE), "no reply"
        frames = self.socket.recv_multipart()
        assert len(frames) == 2 and frames[0] == b""
        reply = msgpack.unpackb(frames[1])
        assert reply["protocol"] == 1
        self.stream = reply["stream"]
        return reply

    def ask(self, op, timeout=10, **arguments):
        number = self.send(op, **arguments)
        reply = self.receive(timeout)
        assert reply.get("request") == number, reply
        return reply

    def fetch(self, consumer="c", timeout=10, ack=None, **arguments):
        if ack is not None:
            arguments |= {"ack": ack, "stream": self.stream}
        return self.ask("fetch", timeout, consumer=consumer, client=self.client, **arguments)


def names(reply):
    return [os.path.basename(e["data"]["path"]) for e in reply["events"]]


def make(workdir, *wanted):
    for name in wanted:
        (workdir / "in" / (name + ".part")).write_text(name)
        (workdir / "in" / (name + ".part")).rename(workdir / "in" / name)


FILES = {"types": ["file.completed"]}


def test_a_poll_is_answered_when_a_file_is_finished(workdir, daemon):
    with Client(daemon) as client:
        hello = client.ask("hello")
        assert hello["ok"] and hello["access"] == "all"
        client.send("fetch", consumer="c", client=client.client, wait=30, **FILES)
        # Requests go on being answered while one waits.
        assert client.ask("status")["ready"]
        begin = time.monotonic()
        make(workdir, "a")
        reply = client.receive()
        assert time.monotonic() - begin < 5 * PATIENCE
        assert names(reply) == ["a"] and reply["created"]
        published = daemon.collector.wait(path=workdir / "in" / "a")[0].event
        assert reply["events"][0] == published
        make(workdir, "b", "c")
        daemon.collector.wait(count=3)
        reply = client.fetch(ack=reply["cursor"])
        assert names(reply) == ["b", "c"] and reply["behind"] == 0
        (entry,) = client.ask("consumers")["consumers"]
        assert entry["name"] == "c" and entry["behind"] >= 2 and entry["owned"]


def test_what_was_not_acked_comes_again_after_a_kill(workdir, daemons):
    daemon = daemons(workdir)
    wanted = [f"f{i}" for i in range(200)]
    make(workdir, *wanted)
    daemon.collector.wait(count=200)
    done = []
    with Client(daemon) as client:
        reply = client.fetch(limit=50, **FILES)
        done += [e["id"] for e in reply["events"]]
        reply = client.fetch(limit=50, ack=reply["cursor"])
        delivered = [e["id"] for e in reply["events"]]
        # Between delivery and ack.
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        daemon.start()
        again = client.fetch(limit=50)
        assert [e["id"] for e in again["events"]] == delivered
        # Delivered before the kill, acked after it.
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        daemon.start()
        assert client.ask(
            "ack",
            consumer="c",
            client=client.client,
            stream=client.stream,
            ack=again["cursor"],
        )["ok"]
        done += delivered
        reply = again
        while True:
            reply = client.fetch(ack=reply["cursor"])
            if not reply["events"]:
                break
            done += [e["id"] for e in reply["events"]]
        assert len(done) == len(set(done)) == 200


def test_a_new_journal_is_another_stream(workdir, daemons):
    daemon = daemons(workdir)
    make(workdir, "a")
    daemon.collector.wait()
    with Client(daemon) as client:
        reply = client.fetch(**FILES)
        stream = client.stream
        assert daemon.stop() == 0
        for suffix in ("", "-wal", "-shm"):
            journal = daemon.journal.with_name(daemon.journal.name + suffix)
            journal.unlink(missing_ok=True)
        daemon.start()
        error = client.fetch(ack=reply["cursor"])
        assert error["error"]["code"] == "stream_changed"
        assert client.stream != stream
        assert names(client.fetch(wait=10, **FILES)) == ["a"]


def test_take_over(workdir, daemon):
    make(workdir, "a")
    daemon.collector.wait()
    with Client(daemon) as one, Client(daemon) as two:
        first = one.fetch(lease=1, **FILES)
        assert two.fetch()["standby"]["expires_in"] <= 1
        begin = time.monotonic()
        reply = two.fetch(wait=30)
        assert names(reply) == ["a"]
        assert time.monotonic() - begin < 10 * PATIENCE
        assert one.fetch(ack=first["cursor"])["error"]["code"] == "not_owner"
        two.send(
            "fetch",
            consumer="c",
            client=two.client,
            wait=30,
            ack=reply["cursor"],
            stream=two.stream,
        )
        one.send("fetch", consumer="c", client=one.client, wait=30)
        make(workdir, "b")
        assert names(two.receive()) == ["b"]
        assert two.ask("release", consumer="c", client=two.client)["ok"]
        assert names(one.receive()) == ["b"]


def test_state_gives_what_is_there(workdir, daemons):
    daemon = daemons(workdir)
    wanted = [f"f{i}" for i in range(1500)]
    make(workdir, *wanted)
    daemon.collector.wait(count=1500, timeout=30)
    ids = {m.event["id"] for m in daemon.collector.of()}
    with Client(daemon) as client:
        got = []
        reply = client.fetch(start="state", wait=1, **FILES)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        daemon.start()

        def drained():
            nonlocal reply
            got.extend(e["id"] for e in reply["events"])
            reply = client.fetch(ack=reply["cursor"], wait=1)
            return not reply["events"] and len(got) >= 1500

        wait_for(drained, 30, "the state")
        assert len(got) == len(set(got)) and set(got) == ids


def test_failures(workdir, daemon):
    make(workdir, "a", "b")
    daemon.collector.wait(count=2)
    with Client(daemon) as client:
        reply = client.fetch(**FILES)
        failing = reply["events"][0]
        me = {"consumer": "c", "client": client.client}
        failed = client.ask(
            "fail",
            stream=client.stream,
            position=failing["sequence"],
            reason="exit 3",
            tries=10,
            **me,
        )
        assert failed["failed"] == 1 and failed["kept"]
        assert names(client.fetch()) == ["b"]
        (entry,) = client.ask("failed", consumer="c")["failed"]
        assert entry["event"] == failing and entry["reason"] == "exit 3" and entry["tries"] == 10
        client.send("fetch", wait=30, ack=reply["cursor"], stream=client.stream, **me)
        with Client(daemon) as other:
            assert other.ask("retry", consumer="c")["retried"] == 1
        again = client.receive()
        assert [e["id"] for e in again["events"]] == [failing["id"]]
        assert again["events"][0]["sequence"] > reply["cursor"]


def test_hostile_input_stops_nobody(workdir, daemon):
    context = zmq.Context()
    endpoint = daemon.fetch_endpoint

    def dealer(*messages):
        socket = context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 1000)
        socket.connect(endpoint)
        for frames in messages:
            socket.send_multipart(frames)
        return socket

    nested = b"\x91" * 60000
    bomb = b"\xdf\xff\xff\xff\xff" + b"\xa1x\xc0" * 10
    sockets = [
        dealer(*[[os.urandom(n)] for n in range(1, 400)]),
        dealer([b""], [b"", b""], [nested], [bomb], [b"\xc1"], [b"x" * 70000]),
        dealer([b"x"] * 16, [b"x"] * 17, [b"x"] * 5000, [b"x" * 5000, b"y"]),
        dealer([b"x" * (2 << 20)]),
        dealer([b"x" * (2 << 20), b"y"]),
        # Unread: what is dropped is only this peer's.
        dealer(*[[msgpack.packb({"op": "status"})]] * 10_000),
        dealer(*[[msgpack.packb({"op": "fetch", "after": "0", "wait": 60})]] * 3000),
    ]
    # A connection that is no ZeroMQ.
    import socket as sockets_library

    raw = sockets_library.socket(sockets_library.AF_UNIX)
    raw.connect(endpoint.removeprefix("ipc://"))
    raw.sendall(os.urandom(100_000))
    with Client(daemon) as client:
        assert client.ask("hello")["ok"]
        make(workdir, "a")
        assert wait_for(lambda: names(client.fetch(wait=1, **FILES)), 10, "a") == ["a"]

        # Three messages had too many frames, or too much in them, or both.
        wait_for(lambda: client.ask("status")["malformed"] == 3, 10, "malformed")
        too_large = sockets[1]
        codes = []
        while len(codes) < 6:
            assert too_large.poll(5000 * PATIENCE)
            frames = too_large.recv_multipart()
            codes.append(msgpack.unpackb(frames[-1])["error"]["code"])
        assert sorted(codes) == ["bad_request"] * 5 + ["too_large"]
    raw.close()
    for socket in sockets:
        socket.close(linger=0)
    context.term()
    assert daemon.process.poll() is None


def test_a_consumer_that_does_not_read_delays_nobody(workdir, daemon):
    make(workdir, *[f"file-with-a-long-name-{'x' * 150}-{i}" for i in range(4000)])
    daemon.collector.wait(count=4000, timeout=60)
    with Client(daemon, RCVHWM=1) as stalled, Client(daemon) as client:
        client.ask("hello")
        before = daemon.rss()
        # Some 3 MB each: 1.5 GB, if they were kept.
        for _ in range(500):
            stalled.send("fetch", consumer="stalled", client="x", limit=4096)
        slowest = 0.0
        wait_for(lambda: client.ask("consumers")["consumers"], 10, "the stalled consumer")
        for i in range(20):
            begin = time.monotonic()
            make(workdir, f"n{i}")
            daemon.collector.wait(path=workdir / "in" / f"n{i}")
            client.ask("hello")
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 2 * PATIENCE
        # Eight replies, and what ZeroMQ and the allocator have besides.
        assert daemon.rss() - before < 150e6
        reply = client.ask("fetch", after="0", limit=4096)
        assert len(reply["events"]) >= 4020


def test_reading_without_a_consumer(workdir, daemon):
    make(workdir, "a", "b", "c")
    daemon.collector.wait(count=3)
    with Client(daemon) as client:
        reply = client.ask("fetch", after="0", limit=1, **FILES)
        seen = []
        while reply["events"]:
            seen += names(reply)
            reply = client.ask(
                "fetch", after=reply["cursor"], stream=client.stream, limit=1, **FILES
            )
        assert seen == ["a", "b", "c"]
        assert client.ask("consumers")["consumers"] == []
        reply = client.ask("fetch", since=daemon.collector.of()[1].event["time"], **FILES)
        assert names(reply)[-1] == "c"


def test_a_request_and_its_reply_take_a_moment(workdir, daemon):
    """No reply waits for the next tick of anything: the descriptor of the socket tells changes only,
    and what it does not tell must be asked for."""
    with Client(daemon) as client:
        client.ask("hello")
        times = []
        for _ in range(2000):
            begin = time.monotonic()
            client.ask("hello")
            times.append(time.monotonic() - begin)
        # The heartbeat is every 200 ms: one that waited for it would show.
        assert sorted(times)[len(times) // 2] < 0.02 * PATIENCE
        # Many at once.
        for _ in range(1000):
            client.send("hello")
        begin = time.monotonic()
        for _ in range(1000):
            client.receive()
        assert time.monotonic() - begin < 2 * PATIENCE
