"""`inotifier run` as a program: signals, endpoints, bad input, configuration."""

import os
import re
import signal
import socket
import subprocess
import time

import msgpack
import pytest
import zmq

from durable import Consumer, Service
from harness import BINARY, PATIENCE, Collector, fastest_stop, wait_for, write


def run(*words, **options):
    return subprocess.run(
        [BINARY, *[str(w) for w in words]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=20 * PATIENCE,
        **options,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_within_a_second(workdir, daemons, number):
    assert fastest_stop(lambda: daemons(workdir), number) < 1 * PATIENCE


def test_stops_within_a_second_whoever_does_not_read(workdir, daemons):
    """What is queued for a subscriber or a consumer may leave, but is not waited for."""
    context = zmq.Context()
    sockets = []  # one that nobody holds is closed
    told = 0

    def start():
        nonlocal told
        daemon = daemons(workdir)
        subscriber, consumer = context.socket(zmq.SUB), context.socket(zmq.DEALER)
        sockets.extend([subscriber, consumer])
        for stalled, endpoint in ((subscriber, daemon.endpoint), (consumer, daemon.fetch_endpoint)):
            stalled.setsockopt(zmq.RCVHWM, 1)
            stalled.setsockopt(zmq.RCVBUF, 4096)
            stalled.connect(endpoint)
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        assert subscriber.poll(10_000 * PATIENCE), "no heartbeat"
        told += 1500
        directory = workdir / "in" / str(told)
        directory.mkdir()
        write("bulk", 1500, 100, directory, "--bytes", 10)
        daemon.collector.wait(count=told, timeout=30)  # its journal is new: also those from before
        for number in range(8):
            page = {"op": "fetch", "request": number, "after": "0", "limit": 1500}
            consumer.send_multipart([b"", msgpack.packb(page)])
        wait_for(
            lambda: Service(daemon.fetch_endpoint).request("status"), what="the pages to be read"
        )
        return daemon

    assert fastest_stop(start) < 1 * PATIENCE
    context.destroy(linger=0)


def test_stops_while_it_waits_for_a_writer(workdir, daemon, stepped):
    writer = stepped(workdir, "held", workdir / "in" / "f")
    writer.wait_at("opened")
    daemon.sentinel()
    assert daemon.stop() == 0


def test_sigusr1_rescans(workdir, daemon):
    path = workdir / "in" / "f"
    path.write_bytes(b"x")
    daemon.collector.wait(path=path)
    daemon.signal(signal.SIGUSR1)
    daemon.collector.wait("watch.rescan")
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 1}


def test_second_daemon_on_one_socket_refuses(workdir, daemon):
    other = workdir / "other.toml"
    other.write_text(daemon.config.read_text())
    done = run("run", "-c", other)
    assert done.returncode == 1
    assert str(workdir / "daemon.sock") in done.stderr.decode()
    daemon.sentinel()  # the first one still has its socket


def test_socket_of_a_killed_daemon_is_taken_over(workdir, daemons):
    daemon = daemons(workdir)
    daemon.process.kill()
    daemon.process.wait()
    daemon.start()
    daemon.sentinel()


def test_garbage_on_the_endpoint(workdir, daemon):
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000, os.urandom(1 << 16), b""):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(5)
                s.connect(str(workdir / "daemon.sock"))
                try:
                    s.sendall(garbage)
                except OSError:
                    pass  # it may hang up on us
    daemon.sentinel()


def test_garbage_as_subscription(workdir, daemon):
    with zmq.Context() as ctx:
        xsub = ctx.socket(zmq.XSUB)
        xsub.linger = 0
        xsub.connect(daemon.endpoint)
        for message in (b"", b"\x01" + os.urandom(200), b"\x02", b"\xff" * 1000, b"\x01" * 100000):
            xsub.send(message)
            xsub.send_multipart([message, message, message])
        daemon.sentinel()
        xsub.close()


def test_tcp_endpoint(workdir, daemons):
    daemon = daemons(
        workdir, publish={"endpoint": "tcp://127.0.0.1:*", "heartbeat": "200ms"}, ready=False
    )

    def bound():
        return re.search(r"tcp://127\.0\.0\.1:(\d+)", daemon.log_text())

    port = wait_for(bound, what="the port in the log")[1]
    daemon.collector.stop()
    daemon.collector = Collector(f"tcp://127.0.0.1:{port}")
    daemon.wait_ready()
    daemon.sentinel()


def test_files_that_are_there_already(workdir, daemons):
    for i in range(50):
        directory = workdir / "in" / f"d{i}"
        directory.mkdir()
        (directory / "f").write_bytes(b"x")
    daemon = daemons(workdir)
    # Whether we heard of them depends on when we were connected; a rescan must not repeat them.
    assert set(daemon.announced().values()) <= {1}
    daemon.listen_anew()
    daemon.wait_ready()
    daemon.sentinel()
    daemon.signal(signal.SIGUSR1)
    daemon.collector.wait("watch.rescan")
    daemon.sentinel()
    assert not daemon.announced()


