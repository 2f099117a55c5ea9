"""Keys for tcp, refusals without them, and `inotifier keygen`, from outside the daemon."""

import os
import socket
import stat
import subprocess

import msgpack
import pytest
import zmq
import zmq.auth
import zmq.utils.monitor

from durable import kill
from harness import BINARY, PATIENCE, wait_for


def keygen(*words):
    return subprocess.run([BINARY, "keygen", *map(str, words)], capture_output=True, text=True)


def make_keys(directory, name, access=None):
    """(public, secret), as pyzmq reads what we wrote."""
    more = ["--access", access] if access else []
    done = keygen(name, "--dir", directory, *more)
    assert done.returncode == 0, done.stderr
    return zmq.auth.load_certificate(directory / f"{name}.key_secret")


@pytest.fixture
def keys(workdir):
    """The daemon's keys, the directory of clients, and one client's keys in it."""

    class Keys:
        server, _ = make_keys(workdir, "server")
        clients = workdir / "clients"
        clients.mkdir()
        worker = make_keys(workdir, "worker")
        security = {"server_key": workdir / "server.key_secret", "clients": clients}

        def admit(self, name):
            (workdir / f"{name}.key").rename(self.clients / f"{name}.key")

    made = Keys()
    made.admit("worker")
    return made


def tcp_of(daemon, what="publishing"):
    """The tcp endpoint that the daemon says it publishes on, or answers requests ("fetch")."""

    def find():
        assert daemon.process.poll() is None, daemon.log_text()
        for line in daemon.log_text().splitlines():
            if f"{what} on tcp://" in line:
                return line.rsplit(" ", 1)[1]
        return None

    return wait_for(find, what="a tcp endpoint")


def own_places(workdir):
    return {
        "fetch": {"endpoint": f"ipc://{workdir}/fetch.sock"},
        "journal": {"path": workdir / "journal.db"},
    }


def start_with_tcp(daemons, workdir, address="127.0.0.1", **sections):
    publish = {
        "endpoint": [f"ipc://{workdir}/daemon.sock", f"tcp://{address}:*"],
        "heartbeat": "200ms",
    }
    return daemons(workdir, publish=publish, **own_places(workdir), **sections)


class Subscriber:
    """Of everything, with keys or without; knows what became of its handshake."""

    def __init__(self, endpoint, server=None, pair=None):
        self.ctx = zmq.Context()
        self.socket = self.ctx.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        if pair:
            self.socket.curve_serverkey = server
            self.socket.curve_publickey, self.socket.curve_secretkey = pair
        self.monitor = self.socket.get_monitor_socket()
        self.socket.connect(endpoint)

    def handshake(self):
        """ "ok", "refused" (told so), or "failed"."""
        while self.monitor.poll(10_000 * PATIENCE):
            event = zmq.utils.monitor.recv_monitor_message(self.monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return "ok"
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                return "refused"
            if event in (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_DISCONNECTED):
                return "failed"
        return "silence"

    def hears(self, timeout=10):
        """Whether anything comes; heartbeats do, five times a second."""
        return bool(self.socket.poll(timeout * 1000 * PATIENCE))

    def next_event(self):
        while self.socket.poll(10_000 * PATIENCE):
            topic, body = self.socket.recv_multipart()
            if topic != b"heartbeat/":
                return msgpack.unpackb(body)
        raise AssertionError("no event came")

    def close(self):
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)
        self.ctx.term()


@pytest.fixture
def subscribe():
    made = []

    def start(*words, **more):
        made.append(Subscriber(*words, **more))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_a_known_key_receives_and_strangers_do_not(workdir, daemons, keys, subscribe):
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    endpoint = tcp_of(daemon)
    known = subscribe(endpoint, keys.server, keys.worker)
    assert known.handshake() == "ok"
    assert known.hears()

    stranger = subscribe(endpoint, keys.server, make_keys(workdir, "stranger"))
    assert stranger.handshake() == "refused"
    keyless = subscribe(endpoint)
    assert keyless.handshake() == "failed"
    other_server = subscribe(endpoint, make_keys(workdir, "other")[0], keys.worker)
    assert other_server.handshake() in ("failed", "silence")

    # The daemon goes on, and by the time it has told this file to those it knows, the others
    # would have heard at least one heartbeat.
    path = daemon.sentinel()
    event = known.next_event()
    while event["data"].get("path") != str(path):
        event = known.next_event()
    for each in (stranger, keyless, other_server):
        assert not each.hears(timeout=0)
    assert "is not in the directory of clients" in daemon.log_text()
    assert zmq.auth.load_certificate(workdir / "stranger.key")[0].decode() in daemon.log_text()


