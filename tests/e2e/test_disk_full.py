"""No room for the journal: nothing is announced, nothing is lost, and it is said once."""

import os
import subprocess

import pytest

from durable import Refused, Service, client_id
from harness import PATIENCE, Daemon, wait_for, write
from test_reload import rewrite


class SmallDisk:
    """A file system of 64 MiB that can be filled."""

    def __init__(self, path):
        self.path = path
        self.filler = path / "filler"

    def fill(self):
        with open(self.filler, "wb") as file:
            size, offset = 1 << 24, 0
            while size >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), offset, size)
                    offset += size
                except OSError:
                    size //= 2

    def make_room(self):
        self.filler.unlink()


@pytest.fixture
def small_disk(workdir):
    path = workdir / "small"
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64m", "inotifier-test", str(path)]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
    yield SmallDisk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def daemon(small_disk, workdir, daemons):
    return daemons(workdir, journal={"path": small_disk.path / "journal.db"})


def complaints(daemon):
    return daemon.log_text().count("there is no room")


def test_nothing_is_lost(daemon, small_disk, workdir):
    fetch = Service(daemon.fetch_endpoint)
    client = client_id()
    daemon.sentinel()
    first = fetch.request("fetch", consumer="c", client=client)
    small_disk.fill()
    count = 5000
    write("bulk", count, 10, workdir / "in", "--bytes", 10)
    wait_for(lambda: complaints(daemon) == 1, what="the complaint")
    told = len(daemon.collector.of())
    # It still answers from what is there, but cannot write down an ack.
    assert fetch.request("fetch", after="0", limit=4096)["events"]
    with pytest.raises(Refused) as refused:
        fetch.request(
            "ack", consumer="c", client=client, stream=first["stream"], ack=first["cursor"]
        )
    assert refused.value.code == "busy"
    text = daemon.log_text()
    line = next(line for line in text.splitlines() if "there is no room" in line)
    assert str(small_disk.path / "journal.db") in line and "free some" in line
    small_disk.make_room()
    daemon.collector.wait(count=count + 1, timeout=60)
    daemon.sentinel()
    assert told < count, "the disk was not full"
    assert complaints(daemon) == 1
    announced = daemon.announced()
    assert len(announced) == count and set(announced.values()) == {1}
    fetch.request("ack", consumer="c", client=client, stream=first["stream"], ack=first["cursor"])


def test_more_than_can_be_kept_meanwhile(daemon, small_disk, workdir):
    """The mailbox and the kernel's queue run over; a rescan finds what they told of."""
    (workdir / "in" / "b0").mkdir()
    daemon.sentinel()
    small_disk.fill()
    count = 30_000
    write("bulk", count, 1, workdir / "in", "--bytes", 1)
    wait_for(lambda: complaints(daemon) == 1, what="the complaint")
    small_disk.make_room()
    daemon.collector.wait(count=count + 1, timeout=90)
    daemon.sentinel(timeout=30)
    announced = daemon.announced()
    assert len(announced) == count and set(announced.values()) == {1}


def test_killed_while_it_was_full(daemon, small_disk, workdir):
    small_disk.fill()
    count = 3000
    write("bulk", count, 10, workdir / "in", "--bytes", 10)
    wait_for(lambda: complaints(daemon) >= 1, what="the complaint")
    before = daemon.announced()
    daemon.process.kill()
    daemon.process.wait()
    # There is no room yet: it starts and waits for some, or says why it cannot.
    daemon.start(ready=False)
    wait_for(
        lambda: complaints(daemon) >= 2 or daemon.process.poll() is not None,
        what="the second start to meet the full disk",
    )
    if daemon.process.poll() is not None:
        assert daemon.process.returncode > 0
        assert "no room" in daemon.log_text()
    small_disk.make_room()
    if daemon.process.poll() is not None:
        daemon.start(ready=False)
    daemon.collector.wait(count=count - len(before), timeout=60 * PATIENCE)
    daemon.sentinel(timeout=30)
    assert len(set(before) | set(daemon.announced())) == count


def test_reload_is_refused(daemon, small_disk, workdir):
    """A watch that the journal cannot note is not added; the ones that there are go on."""
    (workdir / "other").mkdir()
    daemon.sentinel()
    small_disk.fill()
    first = {"name": '"in"', "path": f'"{workdir}/in"'}
    second = {"name": '"other"', "path": f'"{workdir}/other"', "existing": '"ignore"'}
    rewrite(daemon, [first, second])
    line = daemon.log_text().splitlines()[-1]
    assert "SIGHUP: everything stays as it is" in line and "no room" in line
    assert daemon.process.poll() is None
    assert Service(daemon.fetch_endpoint).request("hello")["ok"]
    small_disk.make_room()
    daemon.sentinel()
    (workdir / "other" / "before").write_bytes(b"x")
    rewrite(daemon, [first, second])
    (workdir / "other" / "after").write_bytes(b"x")
    daemon.collector.wait(path=workdir / "other" / "after")
    daemon.sentinel()
    assert not daemon.collector.of(path=workdir / "other" / "before")


def test_first_start(small_disk, workdir):
    """The journal cannot be made: it says why, and what helps."""
    small_disk.fill()
    journal = small_disk.path / "journal.db"
    watch = {"name": "in", "path": workdir / "in"}
    line = Daemon(workdir, [watch], journal={"path": journal}).fail_to_start().splitlines()[-1]
    assert str(journal) in line and "no room" in line
