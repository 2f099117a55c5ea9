"""The daemon's configuration, written from the setting."""

import json
import os
from typing import Any, Dict, Iterable, List, Mapping

from .conf import Config, own_endpoint


def configuration(config: Config) -> str:
    """The text of inotifier.toml for the watches of DAEMON."""
    daemon = config.daemon
    sections: Dict[str, Dict[str, Any]] = {
        "publish": {"endpoint": own_endpoint(daemon, "publish")},
        "fetch": {"endpoint": config.endpoint or own_endpoint(daemon, "fetch")},
        "journal": {"path": str(daemon.directory / "journal.db")},
    }
    for name, options in daemon.options.items():
        sections.setdefault(name, {}).update(options)
    lines = ["# Written by manage.py inotifier_start from the setting INOTIFIER; do not edit.", ""]
    for name, options in sections.items():
        lines += _table(f"[{_key(name)}]", options) + [""]
    for watch in daemon.watches:
        lines += _table("[[watch]]", watch) + [""]
    return "\n".join(lines)


def _table(head: str, options: Mapping[str, Any]) -> List[str]:
    plain = [
        f"{_key(name)} = {_value(value)}" for name, value in options.items() if value is not None
    ]
    return [head, *plain]


def _key(name: str) -> str:
    return (
        name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _text(name)
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items())
        return f"{{ {inside} }}"
    if isinstance(value, (str, os.PathLike)):
        return _text(os.fspath(value))
    if isinstance(value, Iterable):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    raise TypeError(f"{value!r} has no form in the daemon's configuration")


def _text(value: str) -> str:
    # A basic string of TOML is one of JSON; but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
