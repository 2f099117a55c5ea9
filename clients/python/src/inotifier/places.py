"""Where the daemon is: one rule for all clients, of the places where a daemon puts its sockets."""

import os
import re
import stat
from typing import List, NamedTuple, Optional, Tuple

RUNTIME, FALLBACK, SERVICE = "/run/user", "/tmp", "/run/inotifier"


class Place(NamedTuple):
    endpoint: str
    tried: Tuple[str, ...] = ()  # other ones, where nothing was


def find(purpose: str, endpoint: Optional[str] = None) -> Place:
    """`endpoint` if it is given, else the first of these that is there, else the last one.

    INOTIFIER_FETCH_ENDPOINT (INOTIFIER_PUBLISH_ENDPOINT), which may be a list as the daemon takes
    it, goes before all others; then a person's daemon ($XDG_RUNTIME_DIR/inotifier, or where that
    variable is not set, as in cron, /run/user/UID/inotifier; /tmp/inotifier-UID), then the service
    (/run/inotifier).
    """
    if endpoint:
        return Place(endpoint)
    given = os.environ.get(f"INOTIFIER_{purpose.upper()}_ENDPOINT")
    if given:
        return _first_of(_listed(given) or [given])
    return _first_of([f"ipc://{path}" for path in _sockets(purpose)], last=True)


def _first_of(endpoints: List[str], last: bool = False) -> Place:
    """The first whose socket is there; if none is, the first, or the last one."""
    there = [each for each in endpoints if _is_there(each)]
    chosen = there[0] if there else endpoints[-1 if last else 0]
    return Place(_to_connect(chosen), tuple(each for each in endpoints if each != chosen))


def _listed(text: str) -> List[str]:
    """As the daemon reads it: ["a", "b"], or a,b."""
    inside = text.strip()
    if inside.startswith("[") and inside.endswith("]"):
        inside = inside[1:-1]
    return [each for each in (part.strip().strip("\"'") for part in inside.split(",")) if each]


def _to_connect(endpoint: str) -> str:
    """What a daemon binds to everywhere is connected to here."""
    endpoint = re.sub(r"^tcp://(\*|0\.0\.0\.0):", "tcp://127.0.0.1:", endpoint)
    return re.sub(r"^tcp://\[::\]:", "tcp://[::1]:", endpoint)


def _is_there(endpoint: str) -> bool:
    """Only of a local socket it can be said."""
    if not endpoint.startswith("ipc://"):
        return False
    path = endpoint[6:]
    directory = os.path.dirname(path)
    if os.path.dirname(directory) == FALLBACK and not _is_ours(directory):
        return False
    return os.path.exists(path)


def _sockets(purpose: str) -> List[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if not runtime.startswith("/"):  # not set, or what the specification ignores
        runtime = f"{RUNTIME}/{os.geteuid()}"
    person = f"{runtime.rstrip('/')}/inotifier"
    directories = (person, f"{FALLBACK}/inotifier-{os.geteuid()}", SERVICE)
    return [f"{directory}/{purpose}" for directory in directories]


def _is_ours(directory: str) -> bool:
    """Whether nobody else can have put a socket there: everybody may write to /tmp."""
    try:
        there = os.lstat(directory)
    except OSError:
        return False
    return (
        stat.S_ISDIR(there.st_mode)
        and there.st_uid == os.geteuid()
        and not there.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )
