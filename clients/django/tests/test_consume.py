"""inotifier_consume against the daemon, on SQLite: nothing lost, nothing twice."""

import os
import re
import signal
import subprocess

import harness
import pytest
from harness import wait_for
from sites import put

NAMES = [f"file{n}" for n in range(20)]


def test_each_file_is_worked_on_once(daemon, sites, workdir):
    put(workdir / "in", *NAMES)
    site = sites(daemon)
    site.consume()
    assert site.worked_on() == {name: 1 for name in NAMES}
    assert site.statuses() == {"done": 20}
    site.consume()
    assert site.worked_on() == {name: 1 for name in NAMES}


def test_a_misspelt_watch_is_warned_of(daemon, sites, workdir):
    site = sites(daemon, HANDLERS={"inn": "os.path.exists"})
    told = site.consume()
    assert "HANDLERS has 'inn', which is no watch of the daemon. Did you mean \"in\"?" in told


def test_files_come_while_it_runs_and_sigterm_ends_it(daemon, sites, workdir):
    site = sites(daemon)
    process = site.start("inotifier_consume")
    put(workdir / "in", *NAMES)
    site.wait_for(done=20)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert " done, 0 failed" in site.tail()


def test_sigterm_waits_for_the_row_that_runs(daemon, sites, workdir):
    put(workdir / "in", "waits", "after")
    site = sites(daemon)
    process = site.start("inotifier_consume")
    wait_for((site.directory / "waiting").exists, what="the receiver to run")
    process.send_signal(signal.SIGTERM)
    (site.directory / "go-on").touch()
    assert process.wait(10) == 0
    assert site.worked_on()["waits"] == 1
    site.consume()
    assert site.worked_on() == {"waits": 1, "after": 1}


@pytest.mark.parametrize(
    "fault", ["killed-before-ack", "killed-before-commit", "killed-before-mark"]
)
def test_a_killed_consumer_loses_and_repeats_nothing(daemon, sites, workdir, fault):
    put(workdir / "in", *NAMES)
    site = sites(daemon)
    site.fault = fault
    site.consume(code=-signal.SIGKILL)
    assert (site.directory / f"fault-{fault}").exists()
    # The one that was killed has the consumer until its lease ends.
    process = site.start("inotifier_consume")
    site.wait_for(done=20, timeout=60)
    process.terminate()
    assert process.wait(10) == 0
    assert site.worked_on() == {name: 1 for name in NAMES}
    assert max(site.runs().values()) == (2 if fault == "killed-before-mark" else 1)


def test_a_row_whose_receiver_was_killed_runs_again(daemon, sites, workdir):
    put(workdir / "in", "kills-once", *NAMES)
    site = sites(daemon)
    site.consume(code=-signal.SIGKILL)
    rows = site.query(
        "SELECT tries, traceback FROM django_inotifier_inboxevent WHERE status = 'failed'"
    )
    assert len(rows) == 1 and rows[0][0] == 1 and "killed" in rows[0][1]
    site.make_due()
    site.start("inotifier_consume")
    site.wait_for(done=21)
    assert site.worked_on() == {name: 1 for name in ["kills-once", *NAMES]}


@pytest.mark.parametrize("before", [5, 50])
def test_a_row_that_always_kills_does_not_hold_the_others(daemon, sites, workdir, before):
    put(workdir / "in", *(f"before{n}" for n in range(before)))
    daemon.sentinel()
    put(workdir / "in", "always-kills")
    daemon.sentinel()
    put(workdir / "in", *NAMES)
    site = sites(daemon)
    site.consume(code=-signal.SIGKILL)
    if before > 32:  # so many rows are marked before they run; the next start finds it out
        assert set(site.statuses()) == {"done", "pending"}
        site.manage("inotifier_consume", code=-signal.SIGKILL)
    site.make_due()  # the others go first even if it was due before the process is up again
    process = site.start("inotifier_consume")
    others = before + 2 + len(NAMES)
    wait_for(lambda: site.statuses().get("done") == others, 30, "the others to be done")
    assert site.statuses() == {"done": others, "failed": 1}
    process.kill()


def test_the_daemon_is_killed(daemon, sites, workdir):
    site = sites(daemon)
    site.start("inotifier_consume")
    put(workdir / "in", *NAMES[:10])
    site.wait_for(done=10)
    daemon.process.kill()
    daemon.process.wait()
    put(workdir / "in", *NAMES[10:])
    daemon.start()
    site.wait_for(done=20)
    assert site.worked_on() == {name: 1 for name in NAMES}


