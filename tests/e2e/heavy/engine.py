"""A Docker engine of the test's own: dockerd with its images in the test's directory, and with a network,
mounts and processes of its own, so that whatever is left of it ends with one process.

Images are built first, with the network of the machine; what runs then sees nothing but the engine's.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from harness import wait_for

# $1: a sign that the network is its own. PATH: iptables is in sbin.
SCRIPT = """
PATH=/usr/sbin:/sbin:$PATH
if [ "$1" = own ]; then ip link set lo up; fi
shift
exec dockerd "$@"
"""
NO_NETWORK = ["--bridge=none", "--iptables=false", "--ip6tables=false"]


def run(argv, timeout=60, **options):
    return subprocess.run(
        [str(a) for a in argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        **options,
    )


class Engine:
    def __init__(self, directory):
        """Skips the test, and says why, where no engine can run."""
        self.directory = pathlib.Path(directory)
        self.socket = self.directory / "engine.sock"
        self.log = self.directory / "engine.log"
        self.cgroup = f"inotifier-test-{os.getpid()}"
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "0",
        }
        self.process = None
        if os.geteuid() != 0:
            pytest.skip("a Docker engine needs root")
        for command in ("docker", "dockerd", "docker-compose"):
            if shutil.which(command) is None:
                pytest.skip(f"{command} is not installed")
        try:
            self.start(own_network=True)
        except AssertionError as error:
            self.stop()
            pytest.skip(f"no Docker engine can run here: {error}")
        self.stop()

    def start(self, own_network):
        own = ["unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        own += ["--net"] if own_network else []
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        self.process = subprocess.Popen(
            [
                *(*own, "sh", "-c", SCRIPT, "sh", "own" if own_network else "shared"),
                *(f"--{option}={self.directory / name}" for option, name in places.items()),
                *(f"--host=unix://{self.socket}", f"--cgroup-parent=/{self.cgroup}"),
                *([] if own_network else NO_NETWORK),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("ab"),
            stderr=subprocess.STDOUT,
        )

        def answers():
            assert self.process.poll() is None, f"dockerd ended: {self.log.read_text()[-2000:]}"
            return self.call("version").returncode == 0

        wait_for(answers, 30, "dockerd", 0.1)

    def stop(self):
        """The engine and every process in its containers."""
        if self.process is None:
            return
        self.process.kill()  # its child, and with it all in that process namespace
        self.process.wait()
        self.process = None
        # Its pid files say numbers that the next one's processes have, too.
        (self.directory / "pid").unlink(missing_ok=True)
        shutil.rmtree(self.directory / "exec", ignore_errors=True)

    def close(self):
        self.stop()
        for tree in pathlib.Path("/sys/fs/cgroup").glob(f"**/{self.cgroup}"):
            for directory, _, _ in os.walk(tree, topdown=False):
                wait_for(lambda d=directory: removed(d), what=f"{directory} to go")
        run(["rm", "-rf", "--one-file-system", self.directory], timeout=300)

    def call(self, *arguments, program="docker", timeout=60):
        return run([program, *arguments], timeout, env=self.environment)

    def __call__(self, *arguments, **options):
        """What a command of docker prints; it must succeed."""
        done = self.call(*arguments, **options)
        assert (
            done.returncode == 0
        ), f"{arguments}: {done.stdout[-6000:]}\n{self.log.read_text()[-2000:]}"
        return done.stdout.strip()

    def import_tree(self, tree, name):
        pack = subprocess.Popen(["tar", "-C", str(tree), "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "import", "-", name],
            stdin=pack.stdout,
            stdout=subprocess.DEVNULL,
            env=self.environment,
            check=True,
        )
        assert pack.wait() == 0

    def build(self, dockerfile, context, tag, timeout):
        self("build", "--network=host", "-f", dockerfile, "-t", tag, context, timeout=timeout)

    def inspect(self, name):
        return json.loads(self("inspect", name))[0]

    def in_network(self, *command):
        """`command`, as run on the host of the containers."""
        return run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *command])


def removed(directory):
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        pass
    except OSError:  # a process of it has not quite ended
        return False
    return True


class Container:
    """One container, by its name or id. Its errors are those of the engine's commands."""

    def __init__(self, engine, name):
        self.engine, self.name = engine, name

    @classmethod
    def run(cls, engine, image, *options, command=()):
        return cls(engine, engine("run", "--detach", *options, image, *command).splitlines()[-1])

    @property
    def state(self):
        return self.engine.inspect(self.name)["State"]

    def exec(self, *command, timeout=60):
        return self.engine.call("exec", self.name, *command, timeout=timeout)

    def health(self):
        return self.state["Health"]["Status"]

    def wait_for_health(self, status="healthy", timeout=60):
        wait_for(lambda: self.health() == status, timeout, f"{status}: {self.logs()}", 0.1)
        return self

    def logs(self):
        return self.engine.call("logs", self.name).stdout

    def kill(self, signal):
        self.engine("kill", f"--signal={signal}", self.name)

    def wait(self, timeout=30):
        """Its exit code; 137 if SIGKILL ended it."""
        return int(self.engine("wait", self.name, timeout=timeout))

    def stop(self):
        self.kill("SIGTERM")
        return self.wait()

    def close(self):
        self.engine("rm", "--force", self.name)
