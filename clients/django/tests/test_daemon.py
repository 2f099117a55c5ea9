"""inotifier_start, _stop, _status: the daemon of a site that runs its own."""

import os
import pathlib
import shutil

import harness
import pytest
from django_inotifier.daemon import OwnDaemon
from sites import put


@pytest.fixture
def site(sites, workdir):
    made = sites(
        DAEMON={
            "BINARY": harness.BINARY,
            "DIRECTORY": str(workdir / "own"),
            "WATCHES": [
                {"path": str(workdir / "in")},
                {"path": "second", "name": "two", "events": ["file.completed", "in_create"]},
            ],
            "OPTIONS": {"log": {"level": "debug"}},
        }
    )
    (made.directory / "second").mkdir()
    yield made
    made.manage("inotifier_stop")


def test_start_consume_status_stop(site, workdir):
    told = site.manage("inotifier_start")
    assert "inotifier started, pid" in told
    pid = int(told.split("pid ")[1].split(",")[0])
    put(workdir / "in", "one")
    put(site.directory / "second", "two")
    site.consume()
    assert site.worked_on() == {"one": 1, "two": 1}
    rows = site.query("SELECT type FROM django_inotifier_inboxevent WHERE watch = 'two'")
    assert ("in_create",) in rows
    status = site.manage("inotifier_status")
    assert f"pid {pid}" in status and ", ready" in status
    assert f"two: {site.directory}/second (completed)" in status
    assert "site: 0 events to fetch, nobody fetches" in status
    assert "inbox     0 pending, 0 failed" in status
    assert f"runs already, pid {pid}" in site.manage("inotifier_start")
    assert f"stopped, pid {pid}" in site.manage("inotifier_stop")
    assert "did not run" in site.manage("inotifier_stop")
    assert "pending" in site.manage("inotifier_status", code=3)


def test_what_finished_while_it_did_not_run(site, workdir):
    site.manage("inotifier_start")
    site.manage("inotifier_stop")
    put(workdir / "in", "meanwhile")
    site.manage("inotifier_start")
    site.consume()
    assert site.worked_on() == {"meanwhile": 1}


def test_a_changed_setting_is_told_to_the_one_that_runs(site, workdir):
    site.manage("inotifier_start")
    (workdir / "three").mkdir()
    site.setting["DAEMON"]["WATCHES"].append({"path": str(workdir / "three")})
    assert "told of a new configuration" in site.manage("inotifier_start")

    def watched():
        return "three:" in site.manage("inotifier_status")

    harness.wait_for(watched, 20, "the third watch")
    put(workdir / "three", "x")
    site.consume()
    assert site.worked_on() == {"x": 1}


def test_errors_of_its_configuration_are_shown(site, workdir):
    site.setting["DAEMON"]["WATCHES"][0]["settle"] = "soon"
    told = site.manage("inotifier_start", code=1)
    assert "settle" in told and "soon" in told
    assert "Traceback" not in told
    site.setting["DAEMON"]["OPTIONS"] = {"jornal": {"retain": "1d"}}
    assert "jornal" in site.manage("inotifier_start", code=1)


def test_a_configuration_that_is_wrong_leaves_the_one_that_runs(site, workdir):
    site.manage("inotifier_start")
    site.setting["DAEMON"]["WATCHES"][0]["settle"] = "soon"
    site.manage("inotifier_start", code=1)
    site.setting["DAEMON"]["WATCHES"][0].pop("settle")
    assert "runs already" in site.manage("inotifier_start")


def test_no_binary(site):
    site.setting["DAEMON"]["BINARY"] = "/nonexistent/inotifier"
    assert "BINARY in DAEMON" in site.manage("inotifier_start", code=1)


@pytest.mark.parametrize("binary", ["/tmp", "/etc/passwd", "/bin/true", "x\0y"])
def test_a_wrong_binary_is_told_without_a_traceback(site, binary):
    site.setting["DAEMON"]["BINARY"] = binary
    told = site.manage("inotifier_start", code=1)
    assert "Traceback" not in told and ("BINARY" in told or "the daemon" in told), told


def test_a_binary_that_has_gone_is_told_without_a_traceback(site):
    site.manage("inotifier_start")
    site.manage("inotifier_stop")
    site.setting["DAEMON"]["BINARY"] = "/nonexistent/inotifier"
    assert "BINARY in DAEMON" in site.manage("inotifier_start", code=1)