def test_a_restored_backup_gets_again_what_it_does_not_have(daemon, sites, workdir):
    site = sites(daemon)
    put(workdir / "in", *NAMES[:5])
    site.consume()
    backup = site.database.read_bytes()
    put(workdir / "in", *NAMES[5:])
    site.consume()
    assert len(site.worked_on()) == 20
    site.database.write_bytes(backup)
    assert len(site.worked_on()) == 5
    site.consume()
    assert site.worked_on() == {name: 1 for name in NAMES}


def test_a_backup_is_restored_while_the_consumer_runs(daemon, sites, workdir):
    site = sites(daemon)
    put(workdir / "in", *NAMES[:5])
    site.consume()
    before = site.query("SELECT stream, position FROM django_inotifier_cursor")[0]
    process = site.start("inotifier_consume")
    put(workdir / "in", *NAMES[5:])
    site.wait_for(done=20)
    site.query("DELETE FROM work_work WHERE path >= 'file5' AND path < 'file6'")
    site.query("DELETE FROM django_inotifier_inboxevent WHERE path LIKE '%/file5'")
    site.query("UPDATE django_inotifier_cursor SET position = ?", before[1])
    put(workdir / "in", "later")  # at the latest with the next event it sees it
    site.wait_for(done=21)
    assert site.worked_on() == {name: 1 for name in [*NAMES, "later"]}
    assert process.poll() is None


def test_a_new_database_gets_everything(daemon, sites, workdir):
    put(workdir / "in", *NAMES)
    sites(daemon).consume()
    site = sites(daemon)  # the same consumer, nothing in its database
    site.consume()
    assert site.worked_on() == {name: 1 for name in NAMES}


def test_start_now_is_for_a_consumer_that_is_new(daemon, sites, workdir):
    put(workdir / "in", *NAMES)
    daemon.sentinel()
    site = sites(daemon)
    site.consume("--start", "now")
    assert site.worked_on() == {}
    put(workdir / "in", "new")
    daemon.sentinel()
    site.consume("--start", "now")
    assert set(site.worked_on()) == {"new", "sentinel-2"}


def test_the_journal_is_deleted(daemon, sites, workdir):
    put(workdir / "in", *NAMES)
    site = sites(daemon)
    site.consume()
    assert daemon.stop(5) == 0
    for file in workdir.glob("daemon-journal.db*"):
        file.unlink()
    put(workdir / "in", "new")
    daemon.start()
    site.consume()
    # Told again, under the same ids: they are known.
    assert site.worked_on() == {name: 1 for name in [*NAMES, "new"]}
    assert max(site.runs().values()) == 1


def test_a_consumer_that_was_forgotten_is_made_again(daemon, sites, workdir):
    import inotifier

    put(workdir / "in", *NAMES)
    site = sites(daemon)
    process = site.start("inotifier_consume")
    site.wait_for(done=20)
    with inotifier.Requester(daemon.fetch_endpoint) as requester:
        requester.request("forget", consumer="site")
    put(workdir / "in", "new")
    site.wait_for(done=21)
    assert site.worked_on() == {name: 1 for name in [*NAMES, "new"]}
    assert process.poll() is None


def test_one_that_raises_is_kept_and_tried_again(daemon, sites, workdir):
    put(workdir / "in", "raises-once", "always-raises", *NAMES)
    site = sites(daemon)
    told = site.consume(code=1)
    assert "events have failed" in told
    # On a busy machine a second has passed before the end, and both were tried again.
    statuses = site.statuses()
    assert statuses in ({"done": 20, "failed": 2}, {"done": 21, "failed": 1})
    rows = site.query(
        "SELECT path, tries, traceback, next_try FROM django_inotifier_inboxevent"
        " WHERE status = 'failed' ORDER BY id"
    )
    assert len(rows) == statuses["failed"]
    for path, tries, traceback, next_try in rows:
        assert tries >= 1 and next_try is not None
        assert f"ValueError: no good: {path}" in traceback and "receivers.py" in traceback
    site.make_due()
    site.consume(code=1)
    assert site.statuses() == {"done": 21, "failed": 1}
    assert site.worked_on() == {name: 1 for name in ["raises-once", *NAMES]}


def test_it_is_tried_again_by_itself(daemon, sites, workdir):
    put(workdir / "in", "raises-once")
    site = sites(daemon)
    site.start("inotifier_consume")
    site.wait_for(done=1)
    assert site.query("SELECT tries FROM django_inotifier_inboxevent WHERE path LIKE '%once'") == [
        (2,)
    ]


