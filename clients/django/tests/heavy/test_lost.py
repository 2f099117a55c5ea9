"""A site that stayed away until the daemon could keep no more: the rest comes, a gap is told."""

import harness
import inotifier
import pytest
from sites import put


@pytest.fixture
def small(workdir):
    daemon = harness.Daemon(
        workdir,
        [{"name": "in", "path": workdir / "in"}],
        journal={"path": workdir / "daemon-journal.db", "retain_size": "1MiB"},
    )
    daemon.start()
    yield daemon
    daemon.stop(5)
    daemon.collector.stop()


def test_a_gap_is_told(small, sites, workdir):
    site = sites(small, TYPES=["file.completed"])
    site.query("PRAGMA journal_mode=WAL")
    put(workdir / "in", "first")
    site.consume()
    put(workdir / "in", *(f"file{n}" for n in range(6000)))
    small.sentinel(timeout=60)
    (first,) = small.collector.of(path=workdir / "in/file0")
    with inotifier.Requester(small.fetch_endpoint) as requester:

        def gone():
            told = requester.request("hello")["first"]
            return told > first.event["sequence"]

        harness.wait_for(gone, 30, "old events to go")
    site.consume()
    assert list(site.runs("gap").values()) == [1]
    worked_on = site.worked_on()
    assert 500 < len(worked_on) < 6000 and set(worked_on.values()) == {1}
    assert worked_on["file5999"] == 1 and "file0" not in worked_on
    site.consume()
    assert list(site.runs("gap").values()) == [1]
