"""System checks of the setting: every message names the key, the value, and what was meant."""

import difflib
import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string
from inotifier import event_types

from . import conf, signals
from .own_rules import find_binary, refused_by_the_daemon

# Of [[watch]] in conf/inotifier.toml. Of their values, and of OPTIONS, the daemon itself is asked
# where it is installed (own_rules.py).
WATCH_OPTIONS = (
    "path", "name", "processor", "recursive", "events", "include", "exclude", "temporary",
    "temporary_add", "existing", "backend", "poll_interval", "settle", "writer_check",
    "require_lease", "stalled_after", "min_size", "renamed", "previous_name",
)  # fmt: skip
PROCESSORS = ("completed", "create-via-chunks", "all-events")
LONGEST_SOCKET = 107  # unix(7)

Found = Iterator[checks.CheckMessage]


@checks.register("inotifier")
def check_setting(app_configs: Any, **kwargs: Any) -> List[checks.CheckMessage]:
    value = getattr(settings, "INOTIFIER", None)
    messages = list(_check_settings_of_old())
    if not isinstance(value, dict):
        what = "is not set" if value is None else f"is {value!r}, not a dictionary"
        messages.append(_error(1, f"INOTIFIER {what}.", 'INOTIFIER = {"CONSUMER": "mysite"}'))
        return messages
    messages += _unknown(2, "INOTIFIER", value, conf.KEYS)
    for key, check in _CHECKS.items():
        if value.get(key) is not None or key == "CONSUMER":
            messages += check(key, value.get(key))
    if not any(message.is_serious() for message in messages):
        messages += _check_together(value)
    return messages


def _check_settings_of_old() -> Found:
    """Of the app of 2010, which had several."""
    for name in sorted(name for name in dir(settings) if name.startswith("INOTIFIER_")):
        hint = "There is one setting now, INOTIFIER; MIGRATING.md tells what became of the others."
        if name == "INOTIFIER_WATCH_PATHS":
            hint = (
                'Write INOTIFIER = {"DAEMON": {"WATCHES": [{"path": "incoming", "processor": '
                '"create-via-chunks"}]}}; MIGRATING.md has the whole way.'
            )
        yield _warning(6, f"{name} is not read any more.", hint)


def _warning(number: int, message: str, hint: Optional[str] = None) -> checks.CheckMessage:
    return checks.Warning(message, hint=hint, id=f"inotifier.W{number:03}")


def _error(number: int, message: str, hint: str = "") -> checks.CheckMessage:
    return checks.Error(message, hint=hint or None, id=f"inotifier.E{number:03}")


def _unknown(number: int, where: str, given: Dict[Any, Any], known: Iterable[str]) -> Found:
    for key in given:
        if key in known:
            continue
        yield _error(
            number, f"{where} has an unknown key: {key!r}: {given[key]!r}.", meant(key, known)
        )


def meant(value: Any, known: Iterable[str]) -> str:
    known = list(known)
    folded = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(value).lower(), folded, 1, 0.6)
    return f'Did you mean "{folded[close[0]]}"?' if close else f"Known are: {', '.join(known)}."


def _check_consumer(key: str, value: Any) -> Found:
    hint = (
        "The name under which the daemon keeps this site's place: letters, digits, "
        '"_" and "-", at most 64. For example "mysite".'
    )
    if value is None:
        yield _error(3, "INOTIFIER has no CONSUMER.", hint)
    elif not (isinstance(value, str) and event_types.NAME.fullmatch(value)):
        yield _error(3, f"CONSUMER is {value!r}, which is no name of a consumer.", hint)


def _check_endpoint(key: str, value: Any) -> Found:
    hint = 'For example "ipc:///run/inotifier/fetch" or "tcp://127.0.0.1:7557".'
    if not isinstance(value, str) or not value.startswith(("ipc://", "tcp://")):
        yield _error(4, f"{key} is {value!r}, neither ipc:// nor tcp://.", hint)
    elif value.startswith("ipc://") and len(os.fsencode(value[6:])) > LONGEST_SOCKET:
        yield _error(
            4,
            f"{key} is {value!r}: the path of a socket has {LONGEST_SOCKET} bytes at most.",
            "Choose a shorter one, for example below /run.",
        )
    elif value.startswith("tcp://") and not value.rpartition(":")[2].isdigit():
        yield _error(4, f"{key} is {value!r}, which has no port.", hint)


def _check_types(key: str, value: Any) -> Found:
    for text in _names(5, key, value, '["file.completed"]', lambda _: True):
        if isinstance(text, checks.CheckMessage):
            yield text
        elif signals.unknown_type(text):
            yield _error(5, f"{key}: {signals.unknown_type(text)}")


def _check_watches(key: str, value: Any) -> Found:
    for text in _names(6, key, value, '["incoming"]', event_types.NAME.fullmatch):
        if isinstance(text, checks.CheckMessage):
            yield text