def test_a_hook_of_on_commit_that_did_not_run_runs(daemon, sites, workdir):
    put(workdir / "in", "hook-dies-once")
    site = sites(daemon)
    site.consume(code=-signal.SIGKILL)
    assert site.statuses() == {"failed": 1}  # committed, but its hook has not run
    site.make_due()
    process = site.start("inotifier_consume")
    site.wait_for(done=1)
    process.terminate()
    assert process.wait(10) == 0
    assert list(site.runs().values()) == [2]


def test_a_name_that_is_no_utf8(daemon, sites, workdir):
    name = b"caf\xe9\n.txt"
    path = os.path.join(os.fsencode(workdir / "in"), name)
    with open(path, "wb") as file:
        file.write(b"x")
    put(workdir / "in", "always-raises")
    os.rename(path, os.path.join(os.fsencode(workdir / "in"), b"always-raises-\xe9"))
    site = sites(daemon)
    site.consume(code=1)
    rows = site.query(
        "SELECT path, traceback FROM django_inotifier_inboxevent"
        " WHERE type = 'file.completed' AND status = 'failed' ORDER BY id"
    )
    assert any(path.endswith(r"always-raises-\xe9") for path, _ in rows)
    assert any("\\udce9" in traceback for _, traceback in rows)


def test_the_second_process_stands_by(daemon, sites, workdir):
    site = sites(daemon)
    first = site.start("inotifier_consume")
    put(workdir / "in", "one")
    site.wait_for(done=1)
    second = site.start("inotifier_consume")
    wait_for(lambda: "stands by" in site.tail(), 20, "the second to stand by")
    first.kill()
    first.wait()
    put(workdir / "in", "two")
    site.wait_for(done=2, timeout=60)
    assert second.poll() is None


def test_types_of_the_setting_hold(daemon, sites, workdir):
    site = sites(daemon)
    site.consume()
    assert site.query("SELECT DISTINCT type FROM django_inotifier_inboxevent") == [
        ("watch.ready",),
        ("watch.scanned",),
    ]
    site.setting["TYPES"] = ["file.completed"]
    put(workdir / "in", *NAMES)
    daemon.process.kill()
    daemon.process.wait()
    daemon.start()
    site.consume()
    told = site.query("SELECT type, count(*) FROM django_inotifier_inboxevent GROUP BY type")
    assert dict(told) == {"watch.ready": 1, "watch.scanned": 1, "file.completed": 20}


def test_one_worker_on_sqlite(daemon, sites, workdir):
    put(workdir / "in", "one")
    site = sites(daemon)
    assert "one process works" in site.consume("--workers", "4")
    assert site.worked_on() == {"one": 1}


def test_no_daemon(sites, workdir):
    site = sites(FETCH_ENDPOINT=f"ipc://{workdir}/nobody")
    assert f"ipc://{workdir}/nobody" in site.consume(code=1)
    process = site.start("inotifier_consume")
    wait_for(lambda: "trying again" in site.tail(), 20, "what it says")
    process.terminate()
    assert process.wait(10) == 0


def test_a_key_that_is_taken_away_ends_it(sites, workdir):
    for name, access in (("server", "read"), ("site", "all")):
        command = [harness.BINARY, "keygen", name, "--dir", str(workdir), "--access", access]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (workdir / "clients").mkdir()
    key = (workdir / "site.key").rename(workdir / "clients" / "site.key")
    daemon = harness.Daemon(
        workdir,
        [{"name": "in", "path": workdir / "in"}],
        fetch={"endpoint": "tcp://127.0.0.1:*"},
        security={"server_key": workdir / "server.key_secret", "clients": workdir / "clients"},
    )
    daemon.start()
    try:
        endpoint = wait_for(lambda: re.search(r"fetch on (tcp\S+)", daemon.log_text()))[1]
        daemon.config.write_text(daemon.config.read_text().replace("tcp://127.0.0.1:*", endpoint))
        site = sites(
            FETCH_ENDPOINT=endpoint,
            SERVER_KEY=str(workdir / "server.key"),
            KEY=str(workdir / "site.key_secret"),
        )
        process = site.start("inotifier_consume")
        put(workdir / "in", "one")
        site.wait_for(done=1)
        daemon.process.kill()
        daemon.process.wait()
        key.unlink()
        daemon.start()
        assert process.wait(20 * harness.PATIENCE) == 1
        assert f"CommandError: {endpoint}: the peer refuses our keys" in site.tail()
    finally:
        daemon.stop(5)
        daemon.collector.stop()
