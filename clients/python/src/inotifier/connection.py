"""What all clients have in common: endpoints, keys, the options of a socket, its monitor."""

import dataclasses
import itertools
import os
import stat
import struct
from typing import Optional, Tuple, Union

import zmq

from .errors import BadEndpoint, BadKey
from .places import find
from .steps import Socket

PathLike = Union[str, "os.PathLike[str]"]

# Far above any event and any reply; a peer that claims more is cut off before it costs memory.
LARGEST_MESSAGE = 64 << 20
EXAMPLES = {"publish": "tcp://127.0.0.1:7556", "fetch": "tcp://127.0.0.1:7557"}
LARGEST_KEY_FILE = 64 << 10


@dataclasses.dataclass(frozen=True)
class Keys:
    """CURVE keys as 40 characters of Z85."""

    server: bytes
    public: bytes
    secret: bytes


@dataclasses.dataclass(frozen=True)
class Connection:
    """Where the daemon is, and the keys if it wants some. `purpose`: "publish" or "fetch"."""

    purpose: str
    endpoint: str
    keys: Optional[Keys]
    connect_timeout: float
    tried: Tuple[str, ...] = ()  # other places, where nothing was

    @classmethod
    def of(
        cls,
        purpose: str,
        endpoint: Optional[str],
        server_key: Optional[PathLike],
        key: Optional[PathLike],
        connect_timeout: float,
    ) -> "Connection":
        endpoint, tried = find(purpose, endpoint)
        if not endpoint.startswith(("ipc://", "tcp://")):
            raise bad_endpoint(purpose, endpoint, "neither ipc:// nor tcp://")
        return cls(purpose, endpoint, read_keys(server_key, key), connect_timeout, tried)

    @property
    def places(self) -> str:
        """Everywhere it was looked for, for people."""
        return ", ".join((*self.tried, self.endpoint))


def bad_endpoint(purpose: str, endpoint: str, why: str) -> BadEndpoint:
    return BadEndpoint(
        f'"{endpoint}": {why}; an endpoint is ipc:///run/inotifier/{purpose} or {EXAMPLES[purpose]}'
    )


# Keys


def _key_lines(path: str, text: str) -> "dict[str, bytes]":
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if name not in ("public-key", "secret-key") or not equals:
            continue
        value = value[1:-1] if len(value) > 1 and value[0] == value[-1] in "\"'" else value
        if len(value) != 40 or not value.isascii():
            # Not the value: it may be a secret with a slip in it.
            raise BadKey(
                f"{path}:{number}: the {name} is none: it has {len(value)} characters, 40 of Z85 "
                "make one"
            )
        found[name] = value.encode("ascii")
    if "public-key" not in found:
        raise BadKey(
            f'{path} has no line public-key = "...": it is no key file (inotifier keygen makes '
            "them)"
        )
    return found


def _read_key_file(path: str, secret: bool) -> "dict[str, bytes]":
    """`secret`: our own file; else the daemon's public one."""
    try:
        # O_NONBLOCK: a FIFO that lies there must not hold us up.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BadKey(f"{path} is no regular file")
            text = os.read(descriptor, LARGEST_KEY_FILE + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}{_remedy(error, secret)}") from None
    if len(text) > LARGEST_KEY_FILE:
        raise BadKey(f"{path} is larger than {LARGEST_KEY_FILE} bytes: it is no key file")
    keys = _key_lines(path, text.decode("utf-8", "replace"))
    if secret and "secret-key" not in keys:
        raise BadKey(
            f"{path} has a public key only: give the file with the secret one (inotifier "
            "keygen calls it NAME.key_secret)"
        )
    if secret:
        _check_secret_file(path, status)
    return keys


def _remedy(error: OSError, secret: bool) -> str:
    if isinstance(error, FileNotFoundError):
        if secret:
            return ": inotifier keygen NAME makes it, as NAME.key_secret"
        return ": it is the daemon's public key: copy it from its machine (server.key)"
    if isinstance(error, PermissionError):
        if secret:
            return ": it must belong to the user who uses it"
        return ": it is public: let everybody read it (chmod 644)"
    return ""


def _check_secret_file(path: str, status: os.stat_result) -> None:
    if status.st_uid not in (os.geteuid(), 0):
        raise BadKey(
            f"{path} belongs to uid {status.st_uid}, who could put another key there: "
            f"chown {os.geteuid()} {path}"
        )
    if status.st_mode & 0o077:
        raise BadKey(
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, so others could read or change "
            f"the secret key: chmod 600 {path} (and make new keys if they may have read it)"
        )


def read_keys(server_key: Optional[PathLike], key: Optional[PathLike]) -> Optional[Keys]:
    """Of the files that `inotifier keygen` writes; None if neither they nor INOTIFIER_SERVER_KEY
    and INOTIFIER_KEY are given. Raises BadKey."""
    server_file = os.fspath(server_key or os.environ.get("INOTIFIER_SERVER_KEY") or "")
    own_file = os.fspath(key or os.environ.get("INOTIFIER_KEY") or "")
    if not server_file and not own_file:
        return None
    if not own_file:
        raise BadKey(
            "the daemon's key is given, but not our own: key or INOTIFIER_KEY names the file with "
            "our secret key"
        )
    if not server_file:
        raise BadKey(
            "our own key is given, but not the daemon's: server_key or INOTIFIER_SERVER_KEY names "
            "the file with its public key"
        )
    server = _read_key_file(server_file, secret=False)
    own = _read_key_file(own_file, secret=True)
    try:
        fits = zmq.curve_public(own["secret-key"]) == own["public-key"]
    except (zmq.ZMQError, ValueError):
        fits = False
    if not fits:
        raise BadKey(f"{own_file}: public-key and secret-key are of two pairs")
    if server["public-key"] == own["public-key"]:
        raise BadKey(
            f"{server_file} and {own_file} are of one pair: server_key is the daemon's public key, "
            "key our own secret one"
        )
    return Keys(server["public-key"], own["public-key"], own["secret-key"])


# Sockets


class Monitored:
    """A socket of one connection, and what its monitor (zmq_socket_monitor(3)) tells."""

    _numbers = itertools.count()
    _EVENTS = (
        zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_DISCONNECTED
    )
    # After these ZeroMQ does not try again with the same socket.
    _FINAL = (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_AUTH)

    def __init__(self, connection: Connection, kind: int) -> None:
        context = zmq.Context.instance()
        self.socket: Socket = context.socket(kind)
        self.monitor: Socket = context.socket(zmq.PAIR)
        self.given_up = 0  # the event with which ZeroMQ did, once next_event() has told it
        self._connection = connection
        try:
            self._set_up()
            # A name of its own: that of a socket closed before may not be free yet.
            address = f"inproc://inotifier-monitor-{os.getpid()}-{next(self._numbers)}"
            self.socket.monitor(address, self._EVENTS)
            self.monitor.linger = 0
            # No limit: nobody may look for long, and at the limit ZeroMQ's thread would wait for
            # room, and closing the socket for that thread.
            self.monitor.rcvhwm = 0
            self.monitor.connect(address)
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        socket, endpoint = self.socket, self._connection.endpoint
        socket.linger = 0
        socket.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        # ZeroMQ tries one address only, and with its option on that of "localhost" can be ::1.
        socket.setsockopt(zmq.IPV6, int("[" in endpoint))
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        if endpoint.startswith("tcp://"):
            # A peer that vanished without a word is given up after 15 s, and looked for again.
            socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
            socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 15000)
        keys = self._connection.keys
        if keys is None:
            return
        try:
            socket.curve_serverkey = keys.server
            socket.curve_publickey = keys.public
            socket.curve_secretkey = keys.secret
        except zmq.ZMQError as error:
            raise BadKey(f"ZeroMQ does not take these keys: {error}") from None

    def connect(self) -> None:
        """Raises BadEndpoint."""
        connection = self._connection
        try:
            self.socket.connect(connection.endpoint)
        except zmq.ZMQError as error:
            raise bad_endpoint(connection.purpose, connection.endpoint, str(error)) from None

    def next_event(self) -> int:
        """What the monitor tells next; 0 if that is nothing now."""
        try:
            frames = self.monitor.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return 0
        event = int(struct.unpack_from("=H", frames[0])[0])
        if event in self._FINAL:
            self.given_up = event
        return event

    def close(self) -> None:
        if not self.socket.closed:
            self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(0)
