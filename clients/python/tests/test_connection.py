"""What is at the endpoint instead of a daemon is told apart, within three seconds; keys."""

import asyncio
import os
import socket
import subprocess
import threading
import time

import msgpack
import pytest
import zmq

import inotifier
from harness import PATIENCE, wait_for
from inotifier import aio
from inotifier.connection import read_keys
from inotifier.places import find
from programs import PYTHON, environment, keys, make_keys, put

# Told within three seconds: the client's own deadlines add up to that, and a busy machine wakes it
# late.
WITHIN = 3.0 + 0.5 * PATIENCE


async def open_async(kind, *arguments, **options):
    async with kind(*arguments, **options):
        pass


def open_any(client, endpoint, **options):
    """Returns when the client has connected."""
    if client == "consumer":
        inotifier.Consumer("c", endpoint=endpoint, **options).close()
    elif client == "requester":
        inotifier.Requester(endpoint, **options).close()
    elif client == "subscriber":
        inotifier.Subscriber(endpoint=endpoint, **options).close()
    elif client == "aio.consumer":
        asyncio.run(open_async(aio.Consumer, "c", endpoint=endpoint, **options))
    else:
        asyncio.run(open_async(aio.Subscriber, endpoint=endpoint, **options))


def refusal(error, client, endpoint, **options):
    """What it says."""
    start = time.monotonic()
    with pytest.raises(inotifier.ConnectionFailed) as caught:
        open_any(client, endpoint, **options)
    assert time.monotonic() - start < WITHIN
    assert type(caught.value) is error, caught.value
    assert endpoint in str(caught.value)
    return str(caught.value)


CLIENTS = ["consumer", "subscriber", "aio.consumer"]


@pytest.fixture
def listener():
    """A TCP port that takes connections and does `what` with them; "ignores", "garbage"."""
    ends = []

    def start(what):
        server = socket.create_server(("127.0.0.1", 0))
        taken = []

        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                taken.append(peer)
                if what == "garbage":
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 5)

        thread = threading.Thread(target=serve)
        thread.start()
        ends.append((server, thread, taken))
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server, thread, taken in ends:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        for peer in taken:
            peer.close()


@pytest.fixture
def peer(workdir):
    """A ZeroMQ socket of another program."""
    context = zmq.Context()
    made = []

    def make(kind, endpoint=None):
        made.append(context.socket(kind))
        made[-1].linger = 0
        endpoint = endpoint or f"ipc://{workdir}/peer"
        made[-1].bind(endpoint)
        return made[-1], endpoint

    yield make
    for each in made:
        each.close()
    context.term()


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_listens(client, workdir):
    told = refusal(inotifier.NothingListens, client, f"ipc://{workdir}/none", connect_timeout=0.5)
    assert "no such socket" in told and "inotifier run" in told


def test_nothing_listens_with_the_default_patience(workdir):
    refusal(inotifier.NothingListens, "consumer", f"ipc://{workdir}/none")


def test_nothing_listens_at_a_port(workdir):
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    told = refusal(inotifier.NothingListens, "requester", endpoint, connect_timeout=0.3)
    assert "nothing listens there" in told


def test_a_socket_that_a_dead_daemon_left(workdir):
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{workdir}/left")
    left.close()
    told = refusal(
        inotifier.NothingListens, "consumer", f"ipc://{workdir}/left", connect_timeout=0.3
    )
    assert "nothing listens there" in told


def test_a_file_is_no_socket(workdir):
    (workdir / "file").write_text("")
    told = refusal(
        inotifier.NothingListens, "consumer", f"ipc://{workdir}/file", connect_timeout=0.3
    )  # connect(2) says ECONNREFUSED of it
    assert "nothing listens there" in told


def test_no_access(workdir):
    """Root may connect to any socket, so it is tried as somebody else."""
    program = (
        "import sys, inotifier; inotifier.Consumer('c', endpoint=sys.argv[1], connect_timeout=0.3)"
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{workdir}/closed")
        server.listen()
        os.chmod(workdir / "closed", 0)
        done = subprocess.run(
            [PYTHON, "-B", "-c", program, f"ipc://{workdir}/closed"],
            env=environment(),
            user=65534 if os.geteuid() == 0 else None,
            stderr=subprocess.PIPE,
            text=True,
        )
    if "No module named" in done.stderr:
        pytest.skip("the checkout cannot be read by others")
    assert "HandshakeRefused" in done.stderr and "no access to the socket" in done.stderr


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("what", ["garbage", "ignores"])
def test_what_listens_does_not_speak_zeromq(client, what, listener):
    told = refusal(inotifier.NotInotifier, client, listener(what), connect_timeout=0.3)
    assert "does not speak ZeroMQ" in told


@pytest.mark.parametrize("client", ["consumer", "requester", "aio.consumer"])
def test_a_rep_socket_does_not_answer(client, peer):
    _, endpoint = peer(zmq.REP)
    told = refusal(inotifier.NotInotifier, client, endpoint, connect_timeout=0.5)
    assert "does not answer" in told and "[fetch]" in told


def test_a_rep_socket_publishes_nothing(peer):
    _, endpoint = peer(zmq.REP)
    told = refusal(inotifier.NotInotifier, "subscriber", endpoint)
    assert "publishes nothing" in told and "[publish]" in told


def test_the_publishers_endpoint_answers_no_requests(daemon):
    assert "answers no requests" in refusal(inotifier.NotInotifier, "consumer", daemon.endpoint)


@pytest.mark.parametrize("answer", [b"", b"hello", msgpack.packb({"ok": True}), msgpack.packb([1])])
def test_another_service_answers(answer, peer):
    router, endpoint = peer(zmq.ROUTER)

    def serve():
        router.send_multipart([*router.recv_multipart()[:-1], answer])

    thread = threading.Thread(target=serve)
    thread.start()
    told = refusal(inotifier.NotInotifier, "requester", endpoint)
    thread.join()
    assert "does not answer as inotifier does" in told


@pytest.mark.parametrize("protocol, advice", [(2, "update this package"), (0, "update the daemon")])
def test_a_daemon_of_another_protocol(protocol, advice, peer):
    router, endpoint = peer(zmq.ROUTER)

    def serve():
        hello = {"ok": True, "protocol": protocol, "version": "9.9", "stream": "s", "request": 0}
        router.send_multipart([*router.recv_multipart()[:-1], msgpack.packb(hello)])

    thread = threading.Thread(target=serve)
    thread.start()
    told = refusal(inotifier.ProtocolMismatch, "consumer", endpoint)
    thread.join()
    assert advice in told and "9.9" in told and f"protocol {protocol}" in told


@pytest.mark.parametrize("endpoint", ["udp://x", "/run/inotifier/fetch", "tcp://nowhere"])
def test_bad_endpoints(endpoint):
    told = refusal(inotifier.BadEndpoint, "consumer", endpoint)
    assert "tcp://127.0.0.1:7557" in told


def test_a_daemon_that_starts_later_is_waited_for(workdir, daemons):
    daemon = daemons(workdir)
    assert daemon.stop() == 0
    starter = threading.Timer(0.3, daemon.start)
    starter.start()
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint, connect_timeout=20) as consumer:
        starter.join()
        put(daemon, "a")
        assert consumer.next(10 * PATIENCE)


def test_a_daemon_that_is_killed_in_the_handshake_is_waited_for(workdir, daemons):
    daemon = daemons(workdir)
    assert daemon.stop() == 0
    path = daemon.fetch_endpoint[len("ipc://") :]
    dying = socket.socket(socket.AF_UNIX)
    dying.bind(path)
    dying.listen()

    def die_and_come_back():
        peer, _ = dying.accept()
        dying.close()
        os.unlink(path)
        peer.close()
        daemon.start()

    thread = threading.Thread(target=die_and_come_back)
    thread.start()
    with inotifier.Consumer("c", endpoint=daemon.fetch_endpoint, connect_timeout=20) as consumer:
        thread.join()
        put(daemon, "a")
        assert consumer.next(10 * PATIENCE)


