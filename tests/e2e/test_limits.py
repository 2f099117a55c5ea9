"""What the daemon is not allowed to do: it says so, and finds the files another way."""

import os
import shutil

import pytest

from harness import BINARY, wait_for

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def user_limit(name, value):
    """Starts a program in a user namespace of its own with this limit of inotify's."""
    script = f'echo {value} > /proc/sys/user/{name} && exec "$@"'
    return ["unshare", "-Ur", "sh", "-c", script, "sh"]


@pytest.fixture
def namespaces():
    if os.system("unshare -Ur true 2>/dev/null") != 0:
        pytest.skip("user namespaces are not allowed here")


@pytest.fixture
def as_nobody(workdir):
    """How to start a daemon as a user who is not the one that runs the tests."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    shutil.chown(workdir, 65534, 65534)
    binary = workdir / "inotifier"  # the checkout may be out of that user's reach
    shutil.copy(BINARY, binary)
    return {"wrapper": AS_NOBODY, "binary": binary}


def degraded(daemon, **wanted):
    def found():
        for message in daemon.collector.of("watch.degraded"):
            if all(message.event["data"].get(k) == v for k, v in wanted.items()):
                return message
        return None

    return found


def test_unreadable_directory(workdir, daemons, as_nobody):
    for name in ("in", "out"):
        shutil.chown(workdir / name, 65534, 65534)
    daemon = daemons(workdir, **as_nobody)
    locked = workdir / "in" / "locked"
    os.mkdir(locked, 0o700)
    (locked / "hidden").write_bytes(b"x")
    shutil.chown(locked / "hidden", 65534, 65534)  # whose lease the daemon gets
    message = wait_for(degraded(daemon), what="watch.degraded")
    assert f"inotify_add_watch {locked}: Permission denied (EACCES)" in str(message.event["data"])
    path = workdir / "in" / "f"
    path.write_bytes(b"x")
    shutil.chown(path, 65534, 65534)
    daemon.collector.wait(path=path, timeout=20)
    assert os.fsencode(locked / "hidden") not in daemon.announced()
    shutil.chown(locked, 65534, 65534)
    daemon.collector.wait(path=locked / "hidden", timeout=20)


def test_files_of_another_user_without_the_capability(workdir, daemons, as_nobody):
    """No leases: quiet time decides, and the event says so."""
    (workdir / "in").chmod(0o755)
    daemon = daemons(workdir, **as_nobody)
    path = workdir / "in" / "f"
    path.write_bytes(b"of root")
    wait_for(degraded(daemon, reason="no_lease"), what="watch.degraded no_lease", timeout=20)
    (message,) = daemon.collector.wait(path=path, timeout=20)
    assert message.event["data"]["evidence"] == "settled"


def test_watch_limit(workdir, daemons, namespaces):
    directories = [workdir / "in" / f"d{i}" for i in range(60)]
    for directory in directories[:30]:
        directory.mkdir()
    daemon = daemons(
        workdir,
        {"poll_interval": "200ms"},
        wrapper=user_limit("max_inotify_watches", 20),
    )
    wait_for(lambda: "watch.degraded/in/" in daemon.told(), what="watch.degraded")
    assert "max_user_watches" in daemon.log_text()
    for directory in directories[30:]:
        directory.mkdir()
    for directory in directories:
        (directory / "f").write_bytes(b"x")
    daemon.collector.wait(count=60, timeout=30)
    again = directories[25] / "f"
    again.write_bytes(b"longer than before")
    daemon.collector.wait(path=again, count=2, timeout=20)
    part = directories[50] / "g.part"
    part.write_bytes(b"x")
    part.rename(directories[50] / "g")
    daemon.collector.wait(path=directories[50] / "g", timeout=20)
    daemon.sentinel()
    announced = daemon.announced()
    assert len(announced) == 61
    assert announced.pop(os.fsencode(again)) == 2
    assert set(announced.values()) == {1}


def test_watch_limit_reached_while_running(workdir, daemons, namespaces):
    daemon = daemons(
        workdir,
        {"poll_interval": "200ms"},
        wrapper=user_limit("max_inotify_watches", 20),
    )
    directories = [workdir / "in" / f"d{i}" for i in range(60)]
    for directory in directories:
        directory.mkdir()
    message = wait_for(degraded(daemon), what="watch.degraded")
    assert "max_user_watches" in str(message.event["data"]) + daemon.log_text()
    for directory in directories:
        (directory / "f").write_bytes(b"x")
    daemon.collector.wait(count=60, timeout=30)
    daemon.sentinel()
    assert set(daemon.announced().values()) == {1}


def test_instance_limit(workdir, daemons, namespaces):
    (workdir / "second").mkdir()
    watches = [
        {"name": "first", "path": workdir / "in", "poll_interval": "200ms"},
        {"name": "second", "path": workdir / "second", "poll_interval": "200ms"},
    ]
    daemon = daemons(workdir, watches, wrapper=user_limit("max_inotify_instances", 0))
    for name in ("first", "second"):
        wait_for(lambda: f"watch.degraded/{name}/" in daemon.told(), what="watch.degraded")
    assert "max_user_instances" in daemon.log_text()
    for directory in (workdir / "in", workdir / "second"):
        (directory / "d").mkdir()
        (directory / "d" / "f").write_bytes(b"x")
        daemon.collector.wait(path=directory / "d" / "f", timeout=20)


def test_no_watch_at_all(workdir, daemons, namespaces):
    daemon = daemons(
        workdir, {"poll_interval": "200ms"}, wrapper=user_limit("max_inotify_watches", 0)
    )
    wait_for(lambda: "watch.degraded/in/" in daemon.told(), what="watch.degraded")
    (workdir / "in" / "d").mkdir()
    (workdir / "in" / "d" / "f").write_bytes(b"x")
    daemon.collector.wait(path=workdir / "in" / "d" / "f", timeout=20)


@pytest.mark.parametrize("processor", ["completed", "create-via-chunks"])
def test_polling_by_choice(any_workdir, daemons, processor):
    options = {"backend": "poll", "poll_interval": "100ms", "processor": processor}
    daemon = daemons(any_workdir, options)
    directory = any_workdir / "in" / "d"
    directory.mkdir()
    for i in range(100):
        part = directory / f"f{i}.part"
        part.write_bytes(b"x" * i + b"x")
        part.rename(directory / f"f{i}")
    daemon.collector.wait(count=100, timeout=20)
    daemon.sentinel(timeout=20)
    assert len(daemon.announced()) == 100
    assert set(daemon.announced().values()) == {1}


def test_polling_respects_an_open_writer(any_workdir, daemons, stepped):
    daemon = daemons(any_workdir, {"backend": "poll", "poll_interval": "100ms"})
    path = any_workdir / "in" / "f"
    writer = stepped(any_workdir, "held", path)
    writer.wait_at("opened")
    writer.go()
    writer.wait_at("written")
    daemon.sentinel(timeout=20)
    daemon.sentinel(timeout=20)
    assert not daemon.announced()
    writer.finish()
    daemon.collector.wait(path=path, timeout=20)
