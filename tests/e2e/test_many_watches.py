"""More watches than a user has inotify instances: they share some."""

import os
import signal

from harness import toml, wait_for, write
from test_limits import degraded, namespaces, user_limit  # noqa: F401
from test_overflow import stop_and_go  # noqa: F401

MANY = 200


def instances(daemon):
    directory = f"/proc/{daemon.process.pid}/fd"
    links = [os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)]
    return links.count("anon_inode:inotify")


def make_watches(workdir, numbers, **others):
    watches = []
    for number in numbers:
        root = workdir / "in" / f"{number:03}"
        root.mkdir(exist_ok=True)
        watches.append({"name": f"w{number:03}", "path": root, **others})
    return watches


def write_one_in_each(daemon, watches, name):
    for watch in watches:
        (watch["path"] / name).write_bytes(b"x")
    wanted = {os.fsencode(watch["path"] / name) for watch in watches}
    wait_for(lambda: wanted <= set(daemon.collector.paths()), 20, f"a file {name} of each watch")
    told = daemon.collector.paths()
    assert {told[path] for path in wanted} == {1}


def reload(daemon, watches):
    text = daemon.config.read_text().split("[[watch]]", 1)[0]
    for watch in watches:
        text += "[[watch]]\n"
        text += "".join(f"{key} = {toml(value)}\n" for key, value in watch.items())
    daemon.config.write_text(text)
    daemon.watches = watches
    daemon.signal(signal.SIGHUP)


def rescanned(daemon, reason):
    return {
        message.event["data"]["watch"]
        for message in daemon.collector.of("watch.rescan")
        if message.event["data"]["reason"] == reason
    }


def test_all_are_live_on_default_limits(workdir, daemons):
    watches = make_watches(workdir, range(MANY))
    daemon = daemons(workdir, watches=watches)
    assert not daemon.collector.of("watch.degraded")
    assert instances(daemon) <= 64
    write_one_in_each(daemon, watches, "live")


def test_what_moves_from_one_to_the_other(workdir, daemons):
    watches = make_watches(workdir, range(MANY))
    tree = watches[0]["path"] / "d" / "e"
    tree.mkdir(parents=True)
    daemon = daemons(workdir, watches=watches)
    # Through all of them, so also through those that share an instance with the first.
    for before, watch in zip(watches, watches[1:]):
        os.rename(before["path"] / "d", watch["path"] / "d")
        (watch["path"] / "d" / "e" / watch["name"]).write_bytes(b"x")
        daemon.collector.wait(path=watch["path"] / "d" / "e" / watch["name"], watch=watch["name"])
    assert not daemon.collector.of("watch.degraded")
    assert not daemon.collector.of("watch.rescan")


def test_reload(workdir, daemons):
    watches = make_watches(workdir, range(MANY))
    daemon = daemons(workdir, watches=watches)
    write_one_in_each(daemon, watches, "before")
    # Some go, some get other options, some come.
    kept = watches[: MANY // 2]
    for watch in kept[::2]:
        watch["exclude"] = ["*.no"]
    changed = kept + make_watches(workdir, range(MANY, MANY + MANY // 2))
    reload(daemon, changed)
    daemon.wait_ready()
    write_one_in_each(daemon, changed, "after")
    for watch in watches[MANY // 2 :]:
        (watch["path"] / "gone").write_bytes(b"x")
    daemon.sentinel()
    assert not [path for path in daemon.announced() if path.endswith(b"/gone")]
    assert not daemon.collector.of("watch.degraded")
    assert not rescanned(daemon, "unknown_wd")
    assert instances(daemon) <= 64


def test_an_overflow_concerns_those_that_share(workdir, daemons, stop_and_go):  # noqa: F811
    watches = make_watches(workdir, range(MANY))
    (watches[0]["path"] / "b0").mkdir()  # where the writer writes: what is watched fills the queue
    daemon = daemons(workdir, watches=watches)
    write_one_in_each(daemon, watches, "before")
    stop_and_go(daemon)
    write("bulk", 20000, 1, watches[0]["path"], "--bytes", 10)
    for watch in watches:
        (watch["path"] / "meanwhile").write_bytes(b"x")
    daemon.signal(signal.SIGCONT)
    daemon.collector.wait(watch=watches[0]["name"], count=20002, timeout=60)
    wait_for(lambda: rescanned(daemon, "overflow"), what="watch.rescan with reason overflow")
    write_one_in_each(daemon, watches, "after")
    assert set(daemon.announced().values()) == {1}
    assert len(daemon.announced()) == 20000 + 3 * MANY
    # Two or three of two hundred have an instance.
    assert 1 <= len(rescanned(daemon, "overflow")) <= 4


def test_few_instances(workdir, daemons, namespaces):  # noqa: F811
    watches = make_watches(workdir, range(30))
    daemon = daemons(workdir, watches=watches, wrapper=user_limit("max_inotify_instances", 3))
    assert instances(daemon) == 3
    assert not daemon.collector.of("watch.degraded")
    write_one_in_each(daemon, watches, "live")


def test_overlapping_watches_without_an_instance_are_polled(
    workdir, daemons, namespaces  # noqa: F811
):
    """Each needs its own; a link shows it only when they are watched."""
    watches = make_watches(workdir, range(3), poll_interval="300ms")
    (workdir / "link").symlink_to(watches[0]["path"])
    watches.append({"name": "link", "path": workdir / "link", "poll_interval": "300ms"})
    below = watches[1]["path"] / "below"
    below.mkdir()
    watches.append({"name": "below", "path": below, "poll_interval": "300ms"})
    daemon = daemons(workdir, watches=watches, wrapper=user_limit("max_inotify_instances", 1))
    wait_for(degraded(daemon, watch="link", reason="instance_limit"), what="watch.degraded")
    (watches[0]["path"] / "x").write_bytes(b"x")
    daemon.collector.wait(path=watches[0]["path"] / "x", watch=watches[0]["name"])
    daemon.collector.wait(path=workdir / "link" / "x", watch="link")
    (below / "y").write_bytes(b"y")
    daemon.collector.wait(path=below / "y", watch=watches[1]["name"])


def test_a_link_gets_an_instance_of_its_own(workdir, daemons):
    """It would share that of the first watch, whose directory it shows."""
    watches = make_watches(workdir, range(128))
    (workdir / "link").symlink_to(watches[0]["path"])
    watches.append({"name": "link", "path": workdir / "link"})
    daemon = daemons(workdir, watches=watches)
    assert not daemon.collector.of("watch.degraded")
    wait_for(lambda: instances(daemon) == 65, what="another instance")
    for number in range(20):
        path = watches[0]["path"] / f"f{number}"
        path.write_bytes(b"x")
        daemon.collector.wait(path=workdir / "link" / path.name, watch="link")
        daemon.collector.wait(path=path, watch=watches[0]["name"])