def test_ipc_needs_no_keys(workdir, daemons, keys):
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    daemon.sentinel()  # the harness listens on ipc, without keys
    assert stat.S_IMODE(os.stat(workdir / "daemon.sock").st_mode) == 0o660


def test_clients_come_and_go_without_a_restart(workdir, daemons, keys, subscribe):
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    endpoint = tcp_of(daemon)
    pair = make_keys(workdir, "late")
    assert subscribe(endpoint, keys.server, pair).handshake() == "refused"
    keys.admit("late")
    assert subscribe(endpoint, keys.server, pair).handshake() == "ok"
    (keys.clients / "late.key").unlink()
    assert subscribe(endpoint, keys.server, pair).handshake() == "refused"
    assert subscribe(endpoint, keys.server, keys.worker).handshake() == "ok"


def test_a_bad_key_file_refuses_its_own_client_only(workdir, daemons, keys, subscribe):
    (keys.clients / "broken.key").write_bytes(b"\xff\0 = \n" * 100)
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    assert subscribe(tcp_of(daemon), keys.server, keys.worker).handshake() == "ok"
    assert "broken.key" in daemon.log_text()


def test_a_flood_of_strangers_delays_nobody(workdir, daemons, keys, subscribe):
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    endpoint = tcp_of(daemon)
    pair = make_keys(workdir, "stranger")
    host, port = endpoint[len("tcp://") :].split(":")
    silent = []
    for _ in range(200):  # who connects and never says a word
        silent.append(socket.create_connection((host, int(port))))
    for garbage in (b"GET / HTTP/1.1\r\n\r\n" * 50, b"\xff" * 4096, os.urandom(4096), b"\0"):
        silent.append(socket.create_connection((host, int(port))))
        silent[-1].sendall(garbage)
    for _ in range(50):
        assert subscribe(endpoint, keys.server, pair).handshake() == "refused"
    assert subscribe(endpoint, keys.server, keys.worker).handshake() == "ok"
    daemon.sentinel()
    warnings = daemon.log_text().count("warning: refused 127.0.0.1")
    assert 1 <= warnings < 50  # one a second at most, however many there are
    for each in silent:
        each.close()


def run_daemon(workdir, text):
    """Of one that does not get far: (exit code, what it says)."""
    config = workdir / "refused.toml"
    config.write_text(
        f'[publish]\nendpoint = "ipc://{workdir}/p"\n'
        f'[fetch]\nendpoint = "ipc://{workdir}/f"\n'
        f'[journal]\npath = "{workdir}/journal.db"\n' + text
    )
    done = subprocess.run(
        [BINARY, "run", "-c", config], capture_output=True, text=True, timeout=10 * PATIENCE
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620])
def test_a_secret_that_others_can_read_is_refused(workdir, keys, mode):
    secret = keys.security["server_key"]
    secret.chmod(mode)
    code, said = run_daemon(
        workdir, f'[security]\nserver_key = "{secret}"\nclients = "{keys.clients}"\n'
    )
    assert code == 1
    assert f"{secret} has mode {mode:04o}" in said
    assert f"chmod 600 {secret}" in said


def test_keys_that_cannot_be_used_are_refused(workdir, keys):
    secret = keys.security["server_key"]
    for server, clients, expected in [
        (workdir / "missing", keys.clients, "No such file or directory"),
        (keys.clients / "worker.key", keys.clients, "public key only"),
        (secret, workdir / "missing", "No such file or directory"),
    ]:
        code, said = run_daemon(
            workdir, f'[security]\nserver_key = "{server}"\nclients = "{clients}"\n'
        )
        assert code == 1
        assert expected in said
    code, said = run_daemon(workdir, f'[security]\nserver_key = "{secret}"\n')
    assert code == 2
    assert "without clients nobody could connect" in said


def test_endpoints_beyond_loopback_need_keys(workdir):
    config = workdir / "open.toml"
    for section in ("publish", "fetch"):
        config.write_text(f'[{section}]\nendpoint = "tcp://0.0.0.0:7999"\n')
        done = subprocess.run([BINARY, "run", "-c", config], capture_output=True, text=True)
        assert done.returncode == 2
        assert f"{section}.endpoint" in done.stderr
        for way in ("inotifier keygen", "tcp://127.0.0.1:7999", "insecure = true"):
            assert way in done.stderr


