"""Whoever may connect opens connections without end."""

import contextlib
import json
import resource
import socket
import subprocess

from harness import BINARY, Collector, wait_for, write

LIMIT = 256


@contextlib.contextmanager
def connections(endpoint, count):
    """So many, one after the other; they say nothing."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(before[0], min(count + 1000, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, before[1]))
    path = endpoint.removeprefix("ipc://")
    opened = []
    try:
        for _ in range(count):
            client = socket.socket(socket.AF_UNIX)
            opened.append(client)
            client.connect(path)  # blocks while the queue is full
        yield opened
    finally:
        for client in opened:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def status(daemon):
    told = subprocess.run(
        [BINARY, "status", "--json", "--endpoint", daemon.fetch_endpoint],
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(told.stdout) if told.returncode == 0 else None


def flood(workdir, daemons, endpoint_of):
    daemon = daemons(workdir, wrapper=("prlimit", f"--nofile={LIMIT}:{LIMIT}"))
    daemon.sentinel()
    with connections(endpoint_of(daemon), 2000) as opened:
        write("bulk", 100, 30, workdir / "in", "--bytes", 10)
        daemon.collector.wait(count=101, timeout=30)
        assert set(daemon.announced().values()) == {1}
        # Refused are all that found no room. Who said nothing for 5 s may have made room again.
        wait_for(lambda: is_over(opened[-1]), what="the end of the last connection")
        assert daemon.process.poll() is None
    text = daemon.log_text()
    assert text.count("new connections are refused") == 1
    assert f"raise the limit of open files, now {LIMIT}" in text
    assert "inotify_add_watch" not in text

    # New ones get through, of subscribers and of those who ask.
    late = Collector(daemon.endpoint)
    try:
        wait_for(lambda: late.heartbeats, what="a new subscriber's heartbeat")
        path = daemon.sentinel()
        late.wait(path=path)
    finally:
        late.stop()
    told = wait_for(lambda: status(daemon), what="the daemon's status", timeout=30)
    assert told["refused_connections"] > 1000
    assert daemon.stop() == 0


def is_over(client):
    """Whether the daemon has closed this connection, a greeting before that or not."""
    client.setblocking(False)
    try:
        while client.recv(100):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_connections_to_publish(workdir, daemons):
    flood(workdir, daemons, lambda daemon: daemon.endpoint)


def test_connections_to_fetch(workdir, daemons):
    flood(workdir, daemons, lambda daemon: daemon.fetch_endpoint)
