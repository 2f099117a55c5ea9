"""A daemon started anew that will have us no more is told of; one that was away is waited for."""

import asyncio
import inspect
import os
import socket
import subprocess
import threading

import pytest
import zmq

import inotifier
from durable import kill
from harness import PATIENCE, wait_for
from inotifier import aio, link
from programs import PYTHON, environment, keys, put

LIMIT = 10 * PATIENCE

CLIENTS = ["subscriber", "consumer", "aio.subscriber", "aio.consumer"]
CONSUMERS = ["consumer", "aio.consumer"]
REFUSED = "refuses our keys"


class Client:
    """One of ours, for threads or for event loops, with calls that return."""

    def __init__(self, kind, endpoint, **options):
        self._loop = asyncio.new_event_loop()
        package, name = (aio, kind[4:]) if kind.startswith("aio.") else (inotifier, kind)
        names = ("c",) if name == "consumer" else ()
        if name != "requester":
            options["types"] = ["file.completed"]
        self.client = getattr(package, name.capitalize())(*names, endpoint=endpoint, **options)
        self.endpoint = endpoint
        self._count = 0

    def call(self, name, *arguments):
        result = getattr(self.client, name)(*arguments)
        return self.wait(result) if inspect.isawaitable(result) else result

    def wait(self, awaitable):
        return self._loop.run_until_complete(asyncio.wait_for(awaitable, 30 * PATIENCE))

    def next(self, timeout=LIMIT):
        return self.call("next", timeout)

    def receives(self, daemon):
        """Until a file put from now on has come, and everything that was put before it."""
        written = []

        def comes():
            self._count += 1
            written.extend(put(daemon, f"f{self._count}"))
            event = self.next(0.2)
            while event is not None and event.path in written[:-1]:
                event = self.next(LIMIT)
            return event is not None and event.path == written[-1]

        wait_for(comes, 30, "an event")

    def is_told(self, what, call="next", arguments=(0.5,)):
        """Sooner or later: what came before may come first."""
        with pytest.raises(inotifier.HandshakeRefused) as caught:
            wait_for(lambda: self.call(call, *arguments) and False, what="a refusal")
        assert f"{self.endpoint}: " in str(caught.value) and what in str(caught.value)

    def is_told_for_good(self, what):
        self.is_told(what)
        if hasattr(self.client, "state"):
            assert self.client.state == "disconnected"
            self.is_told(what)  # having asked again
            return
        for timeout in (0, None):
            with pytest.raises(inotifier.HandshakeRefused, match=what):
                self.next(timeout)

    def close(self):
        self.call("close")
        self._loop.close()


