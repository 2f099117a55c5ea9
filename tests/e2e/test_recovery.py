"""What survives: kills, power cuts, damaged journals, logs that are full."""

import collections
import os
import shutil
import sqlite3
import subprocess
import time

import pytest

from durable import Consumer, Service, copy_journal, cut_power, journal_files, kill
from harness import BINARY, PATIENCE, WRITER, fastest_stop, wait_for, write


def files(directory, count, name="f"):
    directory.mkdir(exist_ok=True)
    for i in range(count):
        (directory / f"{name}{i}").write_bytes(b"x" * (i % 100 + 1))
    return {os.fsencode(directory / f"{name}{i}") for i in range(count)}


# --- kills and power cuts


def test_after_a_power_cut_the_same_ids(any_workdir, daemons):
    daemon = daemons(any_workdir)
    consumer = Consumer(daemon)
    before = files(any_workdir / "in" / "before", 200)
    consumer.wait_for_paths(200)
    consumer.drain()
    copies = copy_journal(daemon)
    since = files(any_workdir / "in" / "since", 300)
    consumer.wait_for_paths(500)
    consumer.drain()  # acked: the journal that comes back knows nothing of it
    first = {path: id for _, id, type, path in consumer.events if type == "file.completed"}
    cut_power(daemon, copies)
    daemon.start()
    told, consumer.events = consumer.events, []
    consumer.wait_for_paths(300)
    consumer.drain()
    again = {path: id for _, id, type, path in consumer.events if type == "file.completed"}
    assert set(again) == since and before.isdisjoint(again)
    assert again == {path: first[path] for path in since}
    assert not consumer.lost
    # Nothing that was told before the cut is meant by a position given after it.
    old = {position for position, *_ in told}
    assert old.isdisjoint(position for position, *_ in consumer.events)
    assert min(position for position, *_ in consumer.events) > max(old)


def test_ten_thousand_unacked_events_and_a_power_cut(workdir, daemons):
    daemon = daemons(workdir)
    consumer = Consumer(daemon)
    files(workdir / "in" / "acked", 100)
    consumer.wait_for_paths(100)
    consumer.drain()
    copies = copy_journal(daemon)
    consumer.events = []
    count = 10_000
    write("bulk", count, 20, workdir / "in", "--bytes", 10)
    daemon.collector.wait(count=100 + count, timeout=60)
    delivered = consumer.fetch(limit=1000)
    assert len(delivered) == 1000
    cut_power(daemon, copies)
    daemon.start()
    consumer.events = []
    consumer.wait_for_paths(count, timeout=60)
    assert len(consumer.paths()) == count, "each once"
    assert not consumer.lost


def test_no_position_is_given_twice(workdir, daemons):
    daemon = daemons(workdir)
    given = {}
    stream = None
    for round in range(8):
        copies = copy_journal(daemon)
        want = files(workdir / "in" / f"r{round}", 50)
        for path in want:
            daemon.collector.wait(path=os.fsdecode(path))
        reply = Service(daemon.fetch_endpoint).request("fetch", after="0", limit=4096)
        assert stream in (None, reply["stream"])
        stream = reply["stream"]
        positions = [event["sequence"] for event in reply["events"]]
        assert positions == sorted(positions)
        for event in reply["events"]:
            assert given.setdefault(event["sequence"], event["id"]) == event["id"]
        if round % 2:
            cut_power(daemon, copies)
        else:
            kill(daemon)
        daemon.start()


def test_a_kill_repeats_nothing(workdir, daemons):
    """What was committed before the kill is not announced again, and what was acked stays so."""
    daemon = daemons(workdir)
    consumer = Consumer(daemon)
    for round in range(5):
        files(workdir / "in" / f"r{round}", 100)
        consumer.wait_for_paths(100 * (round + 1))
        consumer.drain()
        kill(daemon)
        files(workdir / "in" / f"r{round}", 100, "down")
        daemon.start()
        consumer.wait_for_paths(100 * (round + 1))
        consumer.drain()
    consumer.wait_for_paths(1000)
    consumer.drain()
    assert len(consumer.paths()) == len(set(consumer.paths())) == 1000
    positions = [position for position, *_ in consumer.events]
    assert positions == sorted(set(positions))


