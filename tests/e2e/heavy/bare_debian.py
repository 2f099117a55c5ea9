"""A minimal Debian in a directory, made by debootstrap."""

import os
import subprocess
import time

import pytest

SCRIPT = """
set -e
mount --rbind /proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/tmp"
exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -c "cd /src && $2"
"""


def make(tmp_path_factory, suite="bookworm", packages=()):
    """A minimal Debian, 12 unless another one is named, with these packages."""
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    for command in ("debootstrap --version", "unshare -m true"):
        if os.system(f"{command} >/dev/null 2>&1") != 0:
            pytest.skip(f"{command} does not work here")
    root = tmp_path_factory.mktemp("debian") / "root"
    mirrors = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Codename: bookworm",
            "Component: main",
        ],
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    include = [f"--include={','.join(packages)}"] if packages else []
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", *include, suite, str(root), *mirrors[:1]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"debootstrap failed: {done.stdout.strip().splitlines()[-1]}")
    (root / "etc/resolv.conf").write_bytes(open("/etc/resolv.conf", "rb").read())
    return root


def in_debian(root, command, timeout):
    begin = time.monotonic()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, "sh", str(root), command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    print(f"{command}: {time.monotonic() - begin:.0f} s")
    return done