def test_insecure_is_accepted_and_warned_of(workdir, daemons):
    # In a network of its own, where nobody else can reach it.
    wrapper = ["unshare", "-rn"] if os.geteuid() else ["unshare", "-n"]
    if subprocess.run([*wrapper, "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespaces here")
    daemon = daemons(
        workdir,
        wrapper=wrapper,
        publish={
            "endpoint": [f"ipc://{workdir}/daemon.sock", "tcp://0.0.0.0:*"],
            "heartbeat": "200ms",
        },
        security={"insecure": True},
        **own_places(workdir),
    )
    assert "asks for no keys (insecure = true)" in daemon.log_text()
    assert "publishing on tcp://0.0.0.0:" in daemon.log_text()
    daemon.sentinel()


def test_our_own_client_connects_with_its_key(workdir, daemons, keys, processes):
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    server = ["--server-key", workdir / "server.key"]
    words = [BINARY, "sub", "--endpoint", tcp_of(daemon), *server, "-n", "1", "file.completed"]
    make_keys(workdir, "stranger")
    stranger = subprocess.run(
        [*words, "--key", workdir / "stranger.key_secret"],
        capture_output=True,
        text=True,
        timeout=30 * PATIENCE,
    )
    assert stranger.returncode == 1
    assert stranger.stderr
    # What happens before its subscription is there is not for it: files until it has one.
    known = processes(
        [*words, "--json", "--key", workdir / "worker.key_secret"], stdout=subprocess.PIPE
    )
    wait_for(lambda: (daemon.sentinel(), known.poll() is not None)[1], what="an event", timeout=30)
    assert known.returncode == 0
    assert b'"file.completed"' in known.stdout.read()


class Connected:
    """A command that prints events, over tcp with a key; it has received some from the daemon."""

    def __init__(self, command, more, daemon, endpoint, workdir, processes):
        self.daemon = daemon
        self.endpoint = endpoint
        self.out = workdir / "out.json"
        keys = ["--server-key", workdir / "server.key", "--key", workdir / "owner.key_secret"]
        with self.out.open("wb") as out:
            self.process = processes(
                [BINARY, *command, "file.completed", "--endpoint", endpoint, *keys, *more],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.receives()

    def receives(self):
        written = []

        def comes():
            assert self.process.poll() is None, self.process.stderr.read()
            written.append(f'{self.daemon.sentinel()}"')
            printed = self.out.read_text()
            return any(path in printed for path in written)

        wait_for(comes, what="an event", timeout=30)

    def end(self):
        """(exit code, what it said)"""
        _, said = self.process.communicate(timeout=30 * PATIENCE)
        return self.process.returncode, said


@pytest.fixture(params=["sub", "consume", "consume with a command"])
def connected(request, workdir, daemons, keys, processes):
    make_keys(workdir, "owner", access="all")
    keys.admit("owner")
    any_port = "tcp://127.0.0.1:*"
    sockets = {"publish": f"ipc://{workdir}/daemon.sock", "fetch": f"ipc://{workdir}/fetch.sock"}
    daemon = daemons(
        workdir,
        publish={"endpoint": [sockets["publish"], any_port], "heartbeat": "200ms"},
        fetch={"endpoint": [sockets["fetch"], any_port]},
        journal={"path": workdir / "journal.db"},
        security=keys.security,
    )
    what, section, command, more = {
        "sub": ("publishing", "publish", ["sub"], ["--json"]),
        "consume": ("fetch", "fetch", ["consume", "c"], ["--json"]),
        "consume with a command": ("fetch", "fetch", ["consume", "c"], ["--", "cat"]),
    }[request.param]
    endpoint = tcp_of(daemon, what)
    # A daemon that is started again comes back where it was.
    chosen = f'"{sockets[section]}", "{any_port}"'
    config = daemon.config.read_text()
    assert chosen in config
    daemon.config.write_text(config.replace(chosen, chosen.replace(any_port, endpoint)))
    return Connected(command, more, daemon, endpoint, workdir, processes)


def test_a_key_that_is_taken_away_is_told(connected, keys):
    kill(connected.daemon)
    connected.daemon.start()
    connected.receives()  # a daemon that was away is waited for
    kill(connected.daemon)
    (keys.clients / "owner.key").unlink()
    connected.daemon.start()
    code, said = connected.end()
    assert code == 1
    assert f"{connected.endpoint}: the peer refuses our keys" in said


def test_a_daemon_that_wants_no_keys_any_more_is_told(connected):
    kill(connected.daemon)
    config = connected.daemon.config.read_text()
    begin, end = config.index("[security]"), config.index("[[watch]]")
    connected.daemon.config.write_text(config[:begin] + config[end:])
    connected.daemon.start()
    code, said = connected.end()
    assert code == 1
    assert f"{connected.endpoint}: the peer uses no keys" in said


def test_a_consumer_that_is_refused_waits_for_its_command(workdir, daemons, keys, processes):
    make_keys(workdir, "owner", access="all")
    keys.admit("owner")
    daemon = daemons(
        workdir,
        fetch={"endpoint": [f"ipc://{workdir}/fetch.sock", "tcp://127.0.0.1:*"]},
        security=keys.security,
    )
    endpoint = tcp_of(daemon, "fetch")
    daemon.config.write_text(daemon.config.read_text().replace("tcp://127.0.0.1:*", endpoint))
    log, gate, errors = workdir / "log", workdir / "gate", workdir / "errors"
    os.mkfifo(gate)
    with errors.open("wb") as out:
        process = processes(
            [BINARY, "consume", "c", "file.completed", "--endpoint", endpoint]
            + ["--server-key", workdir / "server.key", "--key", workdir / "owner.key_secret"]
            + ["--", "sh", "-c", f"echo begin >> {log}; read go < {gate}; echo end >> {log}"],
            stderr=out,
        )
    daemon.sentinel()
    wait_for(log.exists, what="the command")
    kill(daemon)
    (keys.clients / "owner.key").unlink()
    daemon.start()
    wait_for(lambda: "refuses our keys" in errors.read_text(), what="the refusal")
    assert process.poll() is None
    gate.write_text("go\n")
    assert process.wait(30 * PATIENCE) == 1
    assert log.read_text() == "begin\nend\n"
    assert errors.read_text().count("refuses our keys") == 1
    assert "0 done, 0 failed, 0 skipped" in errors.read_text()


def test_keygen_makes_files_that_others_read(workdir):
    os.umask(0)
    try:
        done = keygen("worker", "--dir", workdir, "--access", "all")
    finally:
        os.umask(0o022)
    assert done.returncode == 0
    public, secret = workdir / "worker.key", workdir / "worker.key_secret"
    assert stat.S_IMODE(public.stat().st_mode) == 0o644
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    key, none = zmq.auth.load_certificate(public)
    assert none is None
    pair = zmq.auth.load_certificate(secret)
    assert pair[0] == key and pair[1] is not None
    assert zmq.curve_public(pair[1]) == key
    assert 'access = "all"' in public.read_text()
    assert pair[1].decode() not in public.read_text() + done.stdout
    assert key.decode() in done.stdout

    # A second one of that name would lock out whoever uses the first.
    before = secret.read_bytes()
    again = keygen("worker", "--dir", workdir)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    assert secret.read_bytes() == before
    # Nor is half a pair left behind.
    (workdir / "half.key_secret").write_text("in use")
    assert keygen("half", "--dir", workdir).returncode == 1
    assert not (workdir / "half.key").exists()
    assert (workdir / "half.key_secret").read_text() == "in use"
    assert keygen("../x", "--dir", workdir).returncode == 2
    assert keygen("x", "--dir", workdir / "nowhere").returncode == 1


def test_keys_of_pyzmq_are_read(workdir, daemons, keys, subscribe):
    zmq.auth.create_certificates(keys.clients, "theirs", metadata={"access": "all"})
    (keys.clients / "theirs.key_secret").rename(workdir / "theirs.key_secret")
    daemon = start_with_tcp(daemons, workdir, security=keys.security)
    pair = zmq.auth.load_certificate(workdir / "theirs.key_secret")
    assert subscribe(tcp_of(daemon), keys.server, pair).handshake() == "ok"


def test_check_tells_of_keys(workdir, keys):
    config = workdir / "check.toml"
    secret = keys.security["server_key"]
    config.write_text(
        f'[publish]\nendpoint = ["ipc://{workdir}/p", "tcp://*:7556"]\n'
        f'[journal]\npath = "{workdir}/journal.db"\nretain_size = "1MiB"\n'
        f'[security]\nserver_key = "{secret}"\nclients = "{keys.clients}"\n'
        f'[[watch]]\npath = "{workdir}/in"\n'
    )
    done = subprocess.run([BINARY, "check", "-c", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert keys.server.decode() in done.stdout
    assert "1 client may connect" in done.stdout
    assert zmq.auth.load_certificate(secret)[1].decode() not in done.stdout
    secret.chmod(0o644)
    done = subprocess.run([BINARY, "check", "-c", config], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"chmod 600 {secret}" in done.stdout
