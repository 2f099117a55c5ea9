"""`inotifier consumers`, `forget`, `seek`, `update`, `failed`, `retry`, `status`, and `sub --since`."""

import json
import os
import re

import pytest

from test_consume import durable, finish, inotifier, make, paths_of  # noqa: F401


def consume(inotifier, name, *words):  # noqa: F811
    return finish(inotifier("consume", name, "file.completed", "--until-empty", *words))


def listed(inotifier):  # noqa: F811
    out, err, code = finish(inotifier("consumers", "--json"))
    assert code == 0, err
    return {each["name"]: each for each in map(json.loads, out.splitlines())}


def test_consumers(durable, inotifier):  # noqa: F811
    out, err, code = finish(inotifier("consumers"))
    assert (out, code) == (b"no consumers\n", 0), err
    make(durable, "a", "b")
    consume(inotifier, "one", "-n", "1")
    consume(inotifier, "all-of-them")
    consumers = listed(inotifier)
    assert set(consumers) == {"one", "all-of-them"}
    assert consumers["one"]["behind"] >= 1
    assert consumers["all-of-them"]["behind"] == 0
    assert consumers["one"]["types"] == ["file.completed"]
    assert not consumers["one"]["owned"]
    out, err, code = finish(inotifier("consumers"))
    assert code == 0, err
    head, *rows = out.decode().splitlines()
    assert head.split()[:3] == ["NAME", "BEHIND", "FAILED"]
    assert {row.split()[0] for row in rows} == {"one", "all-of-them"}
    assert all("ago" in row for row in rows)


def test_forget(durable, inotifier):  # noqa: F811
    make(durable, "a")
    consume(inotifier, "c")
    _, err, code = finish(inotifier("forget", "c"))
    assert code == 0, err
    assert listed(inotifier) == {}
    assert paths_of(consume(inotifier, "c")[0]) == ["a"]


def test_update(durable, inotifier):  # noqa: F811
    make(durable, "a")
    consume(inotifier, "c", "-n", "1")
    _, err, code = finish(inotifier("consume", "c", "file.stalled", "--until-empty"))
    assert code == 1
    assert "inotifier update c" in err
    assert "standing by" not in err  # nobody else has it
    out, err, code = finish(inotifier("update", "c", "file.stalled", "--watch", "incoming"))
    assert (out, code) == (b"c gets types: file.stalled; watches: incoming\n", 0), err
    out, err, code = finish(inotifier("update", "c", "--all-watches"))
    assert (out, code) == (b"c gets types: file.stalled; watches: all\n", 0), err
    out, err, code = finish(inotifier("update", "c", "--all-types"))
    assert (out, code) == (b"c gets types: all; watches: all\n", 0), err
    assert listed(inotifier)["c"]["types"] == []
    for words in ([], ["file.moved", "--all-types"], ["file.move"]):
        _, err, code = finish(inotifier("update", "c", *words))
        assert code == 2, err


@pytest.mark.parametrize("command", ["sub", "consume", "update"])
def test_a_type_that_is_none_is_refused(durable, inotifier, command):  # noqa: F811
    name = [] if command == "sub" else ["c"]
    _, err, code = finish(inotifier(command, *name, "file.complete"))
    assert code == 2
    assert 'did you mean "file.completed"?' in err
    assert listed(inotifier) == {}


@pytest.mark.parametrize("command", ["forget", "seek", "update", "failed", "retry"])
def test_an_unknown_consumer_gets_a_hint(durable, inotifier, command):  # noqa: F811
    more = {"seek": ["start"], "update": ["--all-types"]}.get(command, [])
    _, err, code = finish(inotifier(command, "thumbnail", *more))
    assert code == 1
    assert '"thumbnail"' in err
    consume(inotifier, "thumbnails")
    consume(inotifier, "archive")
    _, err, code = finish(inotifier(command, "thumbnail", *more))
    assert code == 1
    assert '"thumbnails"?' in err


def test_seek(durable, inotifier):  # noqa: F811
    make(durable, "a", "b")
    out = consume(inotifier, "c")[0]
    position = json.loads(out.splitlines()[0])["sequence"]
    for to, expected in (
        ("start", ["a", "b"]),
        ("now", []),
        (position, ["b"]),
        ("1h", ["a", "b"]),
        ("2020-01-01T00:00:00Z", ["a", "b"]),
        ("2100-01-01T00:00:00Z", []),
    ):
        out, err, code = finish(inotifier("seek", "c", to))
        assert code == 0, err
        assert re.search(rb"\d{20}|0", out)
        assert paths_of(consume(inotifier, "c")[0]) == expected, to
    _, err, code = finish(inotifier("seek", "c", "yesterday"))
    assert code == 2
    assert "yesterday" in err


