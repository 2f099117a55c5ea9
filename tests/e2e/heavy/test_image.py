"""docker/Dockerfile: built by buildah on a Debian of debootstrap's, and run as a receiver's sidecar.

ctest runs each test function by itself and the image takes minutes: so there is one, with parameters.
"""

import os
import signal
import socket
import stat
import subprocess
import types

import pytest

from containers import Container, Store, need, run
from durable import Consumer
from harness import PROJECT, Collector, assert_final, wait_for
from stack import Stack
from test_dcmtk import free_port, images  # noqa: F401
from test_quickstart import bare_debian  # noqa: F401

BUILD_TIME = 900
RECEIVER = 1234  # neither the image's user nor anybody's here


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    need("buildah --version", "unshare --mount --pid --fork true", "setpriv --version")
    store = Store(tmp_path_factory.mktemp("images"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def image(store, bare_debian):  # noqa: F811
    """The name of the built image."""
    store.commit_tree(bare_debian, "docker.io/library/debian:12-slim")  # as `ARG BASE` says
    store.build(PROJECT / "docker/Dockerfile", PROJECT, "inotifier", BUILD_TIME)
    return "localhost/inotifier"


class Site:
    """A directory that a receiver with a uid of its own fills, and the daemon beside it."""

    def __init__(self, store, image, workdir, processes, tool, images):  # noqa: F811
        self.store, self.image, self.images = store, image, images
        self.workdir, self.processes, self.tool = workdir, processes, tool
        self.containers = []
        self.collectors = []
        self.volumes = {n: workdir / n for n in ("incoming", "sockets", "journal")}
        for volume in self.volumes.values():
            volume.mkdir()
            os.chown(volume, RECEIVER, RECEIVER)
        self.volumes["sockets"].chmod(0o750)
        self.endpoint = f"ipc://{self.volumes['sockets']}/publish"
        self.fetch_endpoint = f"ipc://{self.volumes['sockets']}/fetch"
        self.port = None

    def make_volumes_fresh(self):
        """As an engine makes them: with the owner and mode that the image's directories have."""
        for name in ("sockets", "journal"):
            os.chown(self.volumes[name], 0, 0)
            self.volumes[name].chmod(0o1777)

    def container(self, name="daemon", user=f"{RECEIVER}:{RECEIVER}", environment=None, **options):
        inside = {"incoming": "/srv/incoming", "sockets": "/run/inotifier"}
        volumes = [(self.volumes[n], p, "ro" if n == "incoming" else "rw") for n, p in inside.items()]
        volumes.append((self.volumes["journal"], "/var/lib/inotifier", "rw"))
        volumes.append(("tmpfs", "/tmp", "rw"))
        environment = {"INOTIFIER_WATCH": "/srv/incoming", **(environment or {})}
        container = Container(
            *(self.store, self.image, f"{name}-{len(self.containers)}"),
            **{"volumes": volumes, "environment": environment, "user": user, "read_only": True},
            **options,
        )
        self.containers.append(container)
        return container

    def listen(self):
        self.collectors.append(Collector(self.endpoint))
        return self.collectors[-1]

    def start(self, **options):
        daemon = self.container(**options).start()
        wait_for(daemon.is_healthy, 20, f"a healthy daemon: {daemon.log_text()}", 0.1)
        return daemon

    def receive(self):
        """Thirty files from storescp, under names that it chooses."""
        as_receiver = ["setpriv", f"--reuid={RECEIVER}", f"--regid={RECEIVER}", "--clear-groups"]
        if self.port is None:
            self.port = free_port()
            storescp = [self.tool("storescp"), "--unique-filenames"]
            storescp += ["-od", self.volumes["incoming"], str(self.port)]
            self.processes([*as_receiver, *storescp], stdout=subprocess.DEVNULL)

        def listening():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        wait_for(listening, what="storescp")
        storescu = [self.tool("storescu"), "127.0.0.1", str(self.port), "+sd", self.images]
        subprocess.run(storescu, check=True)

    def end(self):
        for container in self.containers:
            container.close()
            print(f"--- {container.name}: {container.command}\n{container.log_text()[-4000:]}")
        for collector in self.collectors:
            collector.stop()
        assert [f for c in self.collectors for f in c.failures] == []


@pytest.fixture
def site(store, image, workdir, processes, tool, images):  # noqa: F811
    site = Site(store, image, workdir, processes, tool, images)
    yield site
    site.end()


def outside(site, event):
    """The path that the event tells, as it is outside of the container."""
    return site.volumes["incoming"] / os.path.relpath(event["data"]["path"], "/srv/incoming")


def announces_what_a_receiver_writes(site):
    """Without capabilities, with nothing writable but the volumes, and proven by leases."""
    collector = site.listen()
    daemon = site.start(environment={"INOTIFIER_PUBLISH_HEARTBEAT": "200ms"})
    wait_for(lambda: collector.heartbeats, what="a heartbeat")  # the subscription has taken effect
    site.receive()
    messages = collector.wait(count=30, timeout=20)
    assert {outside(site, m.event) for m in messages} == set(site.volumes["incoming"].iterdir())
    assert "settled" not in {m.event["data"]["evidence"] for m in messages}
    assert collector.of("watch.degraded") == [] and "degraded" not in daemon.log_text()

    status = daemon.status()
    assert status["Uid"].split() == status["Gid"].split() == [str(RECEIVER)] * 4
    assert {int(status[c], 16) for c in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert daemon.exec(["touch", "/usr/bin/x"]).returncode != 0
    assert daemon.stop() == 0, "SIGTERM to process 1"


def image_says_what_to_run(site):
    config = site.store.config(site.image)
    assert config["User"] not in ("", "0", "root", "0:0")
    assert list(config["Volumes"]) == ["/var/lib/inotifier"]
    assert config["Cmd"] == ["inotifier", "run"]
    tree = site.store.tree(site.image)
    for directory in ("run/inotifier", "var/lib/inotifier", "srv/incoming"):
        assert stat.S_IMODE((tree / directory).stat().st_mode) == 0o1777, directory
    assert not (tree / "usr/bin/g++").exists()
    # Nothing mounted, no user given: it is ready all the same.
    site.containers.append(Container(site.store, site.image, "plain"))
    plain = site.containers[-1].start()
    wait_for(plain.is_healthy, 20, "a healthy daemon", 0.1)
    assert plain.stop() == 0


def health_is_that_of_the_daemon(site):
    sleeping = site.container(command=["sleep", "60"]).start()
    sleeping.exec(["true"])
    assert not sleeping.is_healthy()
    sleeping.close()
    daemon = site.start()
    os.kill(daemon.pid, signal.SIGSTOP)
    assert not daemon.is_healthy()
    os.kill(daemon.pid, signal.SIGCONT)
    wait_for(daemon.is_healthy, 20, "a healthy daemon", 0.1)


def sockets_are_for_their_group(site):
    site.start()
    for kind in ("publish", "fetch"):
        socket_stat = (site.volumes["sockets"] / kind).stat()
        assert stat.S_IMODE(socket_stat.st_mode) == 0o660
        assert (socket_stat.st_uid, socket_stat.st_gid) == (RECEIVER, RECEIVER)

    def status(groups):
        command = ["inotifier", "status", "--json"]
        worker = site.container("worker", "10001:10001", groups=groups, command=command)
        worker.start()
        return worker.process.wait(20), worker.log_text()

    code, text = status([RECEIVER])
    assert code == 0 and '"ready":true' in text.replace(" ", ""), text
    code, text = status([])
    assert code == 1 and "no access to the socket" in text, text


def journal_outlives_the_container(site):
    daemon = site.start()
    consumer = Consumer(types.SimpleNamespace(fetch_endpoint=site.fetch_endpoint), "worker")
    site.receive()
    consumer.wait_for_paths(30)
    consumer.drain()
    stream = consumer.stream
    for number in (signal.SIGTERM, signal.SIGKILL):
        assert (daemon.stop(number) == 0) == (number == signal.SIGTERM)
        site.receive()
        daemon.close()
        daemon = site.start()  # a new container, with the same volumes
        seen = len(set(consumer.paths()))
        consumer.wait_for_paths(seen + 30)
        consumer.drain()
    assert consumer.stream == stream and consumer.lost == []
    paths = consumer.paths()
    assert len(paths) == len(set(paths)) == 90


def another_uid_needs_the_quiet_time(site):
    """Why it is to run as the receiver: else leases are refused, and it says so."""
    site.make_volumes_fresh()
    collector = site.listen()
    site.receive()
    site.start(user="4321:4321")
    messages = collector.wait(count=30, timeout=20)
    assert {m.event["data"]["evidence"] for m in messages} == {"settled"}
    consumer = Consumer(types.SimpleNamespace(fetch_endpoint=site.fetch_endpoint))
    consumer.drain()
    assert "watch.degraded" in {type for _, _, type, _ in consumer.events}


def two_capabilities_do_for_many_uids(site):
    """As docker/README.md says, for files of any owner, readable for their owner alone."""
    site.make_volumes_fresh()
    collector = site.listen()
    daemon = site.start(user="0:0", capabilities=["lease", "dac_read_search"])
    site.receive()
    for path in site.volumes["incoming"].iterdir():
        path.chmod(0o600)
    (site.volumes["incoming"] / "root's").write_bytes(b"1")
    messages = collector.wait(count=31, timeout=20)
    assert "settled" not in {m.event["data"]["evidence"] for m in messages}
    assert "degraded" not in daemon.log_text()


def wrong_environment_is_an_error(site):
    daemon = site.container(environment={"INOTIFIER_WATCH_SETTEL": "1s"}).start()
    assert daemon.process.wait(20) == 2
    assert 'did you mean "INOTIFIER_WATCH_SETTLE"?' in daemon.log_text()


INSTANCES = """
from dicomstore.models import Instance
for instance in Instance.objects.order_by("path"):
    print(instance.sop_instance_uid, instance.patient_name, instance.path)
"""


def compose_file_works(site):
    """From the modality to a row in PostgreSQL and the admin, and what a crash leaves undone."""
    stack = Stack(site.store, "compose.yaml", site.workdir, BUILD_TIME)
    images = sorted(site.images.iterdir())  # noqa: F811

    def send(files):
        storescu = [site.tool("storescu"), "127.0.0.1", "11112", *files]
        wait_for(lambda: run([*stack.network.enter(), *storescu]).returncode == 0, 20, "storescp", 0.2)

    def stored():
        done = stack.containers["web"].exec(["python3", "manage.py", "shell", "-c", INSTANCES])
        assert done.returncode == 0, done.stdout
        return [line.split() for line in done.stdout.splitlines()]

    def wait_for_rows(count):  # the killed worker's lease has to end, and is a new one with the daemon
        wait_for(lambda: len(stored()) >= count, 150, f"{count} instances", 0.5)
        return stored()

    try:
        for name in ("receiver", "worker", "web"):
            stack.start(name)
        send(images[:10])
        assert len(wait_for_rows(10)) == 10
        for name in ("worker", "inotifier"):
            os.kill(stack.containers[name].pid, signal.SIGKILL)
            stack.containers[name].process.wait(10)
        send(images[10:])
        stack.start("worker")
        rows = wait_for_rows(30)
        assert len({uid for uid, _, _ in rows}) == len(rows) == 30
        assert {patient for _, patient, _ in rows} == {"Test^Patient"}
        assert all(path.startswith("/srv/incoming/") for _, _, path in rows)
        admin = "http://127.0.0.1:8000/admin/login/"
        page = run([*stack.network.enter(), site.tool("curl"), "-sS", admin]).stdout
        assert "Django administration" in page, page[-2000:]
        assert stack.containers["worker"].stop() == 0, "SIGTERM to the worker"
    finally:
        stack.close()


CHECKS = [
    image_says_what_to_run,
    announces_what_a_receiver_writes,
    health_is_that_of_the_daemon,
    sockets_are_for_their_group,
    journal_outlives_the_container,
    another_uid_needs_the_quiet_time,
    two_capabilities_do_for_many_uids,
    wrong_environment_is_an_error,
    compose_file_works,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_image(check, site):
    check(site)