@pytest.fixture
def places(monkeypatch, workdir):
    """No place but those in workdir; as the rule has them."""
    from inotifier import places

    uid = os.geteuid()
    for name in ("INOTIFIER_FETCH_ENDPOINT", "INOTIFIER_PUBLISH_ENDPOINT", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "RUNTIME", f"{workdir}/user")
    monkeypatch.setattr(places, "FALLBACK", f"{workdir}/tmp")
    monkeypatch.setattr(places, "SERVICE", f"{workdir}/service")
    return {
        "xdg": workdir / "xdg/inotifier",
        "user": workdir / f"user/{uid}/inotifier",
        "tmp": workdir / f"tmp/inotifier-{uid}",
        "service": workdir / "service",
    }


def found(purpose="fetch"):
    return find(purpose).endpoint


def test_where_the_daemon_is(monkeypatch, workdir, places):
    for place in ("service", "tmp", "user", "xdg"):  # the later ones go before
        places[place].mkdir(parents=True, mode=0o700)
        (places[place] / "fetch").touch()
        if place == "xdg":
            monkeypatch.setenv("XDG_RUNTIME_DIR", f"{workdir}/xdg/")
        assert found() == f"ipc://{places[place]}/fetch"
        assert found("publish") == f"ipc://{workdir}/service/publish", "the last, if none is there"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "xdg")  # not absolute: the specification ignores it
    assert found() == f"ipc://{places['user']}/fetch"
    (places["user"] / "fetch").unlink()
    places["tmp"].chmod(0o777)
    assert found() == f"ipc://{workdir}/service/fetch", "another may have put it there"
    monkeypatch.setenv("INOTIFIER_FETCH_ENDPOINT", "tcp://a:1")
    assert found() == "tcp://a:1"


@pytest.mark.parametrize(
    "text, chosen",
    [
        ('["ipc://{w}/none", "ipc://{w}/there"]', "ipc://{w}/there"),
        ("ipc://{w}/there,tcp://127.0.0.1:1", "ipc://{w}/there"),
        ("tcp://127.0.0.1:1, ipc://{w}/there", "ipc://{w}/there"),
        ("ipc://{w}/none,tcp://127.0.0.1:1", "ipc://{w}/none"),
        ('["tcp://*:7557"]', "tcp://127.0.0.1:7557"),
        ("tcp://0.0.0.0:7557", "tcp://127.0.0.1:7557"),
        ("tcp://[::]:7557", "tcp://[::1]:7557"),
    ],
)
def test_the_daemons_list_of_endpoints_serves_the_client(monkeypatch, workdir, text, chosen):
    (workdir / "there").touch()
    monkeypatch.setenv("INOTIFIER_FETCH_ENDPOINT", text.replace("{w}", str(workdir)))
    assert found() == chosen.replace("{w}", str(workdir))


@pytest.mark.parametrize("text", ['["{f}","tcp://127.0.0.1:*"]', "{f}, tcp://127.0.0.1:*"])
def test_one_variable_serves_daemon_and_client(monkeypatch, workdir, daemons, text):
    daemon = daemons(workdir)
    daemon.stop()
    value = text.replace("{f}", daemon.fetch_endpoint)
    daemon.environment = {**(daemon.environment or os.environ), "INOTIFIER_FETCH_ENDPOINT": value}
    daemon.start()
    monkeypatch.setenv("INOTIFIER_FETCH_ENDPOINT", value)
    with inotifier.Requester() as requester:
        assert requester.endpoint == daemon.fetch_endpoint


@pytest.mark.parametrize("runtime, other", [("xdg", "user"), ("user", "xdg")])
def test_every_place_that_was_tried_is_named(monkeypatch, workdir, places, runtime, other):
    if runtime == "xdg":
        monkeypatch.setenv("XDG_RUNTIME_DIR", f"{workdir}/xdg")
    with pytest.raises(inotifier.NothingListens) as caught:
        inotifier.Requester(connect_timeout=0)
    for name in (runtime, "tmp", "service"):
        assert f"ipc://{places[name]}/fetch" in str(caught.value)
    assert f"ipc://{places[other]}/fetch" not in str(caught.value)
    assert "INOTIFIER_FETCH_ENDPOINT" in str(caught.value)
    with pytest.raises(inotifier.NothingListens) as caught:
        inotifier.Requester(f"ipc://{workdir}/none", connect_timeout=0)
    assert "xdg" not in str(caught.value)


