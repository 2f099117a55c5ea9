"""What is at an endpoint, when ZeroMQ could not connect.

A socket's monitor says that a handshake failed, but neither why connect(2) did nor what the peer
wants. So a failure is looked at once more with a plain socket, up to the peer's greeting.
"""

import errno
import os
import socket
import time
from typing import Optional

from .connection import Connection, bad_endpoint
from .errors import BadEndpoint, ConnectionFailed, HandshakeRefused, NothingListens, NotInotifier

PATIENCE = 0.5
# ZMTP 3.1, "greeting": signature (10 bytes), version (2), mechanism (20), as-server, filler; 64 in
# all. Who has not heard our mechanism yet cannot hang up over it before telling its own.
GREETING = 64
OURS = b"\xff" + bytes(8) + b"\x7f\x03\x00"
NOT_OURS = {
    "publish": "what listens there publishes nothing",
    "fetch": "what listens there answers no requests",
}
NO_ANSWER = {
    "publish": "no publisher answered in time",
    "fetch": "no daemon answered in time",
}


def refused_keys(endpoint: str) -> HandshakeRefused:
    return HandshakeRefused(
        f"{endpoint}: the peer refuses our keys: is server_key the daemon's public key, and our "
        "own public key among the clients of its [security]?"
    )


def broken_off(connection: Connection) -> ConnectionFailed:
    """After a greeting, before the handshake's end, where diagnose() finds nothing wrong: keys that
    do not fit, or a ZeroMQ socket of another kind."""
    endpoint, purpose = connection.endpoint, connection.purpose
    if connection.keys is not None:
        return refused_keys(endpoint)
    return NotInotifier(f"{endpoint}: {NOT_OURS[purpose]}: is it the endpoint of [{purpose}]?")


def _connect(connection: Connection, deadline: float) -> socket.socket:
    """Raises OSError, BadEndpoint."""
    scheme, _, address = connection.endpoint.partition("://")
    if scheme == "ipc":
        name = "\0" + address[1:] if address.startswith("@") else address
        found = [(socket.AF_UNIX, name)]
    else:
        host, _, port = address.rpartition(":")
        family = socket.AF_INET6 if "[" in address else socket.AF_INET  # as ZeroMQ does
        try:
            infos = socket.getaddrinfo(host.strip("[]"), port, family, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise bad_endpoint(
                connection.purpose, connection.endpoint, f"{host}: {error}"
            ) from None
        found = [(info[0], info[4]) for info in infos]  # type: ignore[misc]
    failure = OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    for family, where in found:
        peer = socket.socket(family, socket.SOCK_STREAM)
        try:
            peer.settimeout(max(deadline - time.monotonic(), 0.01))
            peer.connect(where)
            return peer
        except OSError as error:
            peer.close()
            failure = error
    raise failure


def _explain(connection: Connection, error: OSError) -> ConnectionFailed:
    endpoint = connection.endpoint
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return NothingListens(
            f"{endpoint}: no answer: is the address right, and no firewall between?"
        )
    if error.errno == errno.ENOENT:
        where, variable = connection.places, f"INOTIFIER_{connection.purpose.upper()}_ENDPOINT"
        more = f" If it is elsewhere, {variable} tells." if connection.tried else ""
        return NothingListens(
            f"{where}: no such socket: is the daemon running (inotifier run)?{more}"
        )
    if error.errno == errno.ECONNREFUSED:
        return NothingListens(
            f"{endpoint}: nothing listens there: is the daemon running (inotifier run)?"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return HandshakeRefused(
            f"{endpoint}: no access to the socket: become a member of its group and log in again"
        )
    if error.errno == errno.ENOTSOCK:
        return NotInotifier(f"{endpoint}: that is no socket")
    return NothingListens(f"{endpoint}: {error.strerror or error}")


def _greeted_mechanism(peer: socket.socket, deadline: float) -> str:
    """The security mechanism a ZeroMQ peer asks for ("NULL", "CURVE"); "" if it is none."""
    theirs = b""
    try:
        peer.sendall(OURS)
        while len(theirs) < GREETING:
            peer.settimeout(max(deadline - time.monotonic(), 0.01))
            part = peer.recv(GREETING - len(theirs))
            if not part:
                break
            theirs += part
    except OSError:
        pass
    if len(theirs) < GREETING or theirs[0] != 0xFF or theirs[9] != 0x7F:
        return ""
    return theirs[12:32].split(b"\0")[0].decode("latin-1")


def diagnose(connection: Connection) -> Optional[ConnectionFailed]:
    """What is wrong at the endpoint; None if nothing is: a daemon may have started since.
    Takes half a second at most, but for the look-up of a host's name."""
    endpoint, purpose, has_keys = (
        connection.endpoint,
        connection.purpose,
        connection.keys is not None,
    )
    deadline = time.monotonic() + PATIENCE
    try:
        peer = _connect(connection, deadline)
    except BadEndpoint as failure:
        return failure
    except OSError as error:
        return _explain(connection, error)
    with peer:
        mechanism = _greeted_mechanism(peer, deadline)
    if not mechanism:
        return NotInotifier(
            f"{endpoint}: something listens there, but it does not speak ZeroMQ: is it the "
            f"endpoint of [{purpose}]?"
        )
    if mechanism == "NULL" and has_keys:
        return HandshakeRefused(f"{endpoint}: the peer uses no keys: leave out server_key and key")
    if mechanism != "NULL" and not has_keys:
        return HandshakeRefused(
            f"{endpoint}: the peer wants {mechanism} keys: give server_key and key"
        )
    if mechanism not in ("NULL", "CURVE"):
        return HandshakeRefused(f"{endpoint}: the peer wants {mechanism}, not CURVE keys")
    return None
