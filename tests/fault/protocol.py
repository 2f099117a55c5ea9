"""The durable part of the wire protocol, from clients/README.md alone; the product's own clients
are not used, so that they need not be trusted."""

import datetime
import uuid

import msgpack
import zmq


class Refused(Exception):
    """A reply with ok = false."""

    def __init__(self, reply):
        super().__init__(f"{reply['error'].get('code')}: {reply['error'].get('message')}")
        self.code = reply["error"].get("code")
        self.stream = reply.get("stream")


class Silence(Exception):
    """No reply in time."""


class Service:
    """One REQ socket. After silence a new one takes its place."""

    def __init__(self, endpoint, context=None):
        self.endpoint = endpoint
        self.context = context or zmq.Context.instance()
        self.socket = None
        self.number = 0

    def request(self, op, timeout=10.0, **arguments):
        if self.socket is None:
            self.socket = self.context.socket(zmq.REQ)
            self.socket.setsockopt(zmq.LINGER, 0)
            self.socket.setsockopt(zmq.RECONNECT_IVL, 10)
            self.socket.setsockopt(zmq.RECONNECT_IVL_MAX, 50)
            self.socket.connect(self.endpoint)
        self.number += 1
        given = {key: value for key, value in arguments.items() if value is not None}
        self.socket.send(msgpack.packb({"op": op, "request": self.number, **given}))
        if not self.socket.poll(int(timeout * 1000)):
            self.close()
            raise Silence(f"no reply to {op} within {timeout} s")
        reply = msgpack.unpackb(self.socket.recv())
        if reply.get("request") != self.number:
            raise AssertionError(f"the reply to another request: {reply}")
        if not reply["ok"]:
            raise Refused(reply)
        assert reply["protocol"] == 1, reply
        return reply

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def client_id():
    return uuid.uuid4().hex


_seconds = {}


def nanoseconds(text):
    """ "2026-01-02T03:04:05.123456789Z" -> nanoseconds since 1970."""
    whole = text[:19]
    seconds = _seconds.get(whole)
    if seconds is None:
        if len(_seconds) > 100_000:
            _seconds.clear()
        seconds = int(datetime.datetime.fromisoformat(whole + "+00:00").timestamp())
        _seconds[whole] = seconds
    assert text[19] == "." and text[29:] == "Z", text
    return seconds * 1_000_000_000 + int(text[20:29])


def told(event):
    """What the auditor keeps of an event: [position, id, type, watch, path, inode, size, mtime,
    time, evidence, origin, reason]."""
    data = event["data"]
    path = data.get("path_bytes") or data.get("path", "").encode()
    mtime = data.get("mtime")
    return [
        event["sequence"],
        event["id"],
        event["type"],
        data["watch"],
        path,
        int(data["inode"]) if data.get("inode") else 0,
        int(data.get("size") or 0),
        nanoseconds(mtime) if mtime else 0,
        nanoseconds(event["time"]),
        data.get("evidence"),
        data.get("origin"),
        data.get("reason"),
    ]
