"""docker/: its images built on a Debian of debootstrap's, run by a Docker engine as a receiver's sidecar,
and compose.yaml by docker-compose.

ctest runs each test function by itself and the images take minutes: so there is one, with parameters.
"""

import os
import socket
import stat
import subprocess
import types

import pytest

from durable import Consumer
from engine import Container, Engine
from harness import PROJECT, Collector, wait_for
from test_compose import DOCKER
from test_dcmtk import free_port, images  # noqa: F401

BUILD_TIME = 900
RECEIVER = 1234  # neither the image's user nor anybody's here

# In place of images that would have to be pulled. The official one, as far as compose.yaml uses it:
POSTGRES = """\
FROM docker.io/library/debian:12-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
      postgresql && install -d -o postgres -g postgres /var/lib/postgresql/data
USER postgres
CMD ["sh", "-ec", "\
  PATH=/usr/lib/postgresql/15/bin:$PATH; cd /tmp; printf %s \\"$POSTGRES_PASSWORD\\" > /tmp/password; \
  initdb -A scram-sha-256 -E UTF8 -U \\"$POSTGRES_USER\\" --pwfile /tmp/password /var/lib/postgresql/data; \
  echo \\"CREATE DATABASE $POSTGRES_DB\\" | postgres --single -D /var/lib/postgresql/data postgres; \
  echo host all all all scram-sha-256 >> /var/lib/postgresql/data/pg_hba.conf; \
  exec postgres -D /var/lib/postgresql/data -c listen_addresses=* -c unix_socket_directories=/tmp"]
"""

# Writes as dcm4che's storescp does, of which Debian has no package: <random>.part, closed while it is
# empty, and renamed into directories that it makes.
DCM4CHE = """\
FROM docker.io/library/debian:12-slim
RUN printf '%s\\n' '#!/bin/sh -e' 'while [ "$1" != --directory ]; do shift; done' 'cd "$2"' \\
      'for n in 1 2 3; do : > 1.$n.77.part; echo $n >> 1.$n.77.part; mkdir -p patient/study' \\
      'mv 1.$n.77.part patient/study/1.$n; done; exec sleep infinity' > /usr/bin/storescp \\
 && chmod 755 /usr/bin/storescp
"""
IMAGES_OF_OTHERS = {
    "docker.io/library/postgres:15": POSTGRES,
    "docker.io/dcm4che/dcm4che-tools:5.33.1": DCM4CHE,
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory, bare_debian):
    """With the images that compose.yaml names, so that nothing has to be pulled or built by it."""
    directory = tmp_path_factory.mktemp("engine")
    engine = Engine(directory)
    try:
        engine.start(own_network=False)
        engine.import_tree(bare_debian, "docker.io/library/debian:12-slim")  # as `ARG BASE` says
        engine.build(DOCKER / "Dockerfile", PROJECT, "inotifier", BUILD_TIME)
        engine.build(DOCKER / "receiver.Dockerfile", DOCKER, "dicom-receiver", BUILD_TIME)
        engine.build(DOCKER / "worker.Dockerfile", PROJECT, "inotifier-worker", BUILD_TIME)
        (directory / "empty").mkdir()
        for tag, dockerfile in IMAGES_OF_OTHERS.items():
            (directory / "Dockerfile").write_text(dockerfile)
            engine.build(directory / "Dockerfile", directory / "empty", tag, BUILD_TIME)
        engine.stop()
        engine.start(own_network=True)
        yield engine
    finally:
        engine.close()


