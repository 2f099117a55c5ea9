"""`inotifier watch --journal FILE`: what finished while no watch ran is announced by the next."""

import json
import os
import re
import signal
import subprocess

import pytest

from harness import BINARY, PATIENCE, wait_for


class Watch:
    """One run; its output goes to a file."""

    def __init__(self, workdir, processes, *words, journal="journal.db"):
        self.out = workdir / f"out-{len(list(workdir.glob('out-*')))}"
        self.err = self.out.with_suffix(".err")
        self.journal = workdir / journal
        self.process = processes(
            [BINARY, "watch", "--journal", self.journal, *words],
            stdin=subprocess.DEVNULL,
            stdout=open(self.out, "wb"),
            stderr=open(self.err, "wb"),
            cwd=workdir,
        )

    def events(self):
        # The last line may not be whole yet.
        return [json.loads(line) for line in self.out.read_text().split("\n")[:-1]]

    def paths(self):
        return [event["data"]["path"] for event in self.events()]

    def wait(self, path):
        def told():
            assert self.process.poll() is None, self.err.read_text()
            return str(path) in self.paths()

        wait_for(told, what=f"{path} after {self.paths()}")
        return self

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10 * PATIENCE) == 0, self.err.read_text()
        return self.paths()


@pytest.fixture
def watch(workdir, processes):
    return lambda *words, **options: Watch(workdir, processes, *words, **options)


def sentinel(directory, name="sentinel"):
    (directory / (name + ".part")).write_bytes(b"s")
    (directory / (name + ".part")).rename(directory / name)
    return directory / name


def start_with(run, directory):
    """Made again and again until the watch is there and tells of it."""
    path = directory / "first"

    def told():
        assert run.process.poll() is None, run.err.read_text()
        path.write_bytes(b"1")
        return str(path) in run.paths()

    wait_for(told, what="the watch", interval=0.05)
    path.unlink()
    return run


def test_what_finished_between_two_runs(workdir, watch):
    inside = workdir / "in"
    (inside / "old").write_bytes(b"1")
    first = start_with(watch(inside), inside)
    first.wait(sentinel(inside, "a"))
    first.stop()
    assert str(inside / "old") not in first.paths()

    (inside / "b").write_bytes(b"2")
    (inside / "deep").mkdir()
    (inside / "deep" / "c").write_bytes(b"3")
    (inside / "d.part").write_bytes(b"4")
    second = watch(inside).wait(inside / "b").wait(inside / "deep" / "c")
    (inside / "d.part").rename(inside / "d")
    second.wait(inside / "d")
    assert sorted(second.stop()) == [str(inside / name) for name in ("b", "d", "deep/c")]


def test_existing_files_are_announced_by_the_first_run_alone(workdir, watch):
    inside = workdir / "in"
    (inside / "old").write_bytes(b"1")
    first = watch("--existing", inside).wait(inside / "old")
    first.stop()
    second = watch("--existing", inside)
    second.wait(sentinel(inside))
    assert second.stop() == [str(inside / "sentinel")]


def test_killed_and_started_again(workdir, watch):
    inside = workdir / "in"
    (inside / "old").write_bytes(b"1")
    first = watch("--existing", inside).wait(inside / "old")
    first.process.kill()
    first.process.wait()
    second = watch("--existing", inside)
    second.wait(sentinel(inside))
    assert second.stop() == [str(inside / "sentinel")]


@pytest.mark.parametrize("through_link", [False, True])
def test_the_journal_is_no_candidate(workdir, watch, through_link):
    inside = workdir / "in"
    place = inside
    if through_link:
        place = workdir / "link"
        place.symlink_to(inside)
    journal = place.relative_to(workdir) / "journal.db"  # from the current directory
    runs = []
    for name in ("one", "two"):
        run = watch("--existing", inside, journal=journal)
        run.wait(sentinel(inside, name))
        runs.append(run.stop())
    assert (inside / "journal.db").exists()
    assert runs == [[str(inside / "one")], [str(inside / "two")]]


def test_a_directory_is_known_again_whatever_others_there_are(workdir, watch):
    directories = [workdir / parent / "in" for parent in ("a", "b")]
    for directory in directories:
        directory.mkdir(parents=True)
        (directory / "old").write_bytes(b"1")
    first = watch("--existing", *directories)
    for directory in directories:
        first.wait(directory / "old")
    first.stop()
    names = {e["data"]["path"]: e["data"]["watch"] for e in first.events()}
    assert len(set(names.values())) == 2

    second = watch("--existing", *reversed(directories), directories[0])
    for directory in directories:
        second.wait(sentinel(directory))
    assert sorted(second.stop()) == [str(d / "sentinel") for d in directories]
    for event in second.events():
        directory = event["data"]["root"]
        assert event["data"]["watch"] == names[directory + "/old"]

    third = watch("--existing", directories[1])
    third.wait(sentinel(directories[1], "third"))
    assert third.stop() == [str(directories[1] / "third")]


def test_a_command_is_run_for_what_finished_meanwhile(workdir, watch):
    inside = workdir / "in"
    start_with(watch(inside), inside).stop()
    (inside / "late").write_bytes(b"1")
    run = watch(inside, "--", "cp", "{path}", workdir / "out")
    wait_for((workdir / "out" / "late").exists, what="the command")
    run.stop()


def test_what_no_command_was_run_for_is_told(workdir, watch):
    inside = workdir / "in"
    for name in "abc":
        (inside / name).write_bytes(b"1")
    begun = workdir / "out" / "pid"
    run = watch("--existing", inside, "--", "sh", "-c", f"echo $$ >> {begun}; exec sleep 1000")
    pid = int(wait_for(lambda: begun.exists() and begun.read_text(), what="the first command"))
    try:
        run.stop()
    finally:
        os.kill(pid, signal.SIGKILL)
    assert "no command was run for 2 files" in run.err.read_text()


def test_what_was_not_printed_is_told(workdir, processes):
    for name in "abc":
        (workdir / "in" / name).write_bytes(b"1")
    words = ["watch", "--existing", "--journal", workdir / "out" / "seen.db", workdir / "in"]
    with open("/dev/full", "wb") as full:
        process = processes([BINARY, *words], stdout=full, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=10 * PATIENCE)
    assert process.returncode == 1
    assert "ENOSPC" in err and re.search(r"[1-3] files that were announced were not printed", err)


def test_a_journal_serves_one_watch(workdir, watch):
    inside = workdir / "in"
    start_with(watch(inside), inside)
    second = watch(inside)
    assert second.process.wait(10 * PATIENCE) == 1
    assert "journal.db" in second.err.read_text()


def test_a_count_with_a_journal(workdir, watch):
    run = watch("-n", "1", workdir / "in")
    assert run.process.wait(10 * PATIENCE) == 2
    assert "inotifier consume" in run.err.read_text()
    assert not run.journal.exists()
