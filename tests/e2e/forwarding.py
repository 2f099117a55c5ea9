"""For tests of inotifier-forward: the program, and an HTTPS server that does what a test wants."""

import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness import BINARY, PATIENCE, wait_for

FORWARD = pathlib.Path(BINARY).with_name("inotifier-forward")

Request = collections.namedtuple("Request", "headers body events time")


def certificate(directory, names="DNS:localhost,IP:127.0.0.1"):
    """A key and a certificate that trusts itself, in one file."""
    file = pathlib.Path(directory) / "server.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2".split()
    words += ["-subj", "/CN=server", "-addext", f"subjectAltName={names}"]
    done = subprocess.run(
        ["openssl", *words, "-keyout", "-", "-out", "-"], stdout=subprocess.PIPE, check=True
    )
    file.write_bytes(done.stdout)
    return file


class Receiver:
    """Answers POST requests on loopback. `answer(request)` gives a status, or (status, headers, body),
    or RESET; it may wait. Every request is kept in `requests`, the accepted ones in `accepted`."""

    RESET = object()

    def __init__(self, pem, answer=lambda request: 200, port=0):
        self.pem = pem
        self.answer = answer
        self.port = port
        self.requests = []
        self.accepted = []
        self.server = None

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.handle(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64

            def finish_request(self, request, client_address):
                # In the thread of the connection: a slow handshake holds up nobody else.
                try:
                    super().finish_request(
                        context.wrap_socket(request, server_side=True), client_address
                    )
                except (OSError, ssl.SSLError):
                    pass

            def handle_error(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def handle(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        parsed = json.loads(body)
        events = parsed if isinstance(parsed, list) else [parsed]
        request = Request(handler.headers, body, events, time.monotonic())
        self.requests.append(request)
        answer = self.answer(request)
        if answer is Receiver.RESET:
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.close_connection = True
            handler.connection.close()
            return
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
        if 200 <= status < 300:
            self.accepted.append(request)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self):
        return f"https://localhost:{self.port}/hooks"

    def events(self):
        return [event for request in list(self.accepted) for event in request.events]

    def names(self):
        """How often each file came."""
        return collections.Counter(os.path.basename(e["data"]["path"]) for e in self.events())


def signature_of(secret, request):
    """What Standard Webhooks wants in webhook-signature."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(key, text + request.body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def arrive(directory, *names, text=b"x"):
    """Files that are complete at once."""
    for name in names:
        part = pathlib.Path(directory) / f"{name}.part"
        part.write_bytes(text)
        part.rename(pathlib.Path(directory) / name)


def failures_of(daemon, name):
    """What `inotifier failed NAME` lists."""
    done = subprocess.run(
        [BINARY, "failed", name, "--endpoint", daemon.fetch_endpoint, "--json"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=30 * PATIENCE,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


class Forwarder:
    """inotifier-forward on a daemon of the test's; `log` is where it writes."""

    def __init__(self, processes, daemon, *words, name="f", environment=None):
        self.log = daemon.workdir / f"forward-{time.monotonic_ns()}.log"
        self.process = processes(
            [FORWARD, name, *words, "--endpoint", daemon.fetch_endpoint],
            stdin=subprocess.DEVNULL,
            stderr=open(self.log, "wb"),
            env={**os.environ, **(environment or {})},
        )

    def text(self):
        return self.log.read_text()

    def wait(self, timeout=60):
        try:
            return self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there: {self.text()[-2000:]}") from None

    def wait_for_log(self, words, timeout=30):
        wait_for(lambda: words in self.text(), timeout, f"{words!r} in {self.log}")
