"""Receivers that finish each file once: every file announced, exactly once, none too early."""

import os

import pytest

from harness import assert_final, assert_not_early, finished, write

PROCESSORS = ["completed", "create-via-chunks"]


def check(daemon, records, suffix=b".part", evidence=None, timeout=30):
    """Each path that was finished under a final name is announced once, and nothing else is."""
    expected = {path for path in finished(records) if not path.endswith(suffix)}
    daemon.collector.wait(count=len(expected), timeout=timeout)
    daemon.sentinel()
    announced = daemon.announced()
    assert set(announced) == expected
    assert set(announced.values()) == {1}
    messages = daemon.collector.of()
    assert_not_early(messages, records)
    assert_final(messages)
    if evidence:
        told = {m.event["data"]["evidence"] for m in messages}
        assert told <= evidence, told
    return [m.event["data"] for m in messages]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_nested_receiver(any_workdir, daemons, processor):
    daemon = daemons(any_workdir, {"processor": processor})
    records = write("nested-receiver", 2000, any_workdir / "in")
    check(daemon, records, evidence={"rename", "scan"})


@pytest.mark.parametrize("processor", PROCESSORS)
def test_dcmrcv(workdir, daemons, processor):
    daemon = daemons(workdir, {"processor": processor})
    records = write("dcmrcv", 60, workdir / "in", "--bytes", 500000, "--pause", 2)
    data = check(daemon, records, evidence={"rename", "scan"})
    assert all(d.get("from", ".part").endswith(".part") for d in data)


def test_dcmrcv_early_builds(workdir, daemon):
    records = write("dcmrcv-early", 60, workdir / "in", "--bytes", 500000, "--pause", 2)
    check(daemon, records, evidence={"rename", "close_write"})


def test_direct_write_is_no_arrival_via_chunks(workdir, daemons):
    daemon = daemons(workdir, {"processor": "create-via-chunks"})
    write("dcmrcv-early", 20, workdir / "in")
    (workdir / "in" / "direct").write_bytes(b"x")
    (workdir / "in" / "direct").rename(workdir / "in" / "renamed by hand")
    daemon.sentinel()
    assert not daemon.announced()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_dcm4che(workdir, daemons, processor):
    daemon = daemons(workdir, {"processor": processor})
    records = write("dcm4che", 300, workdir / "in")
    check(daemon, records, evidence={"rename", "scan"})


@pytest.mark.parametrize("processor", PROCESSORS)
def test_dcm4che_with_createtempfile(workdir, daemons, processor):
    daemon = daemons(workdir, {"processor": processor})
    records = write("dcm4che-tempfile", 300, workdir / "in")
    check(daemon, records, evidence={"rename", "scan"})


def test_dcm4che_receives_the_same_again(workdir, daemon):
    first = write("dcm4che", 50, workdir / "in")
    daemon.collector.wait(count=50)
    second = write("dcm4che", 50, workdir / "in", "--bytes", 5000)
    daemon.collector.wait(count=100)
    daemon.sentinel()
    assert set(daemon.announced()) == {p for p in finished(first) if not p.endswith(b".part")}
    assert set(daemon.announced().values()) == {2}
    again = [m for m in daemon.collector.of() if m.event["data"]["size"] == 5000]
    assert len(again) == 50
    assert_not_early(again, second)
    assert all(m.event["data"]["rewritten"] for m in again)


def test_hard_link(workdir, daemon):
    records = write("link", workdir / "out" / "f", workdir / "in" / "f")
    (message,) = daemon.collector.wait(path=workdir / "in" / "f")
    assert message.event["data"]["evidence"] == "link"
    assert_final([message])
    records = write("link", workdir / "in" / "a", workdir / "in" / "b")
    # A link is told a moment later: its record could be that of a writer whose close is yet to come.
    daemon.collector.wait(path=workdir / "in" / "b")
    daemon.sentinel()
    assert set(daemon.announced()) == {os.fsencode(workdir / "in" / n) for n in "fab"}
    assert_not_early(daemon.collector.of(), records)


def test_tmpfile_linked_in(any_workdir, daemons):
    daemon = daemons(any_workdir)
    path = any_workdir / "in" / "f"
    records = write("tmpfile", path)
    (message,) = daemon.collector.wait(path=path)
    assert message.event["data"]["evidence"] == "link"
    assert message.event["data"]["size"] == 4096
    daemon.sentinel()
    assert daemon.announced() == {os.fsencode(path): 1}
    assert_not_early(daemon.collector.of(), records)


def test_many_files_in_many_directories(any_workdir, daemons):
    daemon = daemons(any_workdir)
    records = write("bulk", 5000, 500, any_workdir / "in", "--bytes", 100)
    check(daemon, records, timeout=60)


def test_fields_of_an_announcement(workdir, daemon):
    path = workdir / "in" / "sub" / "a file & more.txt"
    path.parent.mkdir()
    path.write_bytes(b"12345")
    (message,) = daemon.collector.wait()
    event, st = message.event, path.stat()
    assert message.topic == "file.completed/in/"
    assert event["source"].startswith("//") and event["source"].endswith("/in")
    assert event["subject"] == "sub/a%20file%20&%20more.txt"
    data = event["data"]
    assert data["watch"] == "in"
    assert data["root"] == str(workdir / "in")
    assert data["path"] == str(path)
    assert "path_bytes" not in data
    assert (data["size"], data["inode"], data["uid"], data["gid"]) == (
        5,
        str(st.st_ino),
        st.st_uid,
        st.st_gid,
    )
    assert data["mode"] & 0o7777 == st.st_mode & 0o7777
    assert data["origin"] in ("live", "new_directory")
    assert not data.get("rewritten")
