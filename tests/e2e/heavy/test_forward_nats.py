"""inotifier-forward to NATS JetStream: each file in the stream, and once inside its duplicate window."""

import random
import signal
import threading

import pytest

from forwarding import FORWARD, Forwarder, arrive, certificate, failures_of
from harness import wait_for
from jetstream import Nats, NatsServer

pytestmark = pytest.mark.skipif(not FORWARD.exists(), reason="built without inotifier-forward")


@pytest.fixture(name="server")
def server_(processes, tool, workdir):
    return NatsServer(processes, tool("nats-server"), workdir / "out").start()


@pytest.fixture(name="forward")
def forward_(processes, daemon, server):
    def start(*words, to=None, **options):
        to = ("--to", to or server.url, "--stream", "FILES")
        return Forwarder(processes, daemon, "file.completed", *to, *words, **options)

    return start


@pytest.fixture(name="nats")
def nats_(server):
    nats = Nats(server)
    yield nats
    nats.close()


def names(count, prefix="f"):
    return [f"{prefix}{i}" for i in range(count)]


def test_each_file_is_in_the_stream_once(daemon, nats, forward):
    arrive(daemon.workdir / "in", *names(500))
    daemon.sentinel()
    assert forward("--until-empty", "--create-stream").wait() == 0
    stored = nats.messages("FILES")
    told = [m.event for m in daemon.collector.of("file.completed")]
    assert [each.headers["Nats-Msg-Id"] for each in stored] == [event["id"] for event in told]
    for each, event in zip(stored, told):
        assert each.subject == "inotifier.in.file.completed"
        assert each.event["id"] == event["id"]
        assert each.event["data"]["path"] == event["data"]["path"]
        assert each.headers["Content-Type"] == "application/cloudevents+json"
        assert each.headers["ce-type"] == "file.completed"
        assert each.headers["ce-subject"] == event["subject"]
    assert forward("--until-empty").wait() == 0
    assert nats.count("FILES") == 501


def test_a_stream_is_neither_made_nor_changed_unasked(daemon, nats, forward):
    daemon.sentinel()
    forwarder = forward("--until-empty")
    assert forwarder.wait() == 1
    assert "stream FILES" in forwarder.text() and "--create-stream" in forwarder.text()
    nats.make_stream("FILES", max_msgs=77)
    assert forward("--until-empty", "--create-stream").wait() == 0
    assert nats.info("FILES")["config"]["max_msgs"] == 77
    assert nats.count("FILES") == 1


def test_a_full_stream_is_lag_and_no_loss(daemon, nats, forward):
    nats.make_stream("FILES", max_msgs=3, discard="new")
    arrive(daemon.workdir / "in", *names(10))
    daemon.sentinel()
    forwarder = forward("--until-empty")
    forwarder.wait_for_log("maximum messages exceeded")
    nats.update_stream("FILES", max_msgs=100)
    assert forwarder.wait() == 0
    assert nats.names("FILES") == {name: 1 for name in [*names(10), "sentinel-1"]}
    assert failures_of(daemon, "f") == []


def test_an_event_that_is_too_large_for_the_stream_is_kept_as_failed(daemon, nats, forward):
    nats.make_stream("FILES", max_msg_size=2200)
    arrive(daemon.workdir / "in", "a", "b" * 240, "c")
    deep = daemon.workdir / "in" / ("d" * 240) / ("e" * 240)
    deep.mkdir(parents=True)
    arrive(deep, "f" * 200)
    daemon.collector.wait(path=deep / ("f" * 200))
    daemon.sentinel()
    assert forward("--until-empty").wait() == 0
    [failed] = failures_of(daemon, "f")
    assert failed["event"]["data"]["path"] == str(deep / ("f" * 200))
    assert "message size exceeds maximum allowed" in failed["reason"]
    assert nats.count("FILES") == 4


def secure(processes, tool, directory, **options):
    """A server with TLS and a password, and its certificate."""
    directory.mkdir()
    pem = certificate(directory, **options)
    config = (
        f'tls {{ cert_file: "{pem}", key_file: "{pem}" }}\n'
        'authorization { user: "files", password: "swordfish" }\n'
    )
    return NatsServer(processes, tool("nats-server"), directory, config).start(), pem


def test_the_server_proves_who_it_is_and_asks_for_a_password(
    processes, tool, workdir, daemon, forward
):
    server, pem = secure(processes, tool, workdir / "tls")
    elsewhere, foreign = secure(processes, tool, workdir / "other", names="DNS:other.example")
    to = f"tls://files@localhost:{server.port}"
    environment = {"INOTIFIER_FORWARD_PASSWORD": "swordfish"}
    words = ("--until-empty", "--create-stream")

    def refused(*more, to=to, environment=environment):
        forwarder = forward(*words, *more, to=to, environment=environment)
        forwarder.wait_for_log("trying again in")
        forwarder.wait_for_log("works as f")
        assert "connected to" not in forwarder.text()
        forwarder.process.send_signal(signal.SIGTERM)
        assert forwarder.wait() == 0

    daemon.sentinel()
    refused()  # its certificate is not known
    refused("--ca-file", foreign)
    refused("--ca-file", pem, environment={"INOTIFIER_FORWARD_PASSWORD": "other"})
    # A certificate that is known, of another host.
    refused("--ca-file", foreign, to=f"tls://files@localhost:{elsewhere.port}")
    forwarder = forward(*words, "--ca-file", pem, to=to, environment=environment)
    assert forwarder.wait() == 0
    assert "1 sent, 0 failed, 0 not sent" in forwarder.text()


def test_whatever_is_killed_each_file_is_in_the_stream_once(daemon, server, nats, forward):
    """Forwarder, server and daemon in turn, by KILL, while files arrive."""
    nats.make_stream("FILES", duplicate_window=600_000_000_000)
    nats.close()
    writing = threading.Event()
    made = []

    def write():
        while not writing.is_set():
            arrive(daemon.workdir / "in", f"w{len(made)}")
            made.append(f"w{len(made)}")
            writing.wait(0.002)

    def count():
        connection = Nats(server)
        try:
            return connection.count("FILES")
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    chance = random.Random(3)
    forwarder = forward("--lease", "1")
    try:
        for turn in range(12):
            before = count()
            wait_for(lambda: count() > before + 20, 60, "something in the stream", interval=0.05)
            if turn % 3 == 0:
                forwarder.process.kill()
                forwarder.process.wait()
                words = ("--in-flight", str(chance.choice([1, 50, 4096])))
                forwarder = forward("--lease", "1", *words)
            elif turn % 3 == 1:
                server.kill()
                server.start()
            else:
                daemon.process.kill()
                daemon.process.wait()
                daemon.start()
    finally:
        writing.set()
        writer.join()
    connection = Nats(server)
    try:
        wait_for(lambda: set(connection.names("FILES")) >= set(made), 120, "every file")
        forwarder.process.send_signal(signal.SIGTERM)
        assert forwarder.wait() == 0
        ids = [each.headers["Nats-Msg-Id"] for each in connection.messages("FILES")]
        assert len(ids) == len(set(ids))
        assert len(made) > 100
    finally:
        connection.close()
    assert failures_of(daemon, "f") == []
