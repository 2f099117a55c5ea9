"""What the tests of this directory share: files put into a watch, and programs of their own."""

import os
import pathlib
import sys

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