def test_sigterm_under_load(workdir, daemons, processes):
    load = []

    def end_load():
        assert all(writer.poll() is None for writer in load), "the load ended before the daemon"
        while load:
            load.pop().kill()

    def start():
        end_load()
        directory = workdir / "in" / f"{time.monotonic_ns()}"
        directory.mkdir()
        daemon = daemons(workdir, {"path": directory})
        bulk = [WRITER, "bulk", 200_000, 200, directory, "--bytes", 100]
        load.extend(processes(bulk) for _ in range(2))
        daemon.collector.wait(count=2000, timeout=30)
        return daemon

    assert fastest_stop(start) < 1 * PATIENCE
    end_load()


# --- a log that is full


def test_lost_is_told(workdir, daemons):
    """As much as retain_size is kept, whoever has not read it; who missed it is told."""
    daemon = daemons(
        workdir, journal={"path": workdir / "daemon-journal.db", "retain_size": "1MiB"}
    )
    consumer = Consumer(daemon)
    consumer.fetch()
    write("bulk", 6000, 10, workdir / "in", "--bytes", 10)
    daemon.collector.wait(count=6000, timeout=30)
    wait_for(
        lambda: Service(daemon.fetch_endpoint).request("hello")["first"]
        > daemon.collector.of()[0].event["sequence"],
        what="old events to go",
    )
    consumer.drain()
    assert consumer.lost
    lost_last = max(lost["last"] for lost in consumer.lost)
    told = {m.event["sequence"] for m in daemon.collector.of()}
    got = {position for position, _, type, _ in consumer.events if type == "file.completed"}
    # Each event was either delivered or lies in what is called lost.
    assert {position for position in told - got if position > lost_last} == set()
    assert len(got) > 1000
    consumer.fetch()
    consumer.lost.clear()
    consumer.fetch()
    assert not consumer.lost, "acked past"


@pytest.mark.parametrize("directories", [40, 1], ids=["in_directories", "in_one"])
def test_scans_wait_for_a_consumer_that_is_behind(workdir, daemons, directories):
    """What a scan finds does not drive out of the log what the consumer has not had; live files go
    on being seen meanwhile."""
    daemon = daemons(
        workdir, journal={"path": workdir / "daemon-journal.db", "retain_size": "1MiB"}
    )
    consumer = Consumer(daemon)
    consumer.drain()
    assert daemon.stop() == 0
    count = 8000
    write("bulk", count, directories, workdir / "in", "--bytes", 10)
    daemon.start(ready=False)
    wait_for(lambda: "scans wait" in daemon.log_text(), 30, what="the scan to pause")
    daemon.wait_ready()
    live = workdir / "in" / "b0" / "live"
    live.write_bytes(b"live")
    daemon.collector.wait(path=live)
    assert "watch.scanned/in/" not in {m.topic for m in daemon.collector.messages}
    consumer.wait_for_paths(count + 1, timeout=60)
    assert len(consumer.paths()) == count + 1, "each once"
    assert not consumer.lost
    daemon.collector.wait("watch.scanned", timeout=30)


def test_removals_that_a_scan_finds_wait_for_a_consumer_that_is_behind(workdir, daemons):
    watch = {"events": ["file.completed", "file.removed"]}
    journal = {"path": workdir / "daemon-journal.db", "retain_size": "1MiB"}
    daemon = daemons(workdir, watch, journal=journal)
    count = 8000
    write("bulk", count, 4, workdir / "in", "--bytes", 10)
    daemon.collector.wait(count=count, timeout=60)
    consumer = Consumer(daemon, types=["file.removed"])
    consumer.drain()
    assert daemon.stop() == 0
    for file in (workdir / "in").glob("*/*"):
        file.unlink()
    daemon.start(ready=False)

    def all_told():
        consumer.fetch(wait=0.2)
        return len(consumer.events) >= count

    wait_for(lambda: "scans wait" in daemon.log_text(), 30, what="the scan to pause")
    wait_for(all_told, 60, what="every removal")
    assert not consumer.lost


# --- journals that cannot be used