def test_existing_ignored(workdir, daemons):
    old = workdir / "in" / "old"
    old.write_bytes(b"x")
    daemon = daemons(workdir, {"existing": "ignore"})
    daemon.signal(signal.SIGUSR1)
    daemon.collector.wait("watch.rescan")
    daemon.sentinel()
    assert not daemon.announced()
    old.write_bytes(b"rewritten")
    daemon.collector.wait(path=old)


def test_several_watches_with_their_own_processors(workdir, daemons):
    roots = [workdir / name for name in ("plain", "chunks", "raw")]
    for root in roots:
        root.mkdir()
    processors = ["completed", "create-via-chunks", "all-events"]
    daemon = daemons(
        workdir,
        [
            {"name": root.name, "path": root, "processor": processor}
            for root, processor in zip(roots, processors)
        ],
    )
    for root in roots:
        (root / "direct").write_bytes(b"x")
        (root / "a.part").write_bytes(b"x")
        (root / "a.part").rename(root / "a")
    daemon.collector.wait(watch="plain", count=2)
    daemon.collector.wait(watch="chunks", path=roots[1] / "a")
    daemon.collector.wait("in_moved_to", watch="raw", path=roots[2] / "a")
    daemon.sentinel(daemon.watches[1])
    assert set(daemon.announced(watch="chunks")) == {os.fsencode(roots[1] / "a")}
    assert not daemon.collector.of("file.completed", watch="raw")
    raw = [m.event["type"] for m in daemon.collector.of(None, "raw", roots[2] / "a.part")]
    assert raw[0] == "in_create"
    assert raw[-1] == "in_moved_from"
    assert "in_close_write" in raw
    data = daemon.collector.of("in_moved_to", "raw", roots[2] / "a")[0].event["data"]
    assert data["cookie"] and data["mask"] and data["name"] == "a" and data["is_dir"] is False


def test_raw_events_beside_a_processor(workdir, daemons):
    daemon = daemons(workdir, {"events": ["file.completed", "in_create", "in_delete"]})
    path = workdir / "in" / "f"
    path.write_bytes(b"x")
    daemon.collector.wait(path=path)
    path.unlink()
    daemon.collector.wait("in_create", path=path)
    daemon.collector.wait("in_delete", path=path)


def test_stalled_temporary(workdir, daemons):
    daemon = daemons(workdir, {"stalled_after": "300ms"})
    part = workdir / "in" / "f.part"
    part.write_bytes(b"complete, but never renamed")
    daemon.collector.wait("file.stalled", path=part)
    part.rename(workdir / "in" / "f")
    daemon.collector.wait(path=workdir / "in" / "f")
    daemon.sentinel()
    assert len(daemon.collector.of("file.stalled", path=part)) == 1


def test_settle(workdir, daemons):
    daemon = daemons(workdir, {"settle": "400ms"})
    path = workdir / "in" / "f"
    for i in range(5):
        with open(path, "ab") as file:
            file.write(b"x")
    (message,) = daemon.collector.wait(path=path)
    assert message.event["data"]["size"] == 5
    assert message.real - path.stat().st_mtime_ns >= 390_000_000
    daemon.sentinel()
    assert len(daemon.collector.of(path=path)) == 1


def test_min_size(workdir, daemons):
    daemon = daemons(workdir, {"min_size": 6})
    path = workdir / "in" / "f"
    path.write_bytes(b"small")
    daemon.sentinel()
    assert not daemon.announced()
    path.write_bytes(b"larger")
    daemon.collector.wait(path=path)


def test_not_recursive(workdir, daemons):
    (workdir / "in" / "d").mkdir()
    daemon = daemons(workdir, {"recursive": False})
    (workdir / "in" / "d" / "f").write_bytes(b"x")
    (workdir / "in" / "e").mkdir()
    (workdir / "in" / "e" / "f").write_bytes(b"x")
    (workdir / "in" / "f").write_bytes(b"x")
    daemon.collector.wait(path=workdir / "in" / "f")
    daemon.sentinel()
    assert set(daemon.announced()) == {os.fsencode(workdir / "in" / "f")}


CONFIGURATION_ERRORS = {
    "syntax": ("[[watch]\n", None),
    "unknown key": ('[[watch]]\nname="a"\npath="/tmp"\nprocesor="completed"\n', "processor"),
    "unknown section": ('[publsh]\nendpoint="ipc:///tmp/x"\n', "publish"),
    "wrong type": ('[[watch]]\nname="a"\npath=5\n', "path"),
    "bad duration": ('[[watch]]\nname="a"\npath="/tmp"\nsettle="fast"\n', "settle"),
    "unknown processor": ('[[watch]]\nname="a"\npath="/tmp"\nprocessor="complete"\n', "completed"),
    "unknown event": (
        '[[watch]]\nname="a"\npath="/tmp"\nevents=["file.complete"]\n',
        "file.completed",
    ),
    "duplicate name": (
        '[[watch]]\nname="a"\npath="/tmp"\n[[watch]]\nname="a"\npath="/var"\n',
        "a",
    ),
    "bad name": ('[[watch]]\nname="a b"\npath="/tmp"\n', "name"),
    "bad endpoint": ('[publish]\nendpoint="http://localhost"\n', "endpoint"),
    "bad choice": ('[[watch]]\nname="a"\npath="/tmp"\nbackend="fanotify"\n', "backend"),
}


