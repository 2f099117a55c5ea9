"""What the tests of this directory share: files put into a watch, keys, programs of their own."""

import os
import pathlib
import subprocess
import sys

from harness import BINARY

SRC = pathlib.Path(__file__).resolve().parents[1] / "src"
PYTHON = sys.executable


def put(daemon, *names):
    """Finished files in the watch "in"; their paths."""
    paths = []
    for name in names:
        path = os.path.join(os.fsencode(daemon.workdir / "in"), os.fsencode(name))
        with open(path, "wb") as file:
            file.write(os.path.basename(path))
        paths.append(os.fsdecode(path))
    return paths


def environment(**more):
    """For a program that imports the package."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("INOTIFIER_")}
    return {**clean, "PYTHONPATH": str(SRC), **more}


def make_keys(directory, name, *words):
    command = [BINARY, "keygen", name, "--dir", str(directory), *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def keys(workdir, name, server="server"):
    """A client's arguments."""
    return {"server_key": workdir / f"{server}.key", "key": workdir / f"{name}.key_secret"}