def run_once(daemon, wrapper=()):
    """The exit code and what was said, of a daemon that has to refuse."""
    done = subprocess.run(
        [*wrapper, BINARY, "run", "-c", str(daemon.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=20 * PATIENCE,
        text=True,
    )
    return done.returncode, done.stdout


def elsewhere(daemon):
    """The same configuration with sockets of its own."""
    text = daemon.config.read_text()
    daemon.config.write_text(
        text.replace("daemon.sock", "other").replace("daemon-fetch.sock", "more")
    )


def bytes_of(daemon):
    """An empty WAL is none."""
    files = [file for file in journal_files(daemon) if file.exists()]
    return {file: file.read_bytes() for file in files if file.stat().st_size}


@pytest.fixture
def used(workdir, daemons):
    """A daemon that has ended, and left a journal with 500 events."""
    daemon = daemons(workdir)
    files(workdir / "in", 500)
    daemon.collector.wait(count=500)
    assert daemon.stop() == 0
    return daemon


def refuses(daemon, *words):
    before = bytes_of(daemon)
    code, text = run_once(daemon)
    assert code not in (0, None) and code > 0, text
    assert str(daemon.journal) in text
    for word in words:
        assert word in text, text
    assert bytes_of(daemon) == before, "it was overwritten"


def test_garbage(used):
    used.journal.write_bytes(b"no database, but somebody's " + os.urandom(100_000))
    refuses(used, "damaged")


def test_another_programs_database(used):
    used.journal.unlink()
    with sqlite3.connect(used.journal) as database:
        database.execute("CREATE TABLE precious(data)")
    database.close()
    refuses(used, "another program")


def test_truncated(used):
    data = used.journal.read_bytes()
    used.journal.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    refuses(used, "damaged")


def test_damaged_in_the_middle(used):
    """Where the tables of files lie: found when they are read."""
    data = bytearray(used.journal.read_bytes())
    for page in range(4, len(data) // 4096):
        data[page * 4096 : page * 4096 + 100] = b"\xff" * 100
    used.journal.write_bytes(data)
    refuses(used, "damaged")


def test_newer(used):
    with sqlite3.connect(used.journal) as database:
        database.execute("PRAGMA user_version = 1000")
    database.close()
    refuses(used, "newer")


def test_used_by_another_daemon(workdir, daemons):
    daemon = daemons(workdir)
    elsewhere(daemon)
    code, text = run_once(daemon)
    assert code > 0 and "another inotifier" in text and str(daemon.journal) in text
    daemon.sentinel()  # the first one does not mind


def test_not_writable(workdir, daemons):
    if os.geteuid() != 0:
        pytest.skip("needs root to be somebody else")
    daemon = daemons(workdir, journal={"path": workdir / "j" / "journal.db"})
    daemon.journal = workdir / "j" / "journal.db"
    assert daemon.stop() == 0
    workdir.chmod(0o777)
    elsewhere(daemon)
    before = bytes_of(daemon)
    code, text = run_once(daemon, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    assert code > 0 and "journal.db" in text and "Permission denied" in text, text
    assert "[journal] path" in text, "the remedy"
    assert bytes_of(daemon) == before


# --- much has left meanwhile


def test_many_files_left_while_it_was_down(workdir, daemons):
    """It is told in slices: no turn, and no transaction, is as large as what has left."""
    count = 6000
    daemon = daemons(workdir, {"events": ["file.completed", "file.removed", "watch.scanned"]})
    flat, tree = workdir / "in" / "flat", workdir / "in" / "tree"
    for directory in (flat, tree):
        directory.mkdir()
    write("bulk", count, 1, flat, "--bytes", 1)
    write("bulk", count, 600, tree, "--bytes", 1)
    daemon.collector.wait(count=2 * count, timeout=60)
    assert daemon.stop() == 0
    for file in (flat / "b0").iterdir():
        file.unlink()
    shutil.rmtree(tree)
    daemon.start(ready=False)
    daemon.collector.wait("watch.scanned", timeout=60)
    assert set(daemon.collector.paths("file.removed").values()) == {1}
    assert len(daemon.collector.paths("file.removed")) == 2 * count
    # What one turn tells has one time.
    turns = collections.Counter(m.event["time"] for m in daemon.collector.of("file.removed"))
    assert max(turns.values()) <= 2500, turns.most_common(3)
