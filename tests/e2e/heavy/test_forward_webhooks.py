"""inotifier-forward to webhooks: every file at least once, whatever the other side does."""

import json
import random
import signal
import threading
import time

import pytest

from forwarding import (
    FORWARD,
    Forwarder,
    Receiver,
    arrive,
    certificate,
    failures_of,
    signature_of,
)
from harness import wait_for

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA=="

pytestmark = pytest.mark.skipif(not FORWARD.exists(), reason="built without inotifier-forward")


@pytest.fixture(name="pem", scope="module")
def pem_(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(name="receiver")
def receiver_(pem):
    receiver = Receiver(pem).start()
    yield receiver
    receiver.stop()


@pytest.fixture(name="forward")
def forward_(processes, daemon, receiver):
    def start(*words, **options):
        to = ("--to", receiver.url, "--ca-file", receiver.pem)
        return Forwarder(processes, daemon, "file.completed", *to, *words, **options)

    return start


def names(count, prefix="f"):
    return [f"{prefix}{i}" for i in range(count)]


def test_each_file_comes_signed_in_a_request_of_its_own(daemon, receiver, forward):
    arrive(daemon.workdir / "in", *names(30))
    daemon.sentinel()
    environment = {"INOTIFIER_FORWARD_SECRET": SECRET, "INOTIFIER_FORWARD_TOKEN": "abc"}
    assert forward("--until-empty", environment=environment).wait() == 0
    assert receiver.names() == {name: 1 for name in [*names(30), "sentinel-1"]}
    for request in receiver.requests:
        [event] = request.events
        assert event["specversion"] == "1.0" and event["type"] == "file.completed"
        assert request.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert request.headers["webhook-id"] == event["id"]
        assert request.headers["Authorization"] == "Bearer abc"
        assert request.headers["webhook-signature"] == signature_of(SECRET, request)
        assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 300
    # All is acked: nothing comes again.
    assert forward("--until-empty").wait() == 0
    assert len(receiver.requests) == 31


def test_batches_are_signed_as_a_whole(daemon, receiver, forward):
    arrive(daemon.workdir / "in", *names(300))
    daemon.sentinel()
    secret = daemon.workdir / "secret"
    secret.write_text(SECRET + "\n")
    words = ("--batch", "50", "--parallel", "2", "--secret-file", secret)
    assert forward("--until-empty", *words).wait() == 0
    assert receiver.names() == {name: 1 for name in [*names(300), "sentinel-1"]}
    assert len(receiver.requests) < 100
    assert max(len(request.events) for request in receiver.requests) <= 50
    for request in receiver.requests:
        kind = "application/cloudevents-batch+json; charset=utf-8"
        assert request.headers["Content-Type"] == kind
        assert request.headers["webhook-signature"] == signature_of(SECRET, request)


def test_what_is_rejected_is_kept_with_the_words(daemon, receiver, forward):
    def answer(request):
        if any(event["data"]["path"].endswith("/f7") for event in request.events):
            return 422, {}, b"no such study"
        return 204

    receiver.answer = answer
    arrive(daemon.workdir / "in", *names(20))
    daemon.sentinel()
    assert forward("--until-empty", "--batch", "10").wait() == 0
    # In a batch with it nobody else is rejected.
    assert receiver.names() == {n: 1 for n in [*names(20), "sentinel-1"] if n != "f7"}
    [failed] = failures_of(daemon, "f")
    assert failed["reason"] == "HTTP 422: no such study"
    assert forward("--until-empty").wait() == 0
    assert len(failures_of(daemon, "f")) == 1


def test_a_receiver_that_is_gone_for_good_ends_it_and_nothing_is_acked(daemon, receiver, forward):
    receiver.answer = lambda request: 410
    arrive(daemon.workdir / "in", *names(5))
    daemon.sentinel()
    forwarder = forward()
    assert forwarder.wait() == 1
    assert "HTTP 410" in forwarder.text()
    receiver.answer = lambda request: 200
    assert forward("--until-empty").wait() == 0
    assert set(receiver.names()) == {*names(5), "sentinel-1"}


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(daemon, receiver, forward, status):
    refused = []

    def answer(request):
        if not refused:
            refused.append(request)
            return status, {"Retry-After": "3"}, b""
        return 200

    receiver.answer = answer
    arrive(daemon.workdir / "in", *names(5))
    daemon.sentinel()
    assert forward("--until-empty", "--parallel", "1").wait() == 0
    assert receiver.requests[1].time - refused[0].time >= 3
    assert set(receiver.names()) == {*names(5), "sentinel-1"}


def test_nothing_is_sent_to_a_server_that_cannot_prove_who_it_is(
    processes, daemon, receiver, forward
):
    arrive(daemon.workdir / "in", "a")
    daemon.sentinel()
    unproven = Forwarder(processes, daemon, "file.completed", "--to", receiver.url)
    unproven.wait_for_log("certificate")
    unproven.process.send_signal(signal.SIGTERM)
    assert unproven.wait() == 0
    assert receiver.requests == []
    assert forward("--until-empty").wait() == 0
    assert set(receiver.names()) == {"a", "sentinel-1"}


def test_a_stop_waits_for_what_was_sent(daemon, receiver, forward):
    held = threading.Event()
    receiver.answer = lambda request: 200 if held.wait(60) else 500
    arrive(daemon.workdir / "in", *names(3))
    daemon.sentinel()
    forwarder = forward()
    wait_for(lambda: len(receiver.requests) == 4, what="the requests")
    forwarder.process.send_signal(signal.SIGTERM)
    held.set()
    assert forwarder.wait() == 0
    log = [json.loads(line) for line in forwarder.text().splitlines()]
    assert log[-1]["message"] == "4 sent, 0 failed, 0 not sent"
    assert forward("--until-empty").wait() == 0
    assert len(receiver.requests) == 4


def test_a_receiver_that_fails_at_random_has_everything_in_the_end_in_order(
    daemon, receiver, forward
):
    chance = random.Random(1)
    lock = threading.Lock()

    def answer(request):
        with lock:
            luck = chance.random()
        if luck < 0.1:
            return 500
        if luck < 0.15:
            return 429, {"Retry-After": "0"}, b""
        if luck < 0.25:
            return Receiver.RESET
        if luck < 0.28:
            time.sleep(1.5)  # longer than --timeout
            return Receiver.RESET
        return 200

    receiver.answer = answer
    forwarder = forward("--timeout", "1", "--batch", "5", "--parallel", "8")
    for version in range(8):
        for name in names(25):
            arrive(daemon.workdir / "in", name, text=b"x" * (version + 1))
        daemon.sentinel(timeout=60)
    wanted = {m.event["id"] for m in daemon.collector.of("file.completed")}
    wait_for(lambda: {e["id"] for e in receiver.events()} >= wanted, 120, "every event")
    forwarder.process.send_signal(signal.SIGTERM)
    assert forwarder.wait() == 0
    last = {}
    for event in receiver.events():
        position = last.setdefault(event["subject"], event["sequence"])
        assert event["sequence"] >= position, event
        last[event["subject"]] = event["sequence"]
    assert failures_of(daemon, "f") == []


def test_whatever_is_killed_each_file_comes(processes, daemon, receiver, forward):
    """Forwarder, receiver and daemon in turn, by KILL, while files arrive."""
    writing = threading.Event()
    made = []

    def write():
        number = 0
        while not writing.is_set():
            arrive(daemon.workdir / "in", f"w{number}")
            made.append(f"w{number}")
            number += 1
            writing.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    chance = random.Random(2)
    forwarder = forward("--lease", "1", "--batch", "20")
    try:
        for turn in range(12):
            before = len(receiver.accepted)
            wait_for(lambda: len(receiver.accepted) > before, 60, "something to be accepted")
            if turn % 3 == 0:
                forwarder.process.kill()
                forwarder.process.wait()
                forwarder = forward("--lease", "1", "--batch", str(chance.choice([1, 7, 100])))
            elif turn % 3 == 1:
                receiver.stop()
                arrive(daemon.workdir / "in", f"down{turn}")
                made.append(f"down{turn}")
                receiver.start()
            else:
                daemon.process.kill()
                daemon.process.wait()
                daemon.start()
    finally:
        writing.set()
        writer.join()
    wait_for(lambda: set(receiver.names()) >= set(made), 120, "every file")
    forwarder.process.send_signal(signal.SIGTERM)
    assert forwarder.wait() == 0
    assert len(made) > 100
    assert failures_of(daemon, "f") == []


@pytest.mark.parametrize(
    "words, said",
    [
        (("--to", "https://u:secret@host/"), "a password on the command line"),
        (("--to", "gopher://host/"), "known are https://, nats://"),
        (("--to", "https://localhost/", "--stream", "X"), "--stream: goes with NATS JetStream"),
        (("--to", "hooks"), "a URL is expected"),
        (
            ("--to", "https://localhost/", "--secret-file", "/nowhere/at/all"),
            "open /nowhere/at/all",
        ),
    ],
)
def test_a_mistake_is_told_at_once(processes, daemon, words, said):
    forwarder = Forwarder(processes, daemon, *words)
    assert forwarder.wait() in (1, 2)
    assert said in forwarder.text()
    assert "secret@" not in forwarder.text()
