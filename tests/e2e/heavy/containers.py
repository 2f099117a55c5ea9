"""Images built by buildah without a Docker engine, and containers made with unshare(1) and chroot(8).

A container here has what an engine would give it: the image's tree, its command, environment and user,
volumes, process 1, no capabilities. It has the network of the machine, or that of a NetworkNamespace.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

from harness import wait_for

# $1: the tree; then a list of mounts; then the command that becomes process 1.
SCRIPT = """
set -e
root=$1 read_only=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
  [ -d "$root$2" ] || mkdir -p "$root$2"
  if [ "$1" = tmpfs ]; then mount -t tmpfs -o mode=1777 tmpfs "$root$2"; else mount --bind "$1" "$root$2"; fi
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
  shift 3
done
shift
[ -z "$read_only" ] || mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""


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


def need(*commands):
    """Skips the test, and says why, where one of these does not work."""
    if os.geteuid() != 0:
        pytest.skip("containers need root here")
    for command in commands:
        done = run(["sh", "-c", command])
        if done.returncode != 0:
            pytest.skip(f"{command} does not work here: {done.stdout.strip()[-200:]}")


class Store:
    """buildah with a storage of its own."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.driver = "overlay"
        self.trees = []
        (self.directory / "empty").mkdir(parents=True)
        probe = self._call("images")
        if probe.returncode != 0:  # overlayfs does not go on top of every file system
            self.driver = "vfs"
            shutil.rmtree(self.directory / "root", ignore_errors=True)

    def _call(self, *arguments, timeout=60):
        places = ["--root", self.directory / "root", "--runroot", self.directory / "run"]
        return run(["buildah", *places, "--storage-driver", self.driver, *arguments], timeout)

    def __call__(self, *arguments, timeout=60):
        done = self._call(*arguments, timeout=timeout)
        assert done.returncode == 0, f"buildah {arguments}: {done.stdout[-6000:]}"
        return done.stdout

    def commit_tree(self, tree, name):
        """An image of a directory."""
        container = self("from", "scratch").strip()
        self("add", container, tree, "/", timeout=300)
        self("commit", container, name, timeout=300)
        self("rm", container)

    def build(self, dockerfile, context, tag, timeout):
        begin = time.monotonic()
        self(
            *("build", "--isolation", "chroot", "--format", "docker", "--pull-never"),
            *("--layers=false", "-f", dockerfile, "-t", tag, context),
            timeout=timeout,
        )
        print(f"built {tag}: {time.monotonic() - begin:.0f} s")

    def config(self, image):
        """User, Env, Cmd, Healthcheck, Volumes … as an engine reads them."""
        return json.loads(self("inspect", "--type", "image", image))["Docker"]["config"]

    def tree(self, image):
        container = self("from", "--pull-never", image).strip().splitlines()[-1]
        self.trees.append(container)
        return pathlib.Path(self("mount", container).strip())

    def close(self):
        for container in self.trees:
            self._call("umount", container)
        run(["umount", "-l", self.directory / "root" / self.driver])
        run(["rm", "-rf", "--one-file-system", self.directory], timeout=300)


LOOPBACK = """
import fcntl, signal, socket, struct
up = struct.pack("16sh", b"lo", 0x1)  # netdevice(7): IFF_UP
fcntl.ioctl(socket.socket(), 0x8914, up)  # SIOCSIFFLAGS
print("up", flush=True)
signal.pause()
"""


class NetworkNamespace:
    """A network of its own with a loopback interface, for containers that speak to each other."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "/usr/bin/python3", "-c", LOOPBACK],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "up\n", "unshare --net does not work"

    def enter(self):
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net"]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Container:
    """One container; it can be started again, and its tree and volumes stay.

    volumes: (directory on the host or "tmpfs", path inside, "rw" or "ro"). user: "uid:gid", default
    the image's; groups: further ones. capabilities: names, or None for all.
    """

    def __init__(self, store, image, name="container", environment=None, volumes=(), user=None,
                 groups=(), command=None, read_only=False, network=None, capabilities=()):  # fmt: skip
        self.config = store.config(image)
        self.root = store.tree(image)
        self.name = name
        self.log = store.directory / f"{name}-{len(store.trees)}.log"
        self.volumes = list(volumes)
        self.user = user or self.config["User"] or "0:0"
        self.groups = [str(g) for g in groups]
        self.command = command or (self.config.get("Entrypoint") or []) + self.config["Cmd"]
        self.read_only = read_only
        self.network = network
        self.capabilities = capabilities
        given = dict(e.split("=", 1) for e in self.config["Env"])
        self.environment = {**given, **{k: str(v) for k, v in (environment or {}).items()}}
        self.process = None

    def _as_user(self, command, environment=None):
        """What becomes `command`, as the container's user and with its capabilities."""
        uid, gid = self.user.split(":")
        drop = []
        if self.capabilities is not None:
            kept = ",".join(["-all", *(f"+{name}" for name in self.capabilities)])
            drop = [f"--bounding-set={kept}", "--inh-caps=-all", "--no-new-privs"]
        names = {**self.environment, **(environment or {})}
        directory = self.config.get("WorkingDir") or "/"
        return [
            *("setpriv", f"--reuid={uid}", f"--regid={gid}"),
            f"--groups={','.join([gid, *self.groups])}",
            *drop,
            *("env", "-i", "-C", directory, *(f"{k}={v}" for k, v in names.items())),
            *command,
        ]

    def start(self):
        assert self.process is None or self.process.poll() is not None, "it runs already"
        mounts = [word for volume in self.volumes for word in volume]
        network = self.network.enter() if self.network else []
        self.process = subprocess.Popen(
            [
                *(*network, "unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("sh", "-c", SCRIPT, "sh", str(self.root), "yes" if self.read_only else ""),
                *(*map(str, mounts), "--", *self._as_user(self.command)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=open(self.log, "ab"),
            stderr=subprocess.STDOUT,
        )
        return self

    @property
    def pid(self):
        """Of its process 1, as the host sees it."""

        def child():
            assert self.process.poll() is None, f"{self.name} ended: {self.log_text()}"
            path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
            children = pathlib.Path(path).read_text().split()
            return children and int(children[0])

        return wait_for(child, what=f"process 1 of {self.name}")

    def exec(self, command, timeout=60, **environment):
        """A further command in the running container, as `docker exec` does it."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--root"]
        return run([*enter, *self._as_user(command, environment)], timeout)

    def is_healthy(self):
        """What the image's HEALTHCHECK says now; none in time is no."""
        check = self.config["Healthcheck"]
        assert check["Test"][0] == "CMD", check
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.exec(check["Test"][1:], check.get("Timeout", 5e9) / 1e9).returncode == 0
        return False

    def status(self):
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, number=signal.SIGTERM, timeout=10):
        """Signals process 1; its exit code, or not 0 if a signal ended it."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            os.kill(self.pid, number)
        return self.process.wait(timeout)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(AssertionError, ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