def _names(number: int, key: str, value: Any, example: str, valid: Callable) -> Iterator[Any]:
    """The texts of a list, or what is wrong with it."""
    if isinstance(value, str) or not isinstance(value, (list, tuple, set, frozenset)):
        yield _error(number, f"{key} is {value!r}, not a list of names.", f"{key}: {example}")
        return
    for each in value:
        if isinstance(each, str) and each and valid(each):
            yield each
        else:
            yield _error(number, f"{key} has {each!r}, which is no name.", f"{key}: {example}")


def _check_roots(key: str, value: Any) -> Found:
    hint = f'{key}: {{"incoming": "/mnt/incoming"}}: where this site sees the root of a watch.'
    if not isinstance(value, dict):
        yield _error(7, f"{key} is {value!r}, not a dictionary.", hint)
        return
    for name, path in value.items():
        if not (isinstance(name, str) and event_types.NAME.fullmatch(name)):
            yield _error(7, f"{key} has {name!r}, which is no name of a watch.", hint)
        elif not isinstance(path, (str, os.PathLike)) or not os.path.isabs(path):
            yield _error(7, f"{key}: {name!r} is {path!r}, which is no absolute path.", hint)


def _check_key_file(key: str, value: Any) -> Found:
    if not isinstance(value, (str, os.PathLike)):
        yield _error(
            8, f"{key} is {value!r}, not the path of a file.", "inotifier keygen makes one."
        )
    elif not os.path.exists(conf.base_directory() / value):
        # Only the worker needs to be able to read it.
        yield checks.Warning(
            f"{key} is {os.fspath(value)!r}, and there is no such file, or none that can be seen.",
            hint="inotifier keygen makes key files.",
            id="inotifier.W001",
        )


def _check_handlers(key: str, value: Any) -> Found:
    hint = (
        f'{key}: {{"incoming": "mysite.handlers.store"}}: by the name of a watch, a function of '
        "one event."
    )
    for watch, path, handler in _imported(9, key, value, hint, "a function"):
        if isinstance(handler, checks.CheckMessage):
            yield handler
        elif not callable(handler):
            yield _error(9, f"{key}: {watch!r} is {path!r}, which is no function: {handler!r}.")


def _check_tasks(key: str, value: Any) -> Found:
    hint = f'{key}: {{"incoming": "mysite.tasks.store"}}: by the name of a watch, a task.'
    for watch, path, task in _imported(13, key, value, hint, "a task"):
        if isinstance(task, checks.CheckMessage):
            yield task
        elif not callable(getattr(task, "enqueue", None)):
            yield _error(
                13,
                f"{key}: {watch!r} is {path!r}, which has no enqueue(): {task!r}.",
                "Decorate it with django.tasks.task; before Django 6 with that of django-tasks.",
            )


def _imported(
    number: int, key: str, value: Any, hint: str, what: str
) -> Iterator[Tuple[Any, Any, Any]]:
    """(watch, dotted path, what is there, or what is wrong with it)"""
    if not isinstance(value, dict):
        yield None, None, _error(number, f"{key} is {value!r}, not a dictionary.", hint)
        return
    for watch, path in value.items():
        wrong = None
        if not (isinstance(watch, str) and event_types.NAME.fullmatch(watch)):
            wrong = f"{key} has {watch!r}, which is no name of a watch."
        elif not isinstance(path, str):
            wrong = f"{key}: {watch!r} is {path!r}, not the dotted path of {what}."
        if wrong:
            yield watch, path, _error(number, wrong, hint)
            continue
        try:
            yield watch, path, import_string(path)
        except ImportError as error:
            wrong = f"{key}: {watch!r} is {path!r}, which cannot be imported: {error}."
            yield watch, path, _error(number, wrong)


def _check_daemon(key: str, value: Any) -> Found:
    if not isinstance(value, dict):
        yield _error(10, f"{key} is {value!r}, not a dictionary.", 'DAEMON: {"WATCHES": [...]}')
        return
    yield from _unknown(10, key, value, conf.DAEMON_KEYS)
    for name in ("BINARY", "DIRECTORY"):
        if value.get(name) is not None and not isinstance(value[name], (str, os.PathLike)):
            yield _error(10, f"{key}: {name} is {value[name]!r}, not a path.")
        elif "\0" in os.fspath(value.get(name) or ""):
            yield _error(10, f"{key}: {name} is {value[name]!r}, which holds a zero byte.")
    options = value.get("OPTIONS")
    if options is not None and not (
        isinstance(options, dict) and all(isinstance(each, dict) for each in options.values())
    ):
        yield _error(
            10,
            f"{key}: OPTIONS is {options!r}, not a dictionary of sections.",
            'OPTIONS: {"journal": {"retain": "30d"}}: further sections of its configuration.',
        )
    watches = value.get("WATCHES")
    if watches is not None:
        yield from _check_daemon_watches(watches)


