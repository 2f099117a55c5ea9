"""The one setting, INOTIFIER. What is wrong with it, checks.py tells."""

import os
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from django.conf import settings
from inotifier.places import find

KEYS = (
    "CONSUMER",
    "FETCH_ENDPOINT",
    "TYPES",
    "ONLY_WATCHES",
    "ROOTS",
    "SERVER_KEY",
    "KEY",
    "HANDLERS",
    "TASKS",
    "DAEMON",
)
DAEMON_KEYS = ("BINARY", "DIRECTORY", "WATCHES", "OPTIONS")
OWN = ".inotifier"  # the default of DIRECTORY


class Daemon(NamedTuple):
    """What inotifier_start runs."""

    binary: str
    directory: Path  # configuration, journal, log, pid file and sockets
    watches: List[Dict[str, Any]]  # as in [[watch]], with name and absolute path
    options: Dict[str, Dict[str, Any]]  # further sections of the configuration


class Config(NamedTuple):
    consumer: str
    endpoint: Optional[str]  # None: what the client takes by itself
    types: List[str]  # empty: all
    watches: List[str]  # empty: all
    roots: Optional[Dict[str, str]]  # None: INOTIFIER_ROOTS
    server_key: Optional[str]
    key: Optional[str]
    handlers: Dict[str, str]  # watch -> dotted path
    tasks: Dict[str, str]  # the same
    daemon: Daemon


def raw() -> Dict[str, Any]:
    """The setting as it is; {} if there is none, or no dictionary."""
    value = getattr(settings, "INOTIFIER", {})
    return value if isinstance(value, dict) else {}


def base_directory() -> Path:
    """BASE_DIR of the settings, else where their module lies: relative paths begin there."""
    base = getattr(settings, "BASE_DIR", None)
    if base:
        return Path(base).absolute()
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    file = getattr(module, "__file__", None)
    return Path(file).absolute().parent if file else Path.cwd()


def config() -> Config:
    """The setting with its defaults. Takes for granted that the checks have passed."""
    value = raw()
    daemon = _daemon(value.get("DAEMON") or {})
    endpoint = value.get("FETCH_ENDPOINT") or None
    if endpoint is None and os.environ.get("INOTIFIER_FETCH_ENDPOINT"):
        endpoint = find("fetch").endpoint
    if endpoint is None and daemon.watches:
        endpoint = own_endpoint(daemon, "fetch")
    return Config(
        consumer=value.get("CONSUMER", ""),
        endpoint=endpoint,
        types=list(value.get("TYPES") or ()),
        watches=list(value.get("ONLY_WATCHES") or ()),
        roots=roots(),
        server_key=_path(value.get("SERVER_KEY")),
        key=_path(value.get("KEY")),
        handlers=dict(value.get("HANDLERS") or {}),
        tasks=dict(value.get("TASKS") or {}),
        daemon=daemon,
    )


def roots() -> Optional[Dict[str, str]]:
    """Where this program sees the roots of the watches; None: as INOTIFIER_ROOTS says."""
    value = raw().get("ROOTS")
    return None if value is None else {name: os.fspath(path) for name, path in value.items()}


def own_endpoint(daemon: Daemon, name: str) -> str:
    """The socket of a daemon that inotifier_start runs, where the setting names none."""
    return f"ipc://{daemon.directory / name}"


def daemon_directory() -> Path:
    """DIRECTORY of DAEMON, whatever else of the setting is wrong."""
    daemon = raw().get("DAEMON")
    given = daemon.get("DIRECTORY") if isinstance(daemon, dict) else None
    return base_directory() / (given if given and isinstance(given, (str, os.PathLike)) else OWN)


def _path(value: Any) -> Optional[str]:
    return os.fspath(base_directory() / value) if value else None


def _daemon(value: Dict[str, Any]) -> Daemon:
    base = base_directory()
    watches = []
    for given in value.get("WATCHES") or ():
        watch = dict(given)
        watch["path"] = os.path.normpath(base / watch["path"])
        watch.setdefault("name", os.path.basename(watch["path"]))
        watches.append(watch)
    return Daemon(
        binary=os.fspath(value.get("BINARY") or "inotifier"),
        directory=daemon_directory(),
        watches=watches,
        options=dict(value.get("OPTIONS") or {}),
    )
