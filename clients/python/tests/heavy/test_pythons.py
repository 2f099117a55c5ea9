"""The client's tests on the Pythons of other Debians, each with its pyzmq and its msgpack: in directories
made by debootstrap. The daemon is the one that was built here, with the libraries that it has here."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from harness import BINARY, PROJECT

sys.path.insert(0, str(PROJECT / "tests" / "e2e" / "heavy"))

import bare_debian  # noqa: E402

PACKAGES = ["python3", "python3-zmq", "python3-msgpack", "python3-pytest", "python3-cffi-backend"]
# Suite -> its Python: the oldest that is supported, and the newest that Debian has released.
PYTHONS = {"bullseye": "3.9", "trixie": "3.13"}
PROGRAM = """#!/bin/sh
exec /opt/lib/ld-linux-x86-64.so.2 --library-path /opt/lib /opt/bin/{name}.real "$@"
"""


def put_program(root, path):
    """Another Debian has other libraries: those of this one come along."""
    path = pathlib.Path(path)
    for directory in ("opt/lib", "opt/bin"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    libraries = subprocess.run(["ldd", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", libraries):
        shutil.copy(library, root / "opt/lib")
    shutil.copy(path, root / "opt/bin" / f"{path.name}.real")
    wrapper = root / "opt/bin" / path.name
    wrapper.write_text(PROGRAM.format(name=path.name))
    wrapper.chmod(0o755)


@pytest.mark.parametrize("suite", PYTHONS)
def test_on_the_python_of(suite, tmp_path_factory):
    if os.uname().machine != "x86_64":
        pytest.skip("the dynamic linker has another name here")
    root = bare_debian.make(tmp_path_factory, suite, PACKAGES)
    for program in (BINARY, os.environ["INOTIFIER_WRITER"]):
        put_program(root, program)
    (root / "src").mkdir()
    parts = ["README.md", "clients", "tests", "conf"]
    subprocess.run(["cp", "-a", *(PROJECT / part for part in parts), root / "src"], check=True)
    asked = bare_debian.in_debian(root, "python3 --version", 60)
    assert f"Python {PYTHONS[suite]}." in asked.stdout
    run = (
        "INOTIFIER=/opt/bin/inotifier INOTIFIER_WRITER=/opt/bin/writer "
        "python3 -B -m pytest -q -p no:cacheprovider clients/python/tests --ignore clients/python/tests/heavy"
    )
    done = bare_debian.in_debian(root, run, 900)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-5000:]
