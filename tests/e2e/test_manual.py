"""cmake/manual.py: manual pages and completions say what --help says."""

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from harness import BINARY, PROJECT


def say(*argv):
    return subprocess.run(
        [str(part) for part in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


def subcommands():
    listed = say(BINARY, "--help").partition("Subcommands:\n")[2]
    return re.findall(r"^  (\w+)", listed, re.M)


@pytest.fixture(name="manual")
def manual_(workdir):
    out = workdir / "manual"
    argv = [sys.executable, "-B", str(PROJECT / "cmake" / "manual.py"), str(BINARY), str(out)]
    subprocess.run(argv, check=True)
    return out


def test_each_subcommand_has_a_page_with_each_of_its_options(manual):
    assert {"watch", "consume", "update"} <= set(subcommands())
    overview = (manual / "inotifier.1").read_text()
    for name in subcommands():
        assert f".B {name}\n" in overview
        page = (manual / f"inotifier-{name}.1").read_text().replace("\\-", "-")
        options = re.findall(r"^  (-[^ {]*)", say(BINARY, name, "--help"), re.M)
        assert "-h,--help" in options
        for option in options:
            assert f".B {option.replace(',', ', ')}" in page
        assert "--no-create{" not in page and " TEXT" not in page


def test_the_forwarder_has_a_page_with_each_of_its_options(manual):
    forward = pathlib.Path(BINARY).with_name("inotifier-forward")
    if not forward.exists():
        pytest.skip("built without inotifier-forward")
    page = (manual / "inotifier-forward.1").read_text().replace("\\-", "-")
    for option in re.findall(r"^  (-[^ {]*)", say(forward, "--help"), re.M):
        assert f".B {option.replace(',', ', ')}" in page


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_pages_are_right_for_groff(manual):
    for page in manual.glob("*.1"):
        assert say("groff", "-man", "-ww", "-z", "-Tutf8", page) == "", page.name


def complete(manual, *words):
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _inotifier;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return say("bash", "-c", script, "-", manual / "inotifier.bash", "inotifier", *words).split()


def test_bash_completes(manual):
    assert complete(manual, "con") == ["consume", "consumers"]
    assert complete(manual, "consume", "c", "--sta") == ["--start"]
    assert complete(manual, "consume", "c", "--start", "") == ["oldest", "now", "state"]
    assert "file.completed" in complete(manual, "sub", "file.")
    assert set(complete(manual, "")) >= set(subcommands())
    for name in subcommands():
        assert "--help" in complete(manual, name, "--")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_bash_completion_is_clean(manual):
    # SC2207: the words have no blanks.
    assert say("shellcheck", "-s", "bash", "-e", "SC2207", manual / "inotifier.bash") == ""


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_reads_its_completion(manual):
    assert say("zsh", "-n", manual / "_inotifier") == ""
