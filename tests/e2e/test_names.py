"""Names are bytes; what is no regular file is never announced."""

import os
import socket
import urllib.parse

import pytest

from harness import path_of

NAMES = {
    "newline": b"first\nsecond",
    "no UTF-8": b"caf\xe9 \xff\xfe",
    "255 bytes": b"n" * 255,
    "255 bytes of UTF-8": "ä".encode() * 127 + b"x",
    "quotes and backslash": b"a\"b'c\\d",
    "percent and hash": b"100%25 #1?.txt",
    "leading dash": b"-rf",
    "control bytes": b"\x01\x1b[31m\x7f",
    "space at both ends": b" x ",
    "braces": b"{path}\t{size}",
}


def test_every_name(any_workdir, daemons):
    daemon = daemons(any_workdir)
    root = os.fsencode(any_workdir / "in")
    paths = set()
    for name in NAMES.values():
        for path in (os.path.join(root, name), os.path.join(root, b"d" + name[:254], name)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(name)
            paths.add(path)
    daemon.collector.wait(count=len(paths))
    daemon.sentinel()
    assert set(daemon.announced()) == paths
    assert set(daemon.announced().values()) == {1}
    for message in daemon.collector.of():
        data = message.event["data"]
        path = path_of(message.event)
        subject = message.event["subject"]
        assert urllib.parse.unquote_to_bytes(subject) == path[len(root) + 1 :]
        assert subject.isascii() and " " not in subject and "\n" not in subject
        try:
            assert data["path"] == path.decode()
            assert "path_bytes" not in data
        except UnicodeDecodeError:
            assert data["path"] == path.decode(errors="replace")


def make_deep(root, levels, name=b"d" * 250):
    """A chain of directories; a descriptor of the last one."""
    fd = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


@pytest.mark.parametrize("when", ["live", "moved in"])
def test_tree_deeper_than_path_max(any_workdir, daemons, when):
    daemon = daemons(any_workdir)
    if when == "live":
        fd = make_deep(any_workdir / "in", 20)
    else:
        fd = make_deep(any_workdir / "out", 20)
    file = os.open(b"bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(file, b"deep")
    os.close(file)
    os.close(fd)
    if when == "moved in":
        (any_workdir / "out" / ("d" * 250)).rename(any_workdir / "in" / ("d" * 250))
    (message,) = daemon.collector.wait()
    path = path_of(message.event)
    assert len(path) > 4096
    assert (
        path == os.fsencode(any_workdir / "in") + b"/" + b"/".join([b"d" * 250] * 20) + b"/bottom"
    )
    assert message.event["data"]["size"] == 4


def test_no_regular_files(any_workdir, daemons):
    daemon = daemons(any_workdir)
    root = any_workdir / "in"
    os.mkfifo(root / "fifo")
    target = any_workdir / "out" / "target"
    target.write_bytes(b"x")
    (root / "link").symlink_to(target)
    (root / "dangling").symlink_to("nowhere")
    (any_workdir / "out" / "d").mkdir()
    (any_workdir / "out" / "d" / "f").write_bytes(b"x")
    (root / "directory-link").symlink_to(any_workdir / "out" / "d")
    (root / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(root / "socket"))
        os.mkfifo(any_workdir / "out" / "fifo")
        (any_workdir / "out" / "fifo").rename(root / "fifo-moved-in")
        target.write_bytes(b"written through its own name")
        daemon.sentinel()
        (any_workdir / "out" / "d" / "g").write_bytes(b"below a link")
        daemon.sentinel()
    assert not daemon.announced()


def test_dotfiles_backups_and_temporaries(workdir, daemon):
    root = workdir / "in"
    names = [
        ".hidden",
        "f~",
        "f.part",
        "f.tmp",
        "f.crdownload",
        ".f.a1B2c3",
        ".in.f.",
        "f.filepart",
    ]
    for name in names:
        (root / name).write_bytes(b"x")
    (root / ".git").mkdir()
    (root / ".git" / "f").write_bytes(b"x")
    daemon.sentinel()
    assert not daemon.announced()
    for i, name in enumerate(names):
        (root / name).rename(root / f"final{i}")
    daemon.collector.wait(count=1 + len(names))
    daemon.sentinel()
    assert len(daemon.announced()) == len(names)


def test_include_and_exclude(workdir, daemons):
    daemon = daemons(workdir, {"include": ["*.dcm", "sentinel-*"], "exclude": ["done/**"]})
    root = workdir / "in"
    (root / "done").mkdir()
    (root / "d").mkdir()
    for path in ["a.dcm", "a.txt", "d/b.dcm", "done/c.dcm", "A.DCM"]:
        (root / path).write_bytes(b"x")
    daemon.collector.wait(count=2)
    daemon.sentinel()
    expected = {os.fsencode(root / p) for p in ("a.dcm", "d/b.dcm")}
    assert set(daemon.announced()) == expected
    (root / "a.dcm").rename(root / "done" / "a.dcm")
    daemon.sentinel()
    assert set(daemon.announced()) == expected


def test_root_is_no_prefix_of_its_neighbour(workdir, daemons):
    (workdir / "in2").mkdir()
    daemon = daemons(
        workdir,
        [{"name": "in", "path": workdir / "in"}, {"name": "in2", "path": workdir / "in2"}],
    )
    (workdir / "in2" / "f").write_bytes(b"x")
    daemon.collector.wait(watch="in2")
    daemon.sentinel()
    assert not daemon.announced(watch="in")
