"""SIGHUP: other watches and options, while files go on arriving."""

import signal
import subprocess
import sys
import textwrap

from harness import wait_for


def rewrite(daemon, watches):
    """The configuration with these watches instead of its own."""
    text = daemon.config.read_text().split("[[watch]]")[0]
    for watch in watches:
        text += "[[watch]]\n"
        text += "".join(f"{key} = {value}\n" for key, value in watch.items())
    daemon.config.write_text(text)
    seen = daemon.log_text().count("SIGHUP: ")
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: daemon.log_text().count("SIGHUP: ") > seen, what="the reload")


def test_no_event_is_lost(any_workdir, daemons):
    daemon = daemons(any_workdir)
    root = any_workdir / "in"
    count = 3000
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(
                f"""
            import os
            for i in range({count}):
                where = {str(root)!r} + f"/d{{i % 50}}"
                os.makedirs(where, exist_ok=True)
                with open(where + f"/.f{{i}}.part", "wb") as file:
                    file.write(b"x" * (i % 7 + 1))
                os.rename(where + f"/.f{{i}}.part", where + f"/f{{i}}")
            """
            ),
        ]
    )
    options: list = [{}, {"stalled_after": '"2h"'}, {"exclude": '[".*", "*.bak"]'}, {"min_size": 1}]
    for i in range(12):
        rewrite(daemon, [{"name": '"in"', "path": f'"{root}"', **options[i % len(options)]}])
    assert writer.wait(60) == 0
    daemon.sentinel()
    daemon.collector.wait(count=count + 1)
    announced = daemon.announced()
    assert len(announced) == count
    assert set(announced.values()) == {1}


def test_watches_come_and_go(workdir, daemons):
    daemon = daemons(workdir)
    (workdir / "other").mkdir()
    (workdir / "other" / "there-before").write_bytes(b"x")
    first = {"name": '"in"', "path": f'"{workdir}/in"'}
    second = {"name": '"other"', "path": f'"{workdir}/other"'}
    rewrite(daemon, [first, second])
    daemon.collector.wait(watch="other", path=workdir / "other" / "there-before")
    (workdir / "other" / "live").write_bytes(b"x")
    daemon.collector.wait(watch="other", path=workdir / "other" / "live")
    rewrite(daemon, [first])
    (workdir / "other" / "unwatched").write_bytes(b"x")
    daemon.sentinel()
    assert not daemon.collector.of(path=workdir / "other" / "unwatched")
    # Its rows were kept: only what came meanwhile is told.
    rewrite(daemon, [first, second])
    daemon.collector.wait(watch="other", path=workdir / "other" / "unwatched")
    assert set(daemon.announced(watch="other").values()) == {1}


def test_a_wrong_configuration_changes_nothing(workdir, daemons):
    daemon = daemons(workdir)
    rewrite(daemon, [{"name": '"in"', "path": f'"{workdir}/in"', "setle": '"1s"'}])
    assert "setle" in daemon.log_text() and "settle" in daemon.log_text()
    daemon.sentinel()


def test_a_renamed_watch_keeps_what_it_knows(workdir, daemons):
    daemon = daemons(workdir)
    (workdir / "in" / "a").write_bytes(b"x")
    daemon.collector.wait(path=workdir / "in" / "a")
    rewrite(daemon, [{"name": '"new"', "path": f'"{workdir}/in"', "previous_name": '"in"'}])
    (workdir / "in" / "b").write_bytes(b"x")
    daemon.collector.wait(watch="new", path=workdir / "in" / "b")
    assert not daemon.collector.of(watch="new", path=workdir / "in" / "a")