@pytest.mark.parametrize("verb", ["run", "check"])
@pytest.mark.parametrize("case", CONFIGURATION_ERRORS)
def test_configuration_errors(workdir, verb, case):
    text, hint = CONFIGURATION_ERRORS[case]
    path = workdir / "bad.toml"
    path.write_text(text)
    done = run(verb, "-c", path)
    assert done.returncode == 2
    message = done.stderr.decode()
    assert "bad.toml:" in message, message
    if hint:
        assert hint in message, message


def test_missing_configuration_file(workdir):
    done = run("run", "-c", workdir / "nowhere.toml")
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr.decode()


def test_environment_goes_before_the_file(workdir, daemons):
    (workdir / "second").mkdir()
    daemon = daemons(
        workdir,
        environment={
            "INOTIFIER_DAEMON_NAME": "from-environment",
        },
    )
    daemon.sentinel()
    assert daemon.collector.of()[0].event["source"] == "//from-environment/in"


def test_watches_from_the_environment(workdir, processes):
    endpoint = f"ipc://{workdir}/env.sock"
    environment = {
        **os.environ,
        "INOTIFIER_WATCH": f"{workdir}/in:{workdir}/out",
        "INOTIFIER_PUBLISH_ENDPOINT": endpoint,
        "INOTIFIER_PUBLISH_HEARTBEAT": "200ms",
        "INOTIFIER_FETCH_ENDPOINT": f"ipc://{workdir}/env-fetch.sock",
        "INOTIFIER_JOURNAL_PATH": f"{workdir}/env.db",
        "INOTIFIER_CONFIG": "/dev/null",
    }
    collector = Collector(endpoint)
    try:
        process = processes([BINARY, "run"], env=environment)
        wait_for(
            lambda: collector.heartbeats
            and {"watch.ready/in/", "watch.ready/out/"} <= set(collector.heartbeats[-1]["last"]),
            what="both watches",
        )
        (workdir / "out" / "f").write_bytes(b"x")
        collector.wait(watch="out", path=workdir / "out" / "f")
        process.terminate()
        assert process.wait(1 * PATIENCE) == 0
    finally:
        collector.stop()
    assert not collector.failures


def test_ready_daemon_of_another_working_directory(workdir, processes):
    """Directories as arguments may be relative."""
    endpoint = f"ipc://{workdir}/arg.sock"
    collector = Collector(endpoint)
    try:
        processes(
            [os.path.abspath(BINARY), "run", "in"],
            cwd=workdir,
            env={
                **os.environ,
                "INOTIFIER_PUBLISH_ENDPOINT": endpoint,
                "INOTIFIER_PUBLISH_HEARTBEAT": "200ms",
                "INOTIFIER_FETCH_ENDPOINT": f"ipc://{workdir}/arg-fetch.sock",
                "INOTIFIER_JOURNAL_PATH": f"{workdir}/arg.db",
                "INOTIFIER_CONFIG": "/dev/null",
            },
        )
        wait_for(lambda: collector.heartbeats, what="a heartbeat")
        (workdir / "in" / "f").write_bytes(b"x")
        collector.wait(path=workdir / "in" / "f")
    finally:
        collector.stop()


def test_a_subscriber_that_does_not_read_delays_nobody(workdir, daemons):
    publish = {
        "endpoint": f"ipc://{workdir}/daemon.sock",
        "heartbeat": "200ms",
        "high_water_mark": 100,
    }
    daemon = daemons(workdir, publish=publish)
    context = zmq.Context()
    stalled = context.socket(zmq.SUB)
    stalled.setsockopt(zmq.RCVHWM, 1)
    stalled.setsockopt(zmq.LINGER, 0)
    stalled.setsockopt(zmq.SUBSCRIBE, b"")
    stalled.connect(daemon.endpoint)
    assert stalled.poll(10_000 * PATIENCE), "no heartbeat"
    slowest = 0.0
    rounds, files = 120, 25  # few at once: half a high-water mark may still be accounted for
    for number in range(rounds):
        begin = time.monotonic()
        for i in range(files):
            (workdir / "in" / f"{'x' * 200}-{number}-{i}").write_bytes(b"x")
        daemon.collector.wait(count=(number + 1) * files)
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 2 * PATIENCE
    consumer = Consumer(daemon)
    consumer.drain()
    assert len(set(consumer.paths())) == rounds * files
    # What it missed shows in the first heartbeat after all that was kept for it.
    heard, last = 0, None
    end = daemon.collector.of()[-1].event["sequence"]
    while last != end:
        topic, body = stalled.recv_multipart()
        heard += topic == b"file.completed/in/"
        if topic == b"heartbeat/":
            last = msgpack.unpackb(body)["last"].get("file.completed/in/")
    assert heard < rounds * files, "it did read after all"
    stalled.close()
    context.term()