# --- keys


def test_the_right_key(workdir, secured):
    put(secured, "a")
    place = {"endpoint": secured.tcp["consumer"], **keys(workdir, "worker")}
    with inotifier.Consumer("c", types=["file.completed"], **place) as consumer:
        assert consumer.next(10 * PATIENCE).relative_path == "a"
    place = {"endpoint": secured.tcp["subscriber"], **keys(workdir, "worker")}
    with inotifier.Subscriber(types=["file.completed"], **place) as subscriber:
        wait_for(lambda: subscriber.next(0.1) or subscriber.live, what="a heartbeat")
        put(secured, "b")
        assert subscriber.next(10 * PATIENCE).relative_path == "b"


def test_keys_of_the_environment(workdir, secured, monkeypatch):
    for variable, path in keys(workdir, "worker").items():
        monkeypatch.setenv(f"INOTIFIER_{variable.upper()}", str(path))
    monkeypatch.setenv("INOTIFIER_FETCH_ENDPOINT", secured.tcp["consumer"])
    with inotifier.Requester() as requester:
        assert requester.hello["access"] == "all"


@pytest.mark.parametrize("client", ["consumer", "subscriber"])
def test_refused_keys(client, workdir, secured):
    endpoint = secured.tcp[client]
    told = refusal(inotifier.HandshakeRefused, client, endpoint, **keys(workdir, "stranger"))
    assert "refuses our keys" in told
    told = refusal(
        inotifier.HandshakeRefused, client, endpoint, **keys(workdir, "worker", "stranger")
    )
    assert "refuses our keys" in told
    told = refusal(inotifier.HandshakeRefused, client, endpoint)
    assert "wants CURVE keys" in told


def test_keys_for_a_daemon_without(workdir, secured):
    told = refusal(
        inotifier.HandshakeRefused, "subscriber", secured.endpoint, **keys(workdir, "worker")
    )
    assert "uses no keys" in told


def test_a_key_that_may_only_read(workdir, secured):
    place = {"endpoint": secured.tcp["consumer"], **keys(workdir, "reader")}
    with inotifier.Consumer("c", **place) as consumer:
        with pytest.raises(inotifier.RequestError) as caught:
            consumer.next(10 * PATIENCE)
    assert caught.value.code == "not_allowed" and 'access = "all"' in str(caught.value)


def test_key_files_that_are_wrong(tmp_path):
    for name in ("a", "b"):
        make_keys(tmp_path, name)
    secret, public = tmp_path / "a.key_secret", tmp_path / "b.key"
    assert read_keys(public, secret) is not None

    def refused(server_key, key):
        with pytest.raises(inotifier.BadKey) as caught:
            read_keys(server_key, key)
        return str(caught.value)

    assert "server_key" in refused(None, secret)
    assert "INOTIFIER_KEY" in refused(public, None)
    assert "copy it from its machine" in refused(tmp_path / "none", secret)
    assert "keygen NAME makes it" in refused(public, tmp_path / "none")
    assert "are of one pair" in refused(secret, secret)
    assert "are of one pair" in refused(tmp_path / "a.key", secret)
    assert "public key only" in refused(public, public), "not advice on its mode"
    assert "no regular file" in refused(tmp_path, secret)
    secret.chmod(0o640)
    assert "chmod 600" in refused(public, secret)
    secret.chmod(0o600)
    (tmp_path / "empty").write_text("")
    assert "public-key" in refused(tmp_path / "empty", secret)
    mixed = tmp_path / "mixed"
    mixed.touch(0o600)
    lines = secret.read_text().splitlines()[:-1] + [
        (tmp_path / "b.key_secret").read_text().splitlines()[-1]
    ]
    mixed.write_text("\n".join(lines))
    assert "two pairs" in refused(public, mixed)
    mixed.write_text('public-key = "short"')
    told = refused(mixed, secret)
    assert "40 of Z85" in told and "short" not in told
