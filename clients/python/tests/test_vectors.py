"""clients/vectors: every request that the package sends, every reply, every event."""

import base64
import json
import pathlib

import msgpack
import pytest

from inotifier import Event, ProtocolMismatch, RequestError, Reset, wire
from inotifier.core import ConsumerCore
from inotifier.model import Options

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
STREAM = "6f1c1e0e-3f0a-4c58-9d52-0d1f3c6d7a10"
POSITION = "00001882569474146306"


def names(kind):
    found = sorted(path.stem for path in (VECTORS / kind).glob("*.json"))
    assert found, f"no vectors in {VECTORS / kind}"
    return found


def load(kind, name):
    """(bytes, what they mean)."""
    place = VECTORS / kind
    return (place / f"{name}.msgpack").read_bytes(), json.loads(
        (place / f"{name}.json").read_text()
    )


def make_core(**options):
    core = ConsumerCore(Options("thumbnails", wait=0, **options), "ipc://x", STREAM, 0.0)
    core.client = "c0ffee"
    core._last_id = 6  # so that the next request is the vectors' 7
    return core


def sent(core):
    assert len(core.outgoing) == 1
    return msgpack.unpackb(core.outgoing.popleft())


def owner(**options):
    """A core that has been given the event of replies/fetch."""
    core = make_core(**options)
    core._last_id = 6
    core.ask(0.0)
    core.outgoing.clear()
    core.receive(load("replies", "fetch")[0], 0.0)
    core._last_id = 6
    return core


# --- requests


def test_fetch():
    core = make_core()
    core.ask(0.0)
    _, meant = load("requests", "fetch")
    told = sent(core)
    assert {key: told[key] for key in meant} == meant


def test_fetch_with_all_arguments():
    _, meant = load("requests", "fetch-all-arguments")
    options = {key: meant[key] for key in ("types", "watches", "limit", "lease", "start")}
    core = make_core(**options)
    core.options.wait = meant["wait"]
    core._answered = True
    core.window.seen = POSITION
    core.ask(0.0)
    told = sent(core)
    assert told.pop("request") == 7
    assert {**told, "create": True, "request": 7} == meant


def test_create_is_refused_once_the_consumer_is_known():
    core = make_core(create=False)
    core.ask(0.0)
    assert sent(core)["create"] is False


@pytest.mark.parametrize("op", ["ack", "fail", "touch", "release"])
def test_requests_of_an_owner(op):
    _, meant = load("requests", op)
    core = owner(lease=300 if op == "touch" else 60)
    event = core.window.take()
    if op == "ack":
        core.window.finish(event.position)
        core.tell(0.0, at_once=True)
    elif op == "fail":
        core.fail(event, "exit 3", 10)
        core.tell(0.0)
    elif op == "touch":
        core.tell(100.0)
    else:
        core.release(0.0)
    assert sent(core) == meant


@pytest.mark.parametrize(
    "name",
    [
        "consumers",
        "failed",
        "fetch-after",
        "fetch-since",
        "forget",
        "hello",
        "retry",
        "seek",
        "status",
        "update",
    ],
)
def test_requests_of_no_owner(name):
    body, meant = load("requests", name)
    arguments = dict(meant)
    op, request = arguments.pop("op"), arguments.pop("request", None)
    told = msgpack.unpackb(wire.encode_request(op, request, **arguments))
    assert told == meant == msgpack.unpackb(body)


def test_every_request_has_a_test():
    here = {"fetch", "fetch-all-arguments", "ack", "fail", "touch", "release"}
    mark = next(m for m in test_requests_of_no_owner.pytestmark if m.name == "parametrize")
    assert here | set(mark.args[1]) == set(names("requests"))


# --- replies


def without_nil(value):
    return {key: item for key, item in value.items() if item is not None}


@pytest.mark.parametrize("name", names("replies"))
def test_reply_is_decoded(name):
    body, meant = load("replies", name)
    assert wire.decode(body) == without_nil(meant)


@pytest.mark.parametrize("name", [n for n in names("replies") if n.startswith("error-")])
def test_error_means(name):
    body, meant = load("replies", name)
    code = meant["error"]["code"]
    core = owner()
    event = core.window.take()
    core.window.finish(event.position)
    core.ask(1.0)
    core.news.clear()
    if code in ("stream_changed", "not_owner", "bad_ack"):
        core.receive(body, 1.0)
        assert core.news.popleft() == Reset(code, "for a person")
        assert core.window.ackable() == "", "what was delivered is dropped"
        core.outgoing.clear()
        core.ask(1.0)
        assert "ack" not in sent(core)
    elif code == "busy":
        core.receive(body, 1.0)
        core.outgoing.clear()
        core.ask(1.5)
        assert not core.outgoing, "not before a second has passed"
        core.ask(2.0)
        assert sent(core)["ack"] == event.position
    elif code == "unknown_op":
        with pytest.raises(ProtocolMismatch, match="update the daemon"):
            core.receive(body, 1.0)
    else:
        with pytest.raises(RequestError, match="for a person") as caught:
            core.receive(body, 1.0)
        assert caught.value.code == code


def test_fetch_reply():
    core = owner()
    assert (core.behind, core.state, core.lost) == (12, "owner", None)
    event = core.window.take()
    assert (event.path, event.position) == ("/srv/in/a/b.dcm", POSITION)


def test_lost_is_told_once():
    core = make_core()
    for request in (7, 8):
        core.ask(0.0)
        body, meant = load("replies", "fetch-lost")
        core.receive(msgpack.packb({**meant, "request": request}), 0.0)
        core.window.take_all()
    told = [news for news in core.news if news != "owner"]
    assert told == [("00000000000000000001", POSITION)]
    assert core.lost == told[0], "a batch has it until it is acked past"


def test_standby_reply():
    core = make_core()
    core.ask(0.0)
    core.receive(load("replies", "standby")[0], 0.0)
    assert core.state == "standby"


# --- events


def plain(value):
    """As JSON has it."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("name", names("events"))
def test_event(name):
    body, meant = load("events", name)
    event = Event(wire.decode(body), roots={})
    assert event.as_dict() == without_nil(meant)
    assert json.loads(event.as_json()) == without_nil(meant)
    assert Event.from_json(event.as_json(), roots={}) == event
    assert (event.type, event.id, event.source) == (meant["type"], meant["id"], meant["source"])
    assert event.watch == "incoming"
    assert event.position == POSITION
    data = meant["data"]
    if "path_bytes" in data:
        assert event.path.encode("utf-8", "surrogateescape") == base64.b64decode(data["path_bytes"])
    else:
        assert (event.path if event.has_path else None) == data.get("path")
    assert event.size == (int(data["size"]) if "size" in data else None)
    assert (event.evidence, event.origin) == (data.get("evidence"), data.get("origin"))


@pytest.mark.parametrize(
    "name, relative",
    [
        ("file.completed", "a/b.dcm"),
        ("name-is-no-utf-8", "caf\udce9\n.txt"),
        ("name-to-be-encoded", "a:b c?#%/ä"),
        ("watch.ready", None),
    ],
)
def test_relative_path(name, relative):
    event = Event(wire.decode(load("events", name)[0]), roots={"incoming": "/mnt/x"})
    assert event.has_path == (relative is not None)
    if relative is not None:
        assert (event.relative_path, event.path) == (relative, f"/mnt/x/{relative}")
    assert event.root == "/mnt/x"