@pytest.mark.parametrize("kind", ["file", "below a file", "log", "pid", "configuration", "long"])
def test_a_wrong_directory_is_told_without_a_traceback(site, workdir, kind):
    own = workdir / "own"
    if kind == "file":
        own.write_text("")
    elif kind == "below a file":
        (workdir / "plain").write_text("")
        site.setting["DAEMON"]["DIRECTORY"] = str(workdir / "plain/own")
    elif kind == "long":
        site.setting["DAEMON"]["DIRECTORY"] = str(workdir / ("x" * 300))
    else:
        names = {"log": "log", "pid": "pid", "configuration": "inotifier.toml"}
        (own / names[kind]).mkdir(parents=True)
    told = site.manage("inotifier_start", code=1)
    assert "Traceback" not in told and "DIRECTORY" in told, told
    site.setting["DAEMON"]["DIRECTORY"] = str(own)  # for the fixture's end
    if kind == "file":
        own.unlink()


def test_what_cannot_be_reached_does_not_stay(site, workdir):
    """Its endpoint is not the site's: nobody could ask it, or stop it."""
    site.setting["DAEMON"]["OPTIONS"] = {"fetch": {"endpoint": f"ipc://{workdir}/elsewhere"}}
    told = site.manage("inotifier_start", code=1)
    assert "the daemon does not answer" in told and "Traceback" not in told
    assert "did not run" in site.manage("inotifier_stop")


@pytest.mark.parametrize(
    "change", [{"CONSUMER": "?"}, {"DAEMON": 3}, {"TYPES": 3, "HANDLERS": {"in": "no.such"}}]
)
def test_it_can_be_stopped_when_the_setting_is_a_wrong_one_now(site, workdir, change):
    site.manage("inotifier_start")
    before = dict(site.setting)
    if "DAEMON" in change:  # then it is where the default is
        (workdir / "own").rename(site.directory / ".inotifier")
    site.setting.update(change)
    try:
        assert "inotifier stopped" in site.manage("inotifier_stop")
    finally:
        site.setting.clear()
        site.setting.update(before)


def test_what_ends_at_once_says_why(site, workdir):
    (workdir / "own").mkdir()
    (workdir / "own/journal.db").mkdir()
    told = site.manage("inotifier_start", code=1)
    assert "the daemon ended" in told and "journal.db" in told


def test_no_watches(sites):
    assert "has no WATCHES" in sites().manage("inotifier_start", code=1)


def test_another_process_with_its_pid_is_left_alone(site, workdir):
    (workdir / "own").mkdir()
    (workdir / "own/pid").write_text(f"{os.getpid()} 12345\n")
    assert "did not run" in site.manage("inotifier_stop")


def test_killed_and_started_again(site, workdir):
    import signal

    told = site.manage("inotifier_start")
    pid = int(told.split("pid ")[1].split(",")[0])
    os.kill(pid, signal.SIGKILL)
    harness.wait_for(lambda: not pathlib.Path(f"/proc/{pid}/exe").exists(), what="its end")
    assert "inotifier started" in site.manage("inotifier_start")


def test_toml_of_every_kind_of_value(tmp_path):
    import tomllib

    from django_inotifier.conf import Config, Daemon
    from django_inotifier.toml import configuration

    watch = {
        "name": "a",
        "path": pathlib.Path('/srv/"quoted"\\and\x7f\n'),
        "exclude": [".*", "é"],
        "recursive": False,
        "min_size": 10,
        "group": {"by": "depth:2", "quiet": "60s"},
        "settle": None,
    }
    daemon = Daemon("inotifier", tmp_path, [watch], {"log": {"level": "info"}})
    config = Config("c", "ipc:///x", [], [], None, None, None, {}, {}, daemon)
    read = tomllib.loads(configuration(config))
    del watch["settle"]
    assert read["watch"] == [{**watch, "path": str(watch["path"])}]
    assert read["fetch"] == {"endpoint": "ipc:///x"} and read["log"] == {"level": "info"}


def test_the_binary_is_looked_for_on_the_path(sites, workdir, monkeypatch):
    (workdir / "bin").mkdir()
    shutil.copy(harness.BINARY, workdir / "bin/inotifier")
    monkeypatch.setenv("PATH", f"{workdir / 'bin'}:{os.environ['PATH']}")
    site = sites(DAEMON={"WATCHES": [{"path": str(workdir / "in")}]})
    assert "started" in site.manage("inotifier_start")
    assert (site.directory / ".inotifier/inotifier.toml").exists()
    assert "stopped" in site.manage("inotifier_stop")


assert OwnDaemon
