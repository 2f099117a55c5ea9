"""inotifier_consume on PostgreSQL: several workers, killed processes, killed connections."""

import signal

import pytest
from harness import wait_for
from sites import put

NAMES = [f"file{n}" for n in range(40)]


@pytest.fixture
def site(daemon, sites, postgres):
    return sites(daemon, postgres.directory)


def test_each_file_is_worked_on_once(site, workdir):
    put(workdir / "in", "raises-once", *NAMES)
    site.consume(code=1)
    site.make_due()
    site.consume()
    assert site.worked_on() == {name: 1 for name in ["raises-once", *NAMES]}


def test_workers_share_the_work(site, workdir):
    names = [f"takes-time-{n}" for n in range(300)]
    put(workdir / "in", *names)
    process = site.start("inotifier_consume", "--workers", "4")
    site.wait_for(done=300, timeout=60)
    process.terminate()
    assert process.wait(15) == 0
    assert site.worked_on() == {name: 1 for name in names}
    assert set(site.runs().values()) == {1}
    pids = site.query("SELECT pid, count(*) FROM work_work GROUP BY pid")
    assert len(pids) == 4 and min(count for _, count in pids) > 10


def test_workers_until_empty(site, workdir):
    put(workdir / "in", "always-raises", *NAMES)
    told = site.consume("--workers", "3", code=1)
    assert "1 events have failed" in told
    assert site.worked_on() == {name: 1 for name in NAMES}


def test_a_row_that_is_locked_is_passed_over(site, workdir):
    put(workdir / "in", "waits", *NAMES)
    process = site.start("inotifier_consume", "--workers", "2")
    wait_for((site.directory / "waiting").exists, 20, "the first to be worked on")
    wait_for(lambda: site.statuses().get("done") == 40, 30, "the others")
    (site.directory / "go-on").touch()
    site.wait_for(done=41)
    process.terminate()
    assert process.wait(15) == 0
    assert set(site.runs().values()) == {1}


def test_a_worker_that_dies_is_started_again(site, workdir):
    put(workdir / "in", "kills-once", *NAMES)
    process = site.start("inotifier_consume", "--workers", "2")
    site.wait_for(done=41, timeout=60)
    assert "signal 9; it is started again" in site.tail()
    process.terminate()
    assert process.wait(15) == 0
    assert site.worked_on() == {name: 1 for name in ["kills-once", *NAMES]}


def test_workers_end_with_their_parent(site, postgres, workdir):
    put(workdir / "in", *NAMES)
    process = site.start("inotifier_consume", "--workers", "2")
    site.wait_for(done=40, timeout=60)
    process.kill()
    process.wait()
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'site'"
    wait_for(lambda: postgres.execute(count) == [(0,)], 20, "the workers to end")
    put(workdir / "in", "later")
    site.consume()
    assert site.worked_on() == {name: 1 for name in [*NAMES, "later"]}


def test_connections_are_killed_all_the_time(site, postgres, workdir):
    names = [f"takes-time-{n}" for n in range(200)]
    process = site.start("inotifier_consume", "--workers", "2")
    killed = 0
    for start in range(0, 200, 20):
        put(workdir / "in", *names[start : start + 20])

        def some_came():
            return len(site.worked_on()) > start

        wait_for(some_came, 60, "the work to go on")
        killed += postgres.kill_connections()
    wait_for_all(site, 200)
    process.terminate()
    assert process.wait(15) == 0
    assert killed >= 10
    assert site.worked_on() == {name: 1 for name in names}


def wait_for_all(site, count):
    def all_done():
        site.make_due()
        return site.statuses() == {"done": count}

    wait_for(all_done, 60, f"{count} done", 0.1)


def test_a_receiver_that_loses_the_connection(site, workdir):
    put(workdir / "in", "loses-connection", *NAMES)
    site.consume(code=1)
    ((traceback,),) = site.query(
        "SELECT traceback FROM django_inotifier_inboxevent WHERE status = 'failed'"
    )
    assert "terminat" in traceback or "closed the connection" in traceback
    site.make_due()
    site.consume()
    assert site.worked_on() == {name: 1 for name in ["loses-connection", *NAMES]}


def test_the_database_is_away_when_it_starts(site, postgres, workdir):
    put(workdir / "in", *NAMES)
    postgres.execute("ALTER DATABASE site ALLOW_CONNECTIONS false")
    process = site.start("inotifier_consume")
    wait_for(lambda: "the database:" in site.tail(), 20, "what it says")
    postgres.execute("ALTER DATABASE site ALLOW_CONNECTIONS true")
    site.wait_for(done=40, timeout=60)
    process.terminate()
    assert process.wait(15) == 0


@pytest.mark.parametrize(
    "fault", ["killed-before-ack", "killed-before-commit", "killed-before-mark"]
)
def test_a_killed_consumer_loses_and_repeats_nothing(site, workdir, fault):
    put(workdir / "in", *NAMES)
    site.fault = fault
    site.consume(code=-signal.SIGKILL)
    process = site.start("inotifier_consume")
    site.wait_for(done=40, timeout=60)
    process.terminate()
    assert process.wait(15) == 0
    assert site.worked_on() == {name: 1 for name in NAMES}
    assert max(site.runs().values()) == (2 if fault == "killed-before-mark" else 1)


def test_killed_again_and_again(site, workdir):
    names = [f"takes-time-{n}" for n in range(200)]
    put(workdir / "in", *names)
    killed = 0
    while site.statuses() != {"done": 200} and killed < 30:
        before = sum(site.statuses().values()), site.statuses().get("done", 0)
        process = site.start("inotifier_consume")

        def moved_on():
            now = sum(site.statuses().values()), site.statuses().get("done", 0)
            return now[0] > before[0] or now[1] > before[1] + 15 or now == (200, 200)

        wait_for(moved_on, 60, "it to move on")
        process.kill()
        process.wait()
        killed += 1
        site.make_due()
    assert killed > 3
    site.consume()
    assert site.worked_on() == {name: 1 for name in names}


def test_two_processes_with_one_name(site, workdir):
    first, second = site.start("inotifier_consume"), site.start("inotifier_consume")
    names = [f"takes-time-{n}" for n in range(100)]
    put(workdir / "in", *names)
    site.wait_for(done=100, timeout=60)
    assert site.worked_on() == {name: 1 for name in names}
    assert set(site.runs().values()) == {1}
    for process in (first, second):
        process.terminate()
        assert process.wait(15) == 0
