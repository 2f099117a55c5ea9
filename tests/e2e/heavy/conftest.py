import os
import subprocess

import pytest

import bare_debian as debian
from harness import PROJECT


@pytest.fixture
def clone(workdir, tool):
    """What is committed and what is not yet, without anything that git ignores."""
    target = workdir / "clone"
    git = [tool("git"), "-c", f"safe.directory={PROJECT}", "-C", str(PROJECT)]
    files = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
    )
    if files.returncode != 0:
        pytest.skip("not a git checkout")
    names = [
        n for n in files.stdout.split(b"\0") if n and os.path.lexists(PROJECT / os.fsdecode(n))
    ]
    target.mkdir()
    pack = subprocess.run(
        ["tar", "-C", str(PROJECT), "--null", "--no-recursion", "-cf", "-", "-T", "-"],
        input=b"\0".join(names),
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["tar", "-C", str(target), "-xf", "-"], input=pack.stdout, check=True)
    return target


@pytest.fixture(scope="module")
def bare_debian(tmp_path_factory):
    """A minimal Debian 12 in a directory."""
    root = debian.make(tmp_path_factory)
    yield root
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)])