@pytest.fixture
def clients(workdir, daemons):
    """They end before their daemon."""
    made = []

    def make(*arguments, **options):
        made.append(Client(*arguments, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


def connected(clients, kind, daemon, name="worker"):
    """One with a key that has received something."""
    purpose = kind.replace("aio.", "")
    given = keys(daemon.workdir, name) if name else {}
    client = clients(kind, daemon.tcp[purpose], connect_timeout=LIMIT, **given)
    client.receives(daemon)
    return client


def take_key(daemon):
    kill(daemon)
    (daemon.workdir / "clients" / "worker.key").rename(daemon.workdir / "worker.key")
    daemon.start()


def give_key_back(daemon):
    (daemon.workdir / "worker.key").rename(daemon.workdir / "clients" / "worker.key")


def take_security(daemon):
    """What its configuration said of keys."""
    kill(daemon)
    text = daemon.config.read_text()
    begin, end = text.index("[security]"), text.index("[[watch]]")
    daemon.config.write_text(text[:begin] + text[end:])
    daemon.start()
    return text


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_key_that_is_taken_away(kind, clients, secured):
    client = connected(clients, kind, secured)
    kill(secured)
    secured.start()
    client.receives(secured)
    take_key(secured)
    client.is_told_for_good(REFUSED)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_daemon_that_wants_no_keys_any_more(kind, clients, secured):
    client = connected(clients, kind, secured)
    take_security(secured)
    client.is_told_for_good("uses no keys")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_daemon_that_wants_keys_now(kind, clients, secured):
    text = take_security(secured)
    client = connected(clients, kind, secured, None)
    kill(secured)
    secured.config.write_text(text)
    secured.start()
    client.is_told_for_good("wants CURVE keys")


@pytest.mark.parametrize("kind", CONSUMERS)
def test_a_key_that_is_given_back(kind, clients, secured):
    client = connected(clients, kind, secured)
    take_key(secured)
    client.is_told(REFUSED)
    give_key_back(secured)

    def goes_on():
        try:
            client.receives(secured)
        except inotifier.HandshakeRefused:
            return False  # of before
        return True

    wait_for(goes_on, what="the consumer to go on")
    assert client.client.state == "owner"


@pytest.mark.parametrize("kind", CONSUMERS)
def test_every_call_of_a_consumer_tells_of_it(kind, clients, secured):
    client = connected(clients, kind, secured)
    put(secured, "a")
    client.call("done", client.next())
    take_key(secured)
    client.is_told(REFUSED, "keep_alive")
    client.is_told(REFUSED, "flush")
    client.is_told(REFUSED, "next_batch")
    client.is_told(REFUSED, "info", ())
    client.is_told(REFUSED, "seek", ("start",))
    give_key_back(secured)
    put(secured, "b")
    names = []

    def comes():
        try:
            names.append(client.next().relative_path)
        except inotifier.HandshakeRefused:
            pass  # of before
        return "b" in names

    wait_for(comes, what="b")
    assert "a" not in names, "the seek was made after all"


@pytest.mark.parametrize("kind", ["requester", "aio.requester"])
def test_a_requester_whose_key_is_taken_away(kind, clients, secured):
    client = clients(kind, secured.tcp["consumer"], **keys(secured.workdir, "worker"))
    assert client.call("request", "status")["ok"]
    take_key(secured)

    def ask():
        try:
            return client.call("request", "status")["ok"]
        except inotifier.NoAnswer:
            return False  # the connection was lost first

    with pytest.raises(inotifier.HandshakeRefused, match=REFUSED):
        wait_for(ask, what="a refusal")
    # Its new connection is refused as well: that is no answer to what is asked after it.
    assert client.client._operations.link._monitored.monitor.poll(1000 * LIMIT), "another refusal"
    give_key_back(secured)
    assert client.call("request", "status")["ok"]


@pytest.mark.parametrize("kind", ["subscriber", "aio.subscriber"])
@pytest.mark.parametrize("timeout", [0, LIMIT])
def test_a_subscriber_gives_out_first_what_has_arrived(kind, timeout, clients, secured):
    text = secured.config.read_text()
    secured.config.write_text(text.replace('heartbeat = "200ms"', 'heartbeat = "1h"'))
    kill(secured)
    secured.start(ready=False)
    client = connected(clients, kind, secured)
    (path,) = put(secured, "last")
    waiting = client.client._operations._monitored.socket
    wait_for(lambda: waiting.getsockopt(zmq.EVENTS) & zmq.POLLIN, what="the message")
    secured.config.write_text(text)
    take_key(secured)
    wait_for(lambda: "refused 127." in secured.log_text(), what="the refusal")
    assert client.next(timeout).path == path
    with pytest.raises(inotifier.HandshakeRefused, match=REFUSED):
        wait_for(lambda: client.next(timeout), what="the refusal")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_daemon_that_wanted_keys_and_is_gone_again_is_waited_for(kind, clients, workdir, daemons):
    """ZeroMQ itself gives up after the first."""
    daemon = daemons(workdir)
    endpoint = daemon.endpoint if "subscriber" in kind else daemon.fetch_endpoint
    client = clients(kind, endpoint)
    client.receives(daemon)
    daemon.collector.stop()  # it would come, too
    kill(daemon)
    path = endpoint[len("ipc://") :]
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as brief:
        brief.bind(path)
        brief.listen()
        brief.settimeout(LIMIT)
        peer, _ = brief.accept()
        os.unlink(path)
    with peer:
        peer.settimeout(LIMIT)
        # ZMTP 3.1, "greeting"
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\x01")
        peer.sendall(bytes(31))
        while peer.recv(100):
            pass  # until it hangs up
    assert client.next(0.2) is None
    daemon.start()
    client.receives(daemon)


def test_a_loop_ends_with_the_refusal(secured, caplog):
    """The thread that keeps the lease has nothing to say."""
    place = {"endpoint": secured.tcp["consumer"], **keys(secured.workdir, "worker")}
    put(secured, "a")
    seen = []
    with inotifier.Consumer("c", types=["file.completed"], lease=1, **place) as consumer:
        with pytest.raises(inotifier.HandshakeRefused, match=REFUSED):
            for event in consumer:
                seen.append(event.relative_path)
                take_key(secured)
                wait_for(lambda: secured.log_text().count("refused 127.") > 1, what="refusals")
    assert seen == ["a"]
    assert not caplog.records


@pytest.mark.parametrize("words", [(), ("--consumer", "c")])
def test_the_command_ends_with_the_refusal(words, secured, processes):
    endpoint = secured.tcp["consumer" if words else "subscriber"]
    command = [PYTHON, "-B", "-m", "inotifier", "file.completed", "--endpoint", endpoint, *words]
    for option, file in keys(secured.workdir, "worker").items():
        command += [f"--{option.replace('_', '-')}", str(file)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    program = processes(command, env=environment(), **pipes)
    first = threading.Thread(target=program.stdout.readline)
    first.start()

    def prints():
        put(secured, f"f{len(os.listdir(secured.workdir / 'in'))}")
        first.join(0.1)
        return not first.is_alive()

    wait_for(prints, 30, "an event")
    take_key(secured)
    _, told = program.communicate(timeout=30 * PATIENCE)
    assert program.returncode == 1
    assert told.startswith(f"inotifier: {endpoint}: the peer refuses our keys"), told


# --- asyncio alone


@pytest.mark.parametrize("kind", ["aio.subscriber", "aio.consumer"])
def test_all_tasks_hear_of_it(kind, clients, secured):
    client = connected(clients, kind, secured)
    take_security(secured)

    async def listen():
        while True:
            await client.client.next()

    async def three():
        return await asyncio.gather(*(listen() for _ in range(3)), return_exceptions=True)

    told = client.wait(three())
    assert [type(error) for error in told] == [inotifier.HandshakeRefused] * 3, told


@pytest.mark.parametrize("kind", ["aio.subscriber", "aio.consumer"])
def test_a_cancelled_call_does_not_take_the_refusal_with_it(kind, clients, secured, monkeypatch):
    client = connected(clients, kind, secured)
    take_security(secured)
    looking, go = threading.Event(), threading.Event()
    diagnose = link.diagnose

    def slowly(connection):
        looking.set()
        assert go.wait(LIMIT)
        return diagnose(connection)

    monkeypatch.setattr(link, "diagnose", slowly)

    async def cancel():
        task = asyncio.ensure_future(client.client.next())
        while not looking.is_set():
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    client.wait(cancel())
    go.set()
    client.is_told("uses no keys")


# --- a monitor that nobody reads

PROGRAM = """
import socket, sys, threading, zmq
from inotifier.connection import Connection, Monitored
server = socket.create_server(("127.0.0.1", 0))
endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
monitored = Monitored(Connection.of("fetch", endpoint, None, None, 1.0), zmq.DEALER)
monitored.socket.setsockopt(zmq.RECONNECT_IVL, 1)
monitored.connect()
for _ in range(int(sys.argv[1])):
    server.accept()[0].close()
print("broken", flush=True)
monitored.close()
zmq.Context.instance().term()
print("closed", flush=True)
"""


def test_a_connection_that_breaks_often_while_nobody_looks(processes):
    """Each tells the monitor twice; ZeroMQ's queue takes 2,000 where no limit is set."""
    command = [PYTHON, "-B", "-c", PROGRAM, "2500"]
    program = processes(command, env=environment(), stdout=subprocess.PIPE, text=True)
    told, _ = program.communicate(timeout=60 * PATIENCE)
    assert told.split() == ["broken", "closed"]