class Site:
    """A directory that a receiver with a uid of its own fills, and the daemon beside it."""

    def __init__(self, engine, workdir, processes, tool, images):  # noqa: F811
        self.engine, self.images = engine, images
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

    def run(self, *options, image="inotifier", command=()):
        self.containers.append(Container.run(self.engine, image, *options, command=command))
        return self.containers[-1]

    def container(self, user=f"{RECEIVER}:{RECEIVER}", environment=None, capabilities=(), groups=(),
                  command=()):  # fmt: skip
        """As docker/README.md says that it is to be run; asked for its health more often."""
        options = ["--network=none", "--read-only", "--tmpfs=/tmp", f"--user={user}"]
        options += ["--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
        options += ["--health-interval=200ms", "--health-retries=1", "--health-start-period=1ms"]
        options += [f"--cap-add={name}" for name in capabilities]
        options += [f"--group-add={group}" for group in groups]
        options += [f"--volume={self.volumes['incoming']}:/srv/incoming:ro"]
        options += [f"--volume={self.volumes['sockets']}:/run/inotifier"]
        options += [f"--volume={self.volumes['journal']}:/var/lib/inotifier"]
        environment = {"INOTIFIER_WATCH": "/srv/incoming", **(environment or {})}
        options += [f"--env={name}={value}" for name, value in environment.items()]
        return self.run(*options, command=command)

    def listen(self):
        self.collectors.append(Collector(self.endpoint))
        return self.collectors[-1]

    def start(self, **options):
        return self.container(**options).wait_for_health()

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
            print(f"--- {container.name}\n{container.logs()[-4000:]}")
            container.close()
        for collector in self.collectors:
            collector.stop()
        assert [f for c in self.collectors for f in c.failures] == []


@pytest.fixture
def site(engine, workdir, processes, tool, images):  # noqa: F811
    site = Site(engine, workdir, processes, tool, images)
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
    assert collector.of("watch.degraded") == [] and "degraded" not in daemon.logs()

    status = daemon.exec("cat", "/proc/1/status").stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert status["Name"] == "inotifier"
    assert status["Uid"].split() == status["Gid"].split() == [str(RECEIVER)] * 4
    assert {int(status[c], 16) for c in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    assert daemon.exec("touch", "/usr/bin/x").returncode != 0
    assert daemon.stop() == 0, "SIGTERM to process 1"


def image_says_what_to_run(site):
    config = site.engine.inspect("inotifier")["Config"]
    assert config["User"] not in ("", "0", "root", "0:0")
    assert list(config["Volumes"]) == ["/var/lib/inotifier"]
    assert config["Cmd"] == ["inotifier", "run"]
    # Nothing mounted, no user given: it is ready all the same.
    plain = site.run("--health-interval=200ms").wait_for_health()
    directories = ("/run/inotifier", "/var/lib/inotifier", "/srv/incoming")
    assert plain.exec("stat", "-c", "%a", *directories).stdout.split() == ["1777"] * 3
    assert plain.exec("ls", "/usr/bin/g++").returncode != 0
    assert plain.stop() == 0


def health_is_that_of_the_daemon(site):
    site.container(command=["sleep", "infinity"]).wait_for_health("unhealthy")
    daemon = site.start()
    daemon.kill("STOP")
    daemon.wait_for_health("unhealthy")
    daemon.kill("CONT")
    daemon.wait_for_health("healthy")


def sockets_are_for_their_group(site):
    site.start()
    for kind in ("publish", "fetch"):
        socket_stat = (site.volumes["sockets"] / kind).stat()
        assert stat.S_IMODE(socket_stat.st_mode) == 0o660
        assert (socket_stat.st_uid, socket_stat.st_gid) == (RECEIVER, RECEIVER)

    def status(groups):
        command = ["inotifier", "status", "--json"]
        worker = site.container(user="10001:10001", groups=groups, command=command)
        return worker.wait(), worker.logs()

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
    for signal, code in (("TERM", 0), ("KILL", 137)):
        daemon.kill(signal)
        assert daemon.wait() == code
        site.receive()
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
    site.start(user="4321:4321")
    site.receive()  # what it had not seen closed would wait for a minute
    messages = collector.wait(count=30, timeout=20)
    assert {m.event["data"]["evidence"] for m in messages} == {"settled"}
    consumer = Consumer(types.SimpleNamespace(fetch_endpoint=site.fetch_endpoint))
    consumer.drain()
    assert "watch.degraded" in {type for _, _, type, _ in consumer.events}


def two_capabilities_do_for_many_uids(site):
    """As docker/README.md says, for files of any owner, readable for their owner alone."""
    site.make_volumes_fresh()
    collector = site.listen()
    daemon = site.start(user="0:0", capabilities=["LEASE", "DAC_READ_SEARCH"])
    site.receive()
    for path in site.volumes["incoming"].iterdir():
        path.chmod(0o600)
    (site.volumes["incoming"] / "root's").write_bytes(b"1")
    messages = collector.wait(count=31, timeout=20)
    assert "settled" not in {m.event["data"]["evidence"] for m in messages}
    assert "degraded" not in daemon.logs()


def wrong_environment_is_an_error(site):
    daemon = site.container(environment={"INOTIFIER_WATCH_SETTEL": "1s"})
    assert daemon.wait() == 2
    assert 'did you mean "INOTIFIER_WATCH_SETTLE"?' in daemon.logs()


INSTANCES = """
from dicomstore.models import Instance
for instance in Instance.objects.order_by("path"):
    print(instance.sop_instance_uid, instance.patient_name, instance.path)
"""


class Stack:
    """A compose file, as its user runs it; what it publishes is on the loopback of the engine's network."""

    def __init__(self, engine, name):
        self.engine = engine
        self.arguments = ["-f", DOCKER / name]
        self("up", "--detach", timeout=180)

    def __call__(self, *arguments, **options):
        return self.engine(*self.arguments, *arguments, program="docker-compose", **options)

    def container(self, service):
        return Container(self.engine, self("ps", "--all", "--quiet", service))

    def close(self):
        print(self("ps", "--all"), self("logs", "--no-color", "--tail=40"), sep="\n")
        self("down", "--volumes", timeout=120)


def compose_file_works(site):
    """From the modality to a row in PostgreSQL and the admin, and what a crash leaves undone."""
    files = sorted(site.images.iterdir())
    stack = Stack(site.engine, "compose.yaml")

    def send(files):
        storescu = [site.tool("storescu"), "127.0.0.1", "11112", *files]
        wait_for(lambda: site.engine.in_network(*storescu).returncode == 0, 20, "storescp", 0.2)

    def stored():
        done = stack.container("web").exec("python3", "manage.py", "shell", "-c", INSTANCES)
        assert done.returncode == 0, done.stdout
        return [line.split() for line in done.stdout.splitlines()]

    def wait_for_rows(
        count,
    ):  # the killed worker's lease has to end, and is a new one with the daemon
        wait_for(lambda: len(stored()) >= count, 150, f"{count} instances", 0.5)
        return stored()

    try:
        send(files[:10])
        assert len(wait_for_rows(10)) == 10
        killed = [stack.container(service) for service in ("worker", "inotifier")]
        for container in killed:
            container.kill("KILL")
            assert container.wait() == 137
        send(files[10:])
        stack(
            "up", "--detach"
        )  # an engine restarts what ended by itself, not what was killed by its user
        rows = wait_for_rows(30)
        assert len({uid for uid, _, _ in rows}) == len(rows) == 30
        assert {patient for _, patient, _ in rows} == {"Test^Patient"}
        assert all(path.startswith("/srv/incoming/") for _, _, path in rows)
        admin = "http://127.0.0.1:8000/admin/login/"
        page = site.engine.in_network(site.tool("curl"), "-sS", admin).stdout
        assert "Django administration" in page, page[-2000:]
        assert stack.container("worker").stop() == 0, "SIGTERM to the worker"
        assert site.engine.inspect(stack.container("web").name)["Name"].startswith(
            "/inotifier-example"
        )
    finally:
        stack.close()


def compose_file_of_dcm4che_works(site):
    stack = Stack(site.engine, "dcm4che/compose.yaml")
    expected = sorted(f"/srv/incoming/patient/study/1.{n} 2" for n in (1, 2, 3))
    try:
        consumer = stack.container("consumer")
        wait_for(lambda: len(consumer.logs().splitlines()) >= 3, 60, "three files", 0.2)
        assert sorted(consumer.logs().splitlines()) == expected
        assert stack.container("inotifier").stop() == 0
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
    compose_file_of_dcm4che_works,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_image(check, site):
    check(site)