def test_failed_and_retry(durable, inotifier):  # noqa: F811
    make(durable, "a", "b")
    _, err, code = consume(inotifier, "c", "--max-tries", "1", "--", "sh", "-c", "exit 7")
    assert code == 1, err
    out, err, code = finish(inotifier("failed", "c"))
    assert code == 0, err
    head, *rows = out.decode().splitlines()
    assert head.split() == ["POSITION", "FAILED", "TRIES", "REASON", "PATH"]
    assert ["exit 7" in row for row in rows] == [True, True]
    out, _, _ = finish(inotifier("failed", "c", "--format", "{name}"))
    assert out == b"a\nb\n"
    out, _, _ = finish(inotifier("failed", "c", "-0"))
    assert [os.path.basename(path) for path in out.split(b"\0")] == [b"a", b"b", b""]
    assert listed(inotifier)["c"]["failed"] == 2

    second = rows[1].split()[0]
    out, err, code = finish(inotifier("retry", "c", second))
    assert (out, code) == (b"1 to be delivered again\n", 0), err
    assert paths_of(consume(inotifier, "c")[0]) == ["b"]
    _, err, code = finish(inotifier("retry", "c", "17"))
    assert code == 1
    _, err, code = finish(inotifier("retry", "c", "b"))
    assert code == 2
    out, _, code = finish(inotifier("retry", "c"))
    assert (out, code) == (b"1 to be delivered again\n", 0)
    assert paths_of(consume(inotifier, "c")[0]) == ["a"]


def test_status(durable, inotifier):  # noqa: F811
    make(durable, "a")
    consume(inotifier, "thumbnails")
    out, err, code = finish(inotifier("status", "--json"))
    assert code == 0, err
    status = json.loads(out)
    assert status["ready"] is True
    assert status["pid"] == durable.process.pid
    assert [each["name"] for each in status["consumers"]] == ["thumbnails"]
    out, err, code = finish(inotifier("status"))
    assert code == 0, err
    text = out.decode()
    assert f"pid {durable.process.pid}" in text
    assert "thumbnails" in text
    assert str(durable.workdir / "journal.db") in text


def test_status_as_a_health_check(durable, inotifier, workdir):  # noqa: F811
    out, err, code = finish(inotifier("status", "--check"))
    assert (out, err, code) == (b"", "", 0)
    durable.stop()
    out, err, code = finish(inotifier("status", "--check"))
    assert (out, code) == (b"", 1)
    assert "fetch.sock" in err


# --- sub --since


def test_sub_since(durable, inotifier):  # noqa: F811
    make(durable, "a", "b")
    first = json.loads(finish(inotifier("sub", "file.completed", "--since", "1h", "-n", "2"))[0]
                       .splitlines()[0])  # fmt: skip
    for since, expected in (
        ("start", ["a", "b"]),
        ("1h", ["a", "b"]),
        (first["sequence"], ["b"]),
        ("2020-01-01T00:00:00Z", ["a", "b"]),
    ):
        words = ("sub", "file.completed", "--since", since, "-n", str(len(expected)))
        out, err, code = finish(inotifier(*words))
        assert (paths_of(out), code) == (expected, 0), err
    out, err, code = finish(
        inotifier("sub", "file.completed", "--since", "now", "--timeout", "400ms")
    )
    assert (out, code) == (b"", 3), err


def test_sub_since_until_empty(durable, inotifier):  # noqa: F811
    make(durable, "a", "b")
    words = ("sub", "file.completed", "--since", "1h", "--until-empty")
    out, err, code = finish(inotifier(*words))
    assert (paths_of(out), code) == (["a", "b"], 0), err
    assert finish(inotifier(*words, "--watch", "other"))[::2] == (b"", 0)


def test_sub_since_goes_on_live_without_gap_or_duplicate(durable, inotifier):  # noqa: F811
    names = [f"f{i:03}" for i in range(300)]
    make(durable, *names[:100])
    process = inotifier(
        "sub", "file.completed", "--since", "start", "-n", "300", "--format", "{name}"
    )
    make(durable, *names[100:])  # while it reads back, and while its subscription takes effect
    out, err, code = finish(process)
    assert code == 0, err
    assert out.decode().split() == names
    assert "gap" not in err


def test_sub_since_nonsense(durable, inotifier):  # noqa: F811
    _, err, code = finish(inotifier("sub", "--since", "yesterday"))
    assert code == 2
    assert "yesterday" in err
