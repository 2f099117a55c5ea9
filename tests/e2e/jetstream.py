"""A nats-server with JetStream for tests, and as much of its protocol as they need."""

import base64
import collections
import json
import os
import pathlib
import re
import socket
import subprocess

from harness import wait_for

Stored = collections.namedtuple("Stored", "subject headers event")


class NatsServer:
    """nats-server on a free port of loopback, with its store in a directory of the test's."""

    def __init__(self, processes, program, directory, config="", port=0):
        self.directory = pathlib.Path(directory)
        self.processes = processes
        self.program = program
        self.port = port or free_port()
        self.file = self.directory / "nats.conf"
        self.file.write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{self.directory / "store"}" }}\n{config}'
        )
        self.process = None

    def start(self):
        self.process = self.processes(
            [self.program, "-c", self.file],
            stdout=open(self.directory / "nats.log", "ab"),
            stderr=subprocess.STDOUT,
        )
        wait_for(self.listens, 20, "nats-server")
        return self

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    @property
    def url(self):
        return f"nats://localhost:{self.port}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Nats:
    """A connection, one request at a time."""

    def __init__(self, server, user=None, password=None):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.file = self.socket.makefile("rb")
        self.file.readline()  # INFO
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
        if user:
            options.update(user=user, **{"pass": password})
        self.write(f"CONNECT {json.dumps(options)}\r\nSUB answers.{os.getpid()} 1\r\n".encode())

    def write(self, data):
        self.socket.sendall(data)

    def request(self, subject, **arguments):
        body = json.dumps(arguments).encode() if arguments else b""
        head = f"PUB {subject} answers.{os.getpid()} {len(body)}\r\n".encode()
        self.write(head + body + b"\r\n")
        while True:
            line = self.file.readline()
            assert line, "nats-server has closed the connection"
            if line.startswith(b"PING"):
                self.write(b"PONG\r\n")
            match = re.match(rb"H?MSG .* (\d+)\r\n", line)
            if match:
                return json.loads(self.file.read(int(match[1]) + 2))

    def make_stream(self, name, **config):
        config = {"name": name, "subjects": ["inotifier.>"], "storage": "file", **config}
        reply = self.request(f"$JS.API.STREAM.CREATE.{name}", **config)
        assert "error" not in reply, reply

    def update_stream(self, name, **config):
        config = {**self.info(name)["config"], **config}
        reply = self.request(f"$JS.API.STREAM.UPDATE.{name}", **config)
        assert "error" not in reply, reply

    def info(self, name):
        return self.request(f"$JS.API.STREAM.INFO.{name}")

    def count(self, name):
        return self.info(name).get("state", {}).get("messages", 0)

    def messages(self, name):
        """All that the stream has."""
        state = self.info(name)["state"]
        stored = []
        for number in range(state["first_seq"], state["last_seq"] + 1):
            reply = self.request(f"$JS.API.STREAM.MSG.GET.{name}", seq=number)["message"]
            lines = base64.b64decode(reply["hdrs"]).decode().split("\r\n")[1:]
            headers = dict(line.split(": ", 1) for line in lines if line)
            event = json.loads(base64.b64decode(reply["data"]))
            stored.append(Stored(reply["subject"], headers, event))
        return stored

    def names(self, stream):
        """How often each file is in the stream."""
        return collections.Counter(
            os.path.basename(each.event["data"]["path"]) for each in self.messages(stream)
        )

    def close(self):
        self.file.close()
        self.socket.close()
