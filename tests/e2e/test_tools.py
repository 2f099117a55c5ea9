"""Real tools that bring files."""

import os
import subprocess

import pytest

from harness import assert_final


def run(*words, **options):
    return subprocess.run([str(w) for w in words], check=True, **options)


@pytest.fixture
def sources(workdir):
    """A small tree outside the watch."""
    tree = workdir / "out" / "tree"
    for i in range(4):
        (tree / f"d{i}" / "deep").mkdir(parents=True)
        for j in range(25):
            (tree / f"d{i}" / "deep" / f"f{j}").write_bytes(os.urandom(1000 * j + 1))
    (tree / "top").write_bytes(b"top" * 100000)
    return tree


def expect_tree(daemon, source, target):
    """Every file below source is announced below target, once, as it is."""
    expected = {
        os.fsencode(target / path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file()
    }
    expect(daemon, expected)


def expect(daemon, expected):
    expected = {os.fsencode(path) for path in expected}
    daemon.collector.wait(count=len(expected), timeout=20)
    daemon.sentinel()
    announced = daemon.announced()
    assert set(announced) == expected
    assert set(announced.values()) == {1}, announced.most_common(3)
    assert_final(daemon.collector.of())


@pytest.mark.parametrize("options", [["-a"], ["-a", "--inplace"], ["-rt", "--partial"]])
def test_rsync(workdir, daemon, sources, tool, options):
    run(tool("rsync"), *options, f"{sources}/", workdir / "in/")
    expect_tree(daemon, sources, workdir / "in")


def test_rsync_again_announces_only_what_changed(workdir, daemon, sources, tool):
    run(tool("rsync"), "-a", f"{sources}/", workdir / "in/")
    expect_tree(daemon, sources, workdir / "in")
    (sources / "top").write_bytes(b"new")
    run(tool("rsync"), "-a", f"{sources}/", workdir / "in/")
    daemon.collector.wait(path=workdir / "in" / "top", count=2)
    daemon.sentinel()
    announced = daemon.announced()
    assert announced[os.fsencode(workdir / "in" / "top")] == 2
    assert sum(announced.values()) == 102


@pytest.mark.parametrize("options", [["-r"], ["-rp"], ["-a", "--reflink=auto"]])
def test_cp(workdir, daemon, sources, options):
    run("cp", *options, sources, workdir / "in" / "tree")
    expect_tree(daemon, sources, workdir / "in" / "tree")


def test_cp_of_one_large_file(workdir, daemon):
    large = workdir / "out" / "large"
    with open(large, "wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
    run("cp", "-p", large, workdir / "in")
    expect(daemon, [workdir / "in" / "large"])


def test_install(workdir, daemon, sources):
    run("install", "-m", "640", *sorted(sources.glob("d0/deep/*")), workdir / "in")
    expect(daemon, [workdir / "in" / f"f{j}" for j in range(25)])


def test_move_of_a_populated_tree(workdir, daemon, sources):
    expected = {p.relative_to(sources) for p in sources.rglob("*") if p.is_file()}
    run("mv", sources, workdir / "in" / "tree")
    expect(daemon, [workdir / "in" / "tree" / p for p in expected])


def test_tar(workdir, daemon, sources):
    run("tar", "-cf", workdir / "out" / "t.tar", "-C", sources, ".")
    run("tar", "-xf", workdir / "out" / "t.tar", "-C", workdir / "in")
    expect_tree(daemon, sources, workdir / "in")


def test_unzip(workdir, daemon, sources, tool):
    run(tool("zip"), "-qr", workdir / "out" / "t.zip", ".", cwd=sources)
    run(tool("unzip"), "-q", workdir / "out" / "t.zip", "-d", workdir / "in")
    expect_tree(daemon, sources, workdir / "in")


def test_zip_written_into_the_watch(workdir, daemon, sources, tool):
    """zip makes the archive empty under its final name, closes it and deletes it again, to see
    whether it may; then it writes ziXXXXXX and renames it. The empty file is a closed file for as
    long as it is there, and nobody can know ziXXXXXX for temporary: all that is asked is that the
    archive is told, once and last."""
    run(tool("zip"), "-qr", workdir / "in" / "t.zip", ".", cwd=sources)
    daemon.sentinel()
    *trial, archive = daemon.collector.of(path=workdir / "in" / "t.zip")
    assert_final([archive])
    assert [m.event["data"]["size"] for m in trial] in ([], [0])


def test_curl(workdir, daemon, sources, tool):
    run(tool("curl"), "-sS", "-o", workdir / "in" / "top", f"file://{sources}/top")
    run(tool("curl"), "-sS", "-R", "-o", workdir / "in" / "dated", f"file://{sources}/top")
    expect(daemon, [workdir / "in" / "top", workdir / "in" / "dated"])


def test_ln(workdir, daemon, sources):
    run("ln", *sorted(sources.glob("d0/deep/*")), workdir / "in")
    expect(daemon, [workdir / "in" / f"f{j}" for j in range(25)])
    assert {m.event["data"]["evidence"] for m in daemon.collector.of()} <= {"link", "rename"}


def test_shell_redirection_dd_truncate_and_touch(workdir, daemon):
    script = """
        for i in 1 2 3 4 5; do echo line $i > shell-$i; done
        dd if=/dev/zero of=dd bs=64k count=20 conv=fsync status=none
        truncate -s 1M sparse
        touch empty
    """
    run("sh", "-ec", script, cwd=workdir / "in")
    names = [f"shell-{i}" for i in range(1, 6)] + ["dd", "sparse", "empty"]
    expect(daemon, [workdir / "in" / n for n in names])


def test_changes_of_mode_and_owner_announce_nothing(workdir, daemon):
    path = workdir / "in" / "f"
    path.write_bytes(b"x")
    daemon.collector.wait(path=path)
    linked = workdir / "in" / "linked"
    linked.write_bytes(b"x")
    daemon.collector.wait(path=linked)
    path.chmod(0o600)
    os.utime(path, (1, 1))
    os.chown(path, os.getuid(), os.getgid())
    # A file of its own: with another name outside of the watch it could be written unseen, and what
    # sets its times then is in doubt.
    os.link(linked, workdir / "out" / "link")
    linked.chmod(0o600)
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 1, os.fsencode(linked): 1}


def test_move_between_two_watches(workdir, daemons):
    (workdir / "second").mkdir()
    daemon = daemons(
        workdir,
        [
            {"name": "first", "path": workdir / "in"},
            {"name": "second", "path": workdir / "second"},
        ],
    )
    path = workdir / "in" / "f"
    path.write_bytes(b"content")
    daemon.collector.wait(watch="first", path=path)
    path.rename(workdir / "second" / "f")
    (message,) = daemon.collector.wait(watch="second", path=workdir / "second" / "f")
    assert message.event["data"].get("from") == str(path)
    tree = workdir / "in" / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(b"a")
    daemon.collector.wait(watch="first", path=tree / "a")
    tree.rename(workdir / "second" / "tree")
    daemon.collector.wait(watch="second", path=workdir / "second" / "tree" / "a")
    for watch in daemon.watches:
        daemon.sentinel(watch)
    assert set(daemon.announced().values()) == {1}


def test_rename_within_a_watch(workdir, daemons):
    """The final name is what a consumer must hear, wherever it came from."""
    daemon = daemons(workdir)
    a, b = workdir / "in" / "a", workdir / "in" / "b"
    a.write_bytes(b"content")
    daemon.collector.wait(path=a)
    a.rename(b)
    (message,) = daemon.collector.wait(path=b)
    assert message.event["data"]["from"] in (str(a), "a")
    directory = workdir / "in" / "d"
    directory.mkdir()
    (directory / "c").write_bytes(b"c")
    daemon.collector.wait(path=directory / "c")
    directory.rename(workdir / "in" / "e")
    (message,) = daemon.collector.wait(path=workdir / "in" / "e" / "c")
    assert message.event["data"]["from"] in (str(directory / "c"), "d/c")


def test_directory_with_a_temporary_name(workdir, daemon):
    """What lies below X.tmp/ is a candidate when it becomes X/."""
    directory = workdir / "in" / "study.tmp"
    directory.mkdir()
    for i in range(20):
        (directory / f"f{i}").write_bytes(b"content")
    daemon.sentinel()
    assert not daemon.announced()
    directory.rename(workdir / "in" / "study")
    expect(daemon, [workdir / "in" / "study" / f"f{i}" for i in range(20)])


def test_file_replaced_by_another(workdir, daemon):
    """Editors write a new file and rename it over the old one."""
    path = workdir / "in" / "f"
    for i in range(20):
        temporary = workdir / "in" / "f.tmp"
        temporary.write_bytes(b"x" * (i + 1))
        temporary.rename(path)
        daemon.collector.wait(path=path, count=i + 1)
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 20}