def _check_daemon_watches(watches: Any) -> Found:
    hint = 'WATCHES: [{"path": "/srv/incoming", "processor": "create-via-chunks"}]'
    if not isinstance(watches, (list, tuple)):
        yield _error(11, f"DAEMON: WATCHES is {watches!r}, not a list.", hint)
        return
    names = set()
    for number, watch in enumerate(watches):
        where = f"DAEMON: WATCHES[{number}]"
        if not isinstance(watch, dict):
            yield _error(11, f"{where} is {watch!r}, not a dictionary.", hint)
            continue
        path = watch.get("path")
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            yield _error(11, f"{where} has no path: {watch!r}.", hint)
            continue
        if "\0" in os.fspath(path):
            yield _error(11, f"{where}: the path {path!r} holds a zero byte.")
            continue
        yield from _unknown(11, where, watch, WATCH_OPTIONS)
        yield from _check_daemon_watch(where, watch)
        name = watch.get("name") or os.path.basename(os.path.normpath(path))
        if not (isinstance(name, str) and event_types.NAME.fullmatch(name)):
            yield _error(
                11, f"{where}: {name!r} is no name of a watch.", 'Give it one: "name": "…".'
            )
        elif name in names:
            yield _error(
                11, f"{where}: a second watch with the name {name!r}.", 'Give it a "name".'
            )
        names.add(name)


def _check_daemon_watch(where: str, watch: Dict[str, Any]) -> Found:
    processor = watch.get("processor")
    # A daemon of one's own may have others; it is asked if it is there.
    if processor is not None and processor not in PROCESSORS and find_binary() is None:
        message = f"{where}: there is no processor {processor!r}."
        yield _error(11, message, meant(processor, PROCESSORS))
    if watch.get("events") is not None:
        for text in _names(11, f"{where}: events", watch["events"], '["file.completed"]', bool):
            if isinstance(text, checks.CheckMessage):
                yield text
            elif signals.unknown_type(text):
                yield _error(11, f"{where}: events: {signals.unknown_type(text)}")


def _check_together(value: Dict[str, Any]) -> Found:
    config = conf.config()
    if bool(config.server_key) != bool(config.key):
        missing = "KEY" if config.server_key else "SERVER_KEY"
        yield _error(
            8,
            f"INOTIFIER has no {missing}: with keys both are needed.",
            "SERVER_KEY is the daemon's public key, KEY the file with our own secret one.",
        )
    yield from _check_watches_known(config)
    yield from _check_types_wanted(config)
    for what, remedy in refused_by_the_daemon(config):
        yield _error(12, f"DAEMON: the daemon does not take it: {what}", remedy)
    if config.endpoint and value.get("FETCH_ENDPOINT") is None:
        for message in _check_endpoint("The socket in DAEMON's DIRECTORY", config.endpoint):
            message.hint = "Set FETCH_ENDPOINT, or a shorter DIRECTORY."
            yield message


def _check_watches_known(config: conf.Config) -> Found:
    """Names of watches of which nothing would ever come."""
    own = [watch["name"] for watch in config.daemon.watches]
    for watch in config.watches if own else ():
        if watch not in own:
            yield _warning(
                2, f"ONLY_WATCHES has {watch!r}, which is no watch of DAEMON.", meant(watch, own)
            )
    known = config.watches or own
    if not known:
        return  # the daemon has them: inotifier_consume compares
    for where, watch in watches_named(config):
        if watch not in known:
            yield _warning(
                2, f"{where} has {watch!r}, but of that watch no event comes.", meant(watch, known)
            )


def watches_named(config: conf.Config) -> Iterator[Tuple[str, str]]:
    """Who waits for which watch."""
    for name, chosen in (("HANDLERS", config.handlers), ("TASKS", config.tasks)):
        for watch in chosen:
            yield name, watch
    for each in signals.declared:
        for watch in sorted(each.watches or ()):
            yield f"@on of {each.name}", watch


def _check_types_wanted(config: conf.Config) -> Found:
    """Types of which nothing would ever come."""
    if config.types and not any("completed" in each for each in config.types):
        for name, chosen in (("HANDLERS", config.handlers), ("TASKS", config.tasks)):
            if chosen:
                yield _warning(3, f"{name} get what is completed, but TYPES is {config.types!r}.")
    named = [("TYPES", config.types)] if config.types else []
    named += [(f"@on of {each.name}", list(each.types)) for each in signals.declared]
    for where, types in named:
        for type in types:
            reason = None if type == signals.GAP else event_types.never_published(type)
            if reason:
                yield _warning(4, f"{where}: {reason}.")
            elif config.types and type not in config.types and type != signals.GAP:
                yield _warning(3, f"{where} wants {type}, but TYPES is {config.types!r}.")


_CHECKS: Dict[str, Callable[[str, Any], Found]] = {
    "CONSUMER": _check_consumer,
    "FETCH_ENDPOINT": _check_endpoint,
    "TYPES": _check_types,
    "ONLY_WATCHES": _check_watches,
    "ROOTS": _check_roots,
    "SERVER_KEY": _check_key_file,
    "KEY": _check_key_file,
    "HANDLERS": _check_handlers,
    "TASKS": _check_tasks,
    "DAEMON": _check_daemon,
}
