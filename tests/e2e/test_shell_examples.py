"""The shell examples of the documentation: each block is linted; what calls `inotifier` is run, in its
order, on a daemon and with files that come, until it has ended well or has told of one."""

import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess

import pytest

import documentation
from harness import BINARY, PATIENCE, PROJECT, wait_for

# What is run; all others are built, installed or started with by tests of their own.
PAGES = ["README.md", "clients/README.md", "clients/shell/README.md"]
# Needs a daemon on another machine, with keys: tests/e2e/test_security.py.
ELSEWHERE = "tcp://pacs-1"
CALLED = re.compile(r"(build/release/)?inotifier ")


def statements(block):
    """The commands of a block, each as a whole: a line that the shell cannot end yet goes on."""
    text = ""
    for line in block.splitlines():
        if not text and (not line.strip() or line.startswith("#")):
            continue
        text += line + "\n"
        complete = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True)
        if complete.returncode == 0 and not line.endswith(("|", "\\")):
            yield text
            text = ""
    assert not text, f"has no end: {text}"


def shown_in(page):
    """The calls of inotifier that a page shows: in shells, crontabs and the table of clients/shell."""
    for block in documentation.blocks(page, "sh"):
        yield from statements(block)
    for block in documentation.blocks(page, "crontab"):
        for line in filter(lambda line: line[:1] not in "#", block.splitlines()):
            assert "%" not in line, "cron takes it for a line end"
            yield line.split(None, 5)[5]
    for row in re.findall(r"^\| `/srv/in .*", (PROJECT / page).read_text(), re.M):
        yield from re.findall(r"`(inotifier [^`]*)`", row)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("page", documentation.pages())
def test_shell_blocks_are_clean(page):
    # SC1083: {path} is inotifier's. SC2164: who pastes a `cd` sees whether it failed.
    for block in documentation.blocks(page, "sh"):
        command = ["shellcheck", "-s", "bash", "-e", "SC1083,SC2164", "-"]
        done = subprocess.run(command, input=block, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout


class Site:
    """A directory in which the examples find what they name."""

    def __init__(self, workdir, daemons):
        self.here = workdir
        self.root = workdir / "incoming"
        self.root.mkdir()
        (workdir / "build" / "release").mkdir(parents=True)
        (workdir / "build" / "release" / "inotifier").symlink_to(BINARY)
        for directory in ("bin", "archive", "tmp"):
            (workdir / directory).mkdir()
        self.daemon = daemons(
            workdir,
            watches=[
                {"name": "incoming", "path": self.root},
                {"name": "in", "path": workdir / "in"},
            ],
            fetch={"endpoint": f"ipc://{workdir}/fetch.sock"},
            journal={"path": str(workdir / "journal.db")},
        )
        for name in ("make-thumbnail", "process", "cmd"):  # commands of the reader's
            for place in (workdir, workdir / "bin"):
                (place / name).write_text('#!/bin/sh\necho "$0: $*"\n')
                (place / name).chmod(0o755)
        (workdir / "bin" / "archive.sh").symlink_to(PROJECT / "clients" / "shell" / "archive.sh")
        (page,) = documentation.blocks("README.md", "toml")
        (workdir / "inotifier.toml").write_text(self.placed(page))
        path = [str(pathlib.Path(BINARY).parent), str(workdir / "bin"), os.environ["PATH"]]
        self.environment = {
            **os.environ,
            "PATH": ":".join(path),
            "INOTIFIER_FETCH_ENDPOINT": f"ipc://{workdir}/fetch.sock",
            "INOTIFIER_PUBLISH_ENDPOINT": self.daemon.endpoint,
        }
        self.files = 0

    def placed(self, text):
        """The example's places are ours."""
        for theirs, ours in (
            ("/srv/dicom/incoming", self.root),
            ("/srv/incoming", self.root),
            ("/srv/in ", f"{self.here}/in "),
            ("/srv/archive", self.here / "archive"),
            ("/var/tmp", self.here / "tmp"),
            ("/usr/local/bin", self.here / "bin"),
        ):
            text = text.replace(theirs, str(ours))
        return text

    def environment_of(self, statement):
        if not statement.startswith("inotifier run"):
            return self.environment
        # A second daemon on this machine has other endpoints.
        places = {
            f"INOTIFIER_{s}_ENDPOINT": f"ipc://{self.here}/2-{s}" for s in ("PUBLISH", "FETCH")
        }
        return {**self.environment, **places, "INOTIFIER_JOURNAL_PATH": str(self.here / "2.db")}

    def bring(self, statement):
        """Something for it to tell of."""
        self.files += 1
        for directory in (self.root, self.here / "in"):
            (directory / f"file{self.files}").write_bytes(b"x" * self.files)
        if "watch.lost" in statement:
            self.root.rename(self.here / "away")
            self.daemon.collector.wait(type="watch.lost", count=1)
            (self.here / "away").rename(self.root)

    def is_told(self, statement, text, before):
        """Whether it has printed, or written to its file, what came since it has begun."""
        if "--until-empty" in statement:
            return False  # it ends
        if any(file.stat().st_size for file in (self.here / "tmp").iterdir()):
            return True
        words = [f"file{number}".encode() for number in range(before + 1, self.files + 1)]
        words += [b"watch.lost"] if "watch.lost" in statement else []
        words += [b": ready"] if statement.startswith("inotifier run") else []
        return any(word in text for word in words)

    def run(self, statement, processes):
        """Its output, as on a terminal."""
        for file in (self.here / "tmp").iterdir():
            file.unlink()
        master, slave = pty.openpty()
        child = processes(
            ["sh", "-c", self.placed(statement)],
            cwd=self.here,
            env=self.environment_of(statement),
            stdin=subprocess.DEVNULL,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(master, False)
        text = b""
        before = self.files

        def is_over():
            nonlocal text
            ended = child.poll() is not None
            try:
                text += os.read(master, 65536)
            except (BlockingIOError, OSError):  # nothing, or the last one has closed it
                if ended:
                    return True
            if self.is_told(statement, text, before):
                return True
            if not ended:
                self.bring(statement)
            return False

        wait_for(is_over, 20 * PATIENCE, f"an end of {statement}", interval=0.1)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(10 * PATIENCE)
        else:
            assert child.returncode == 0, f"{statement}: {text.decode()}"
        os.close(master)
        return text.decode()


@pytest.mark.parametrize("page", PAGES)
def test_what_calls_inotifier_runs(page, workdir, daemons, processes, tool):
    for program in ("jq", "xargs", "file"):
        tool(program)
    site = Site(workdir, daemons)
    ran = 0
    for statement in shown_in(page):
        if CALLED.match(statement) and ELSEWHERE not in statement:
            site.run(statement, processes)
            ran += 1
    assert ran > 0
    if page == "clients/shell/README.md":
        assert list((workdir / "archive").glob("*.gz"))
