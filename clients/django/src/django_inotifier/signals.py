"""One signal for each type of event, and @on, which filters.

The sender is always the model class InboxEvent. Receivers get `event`, an inotifier.Event, and
`inbox_event`, the row. What a receiver raises makes the row fail, and be tried again.
"""

import re
from typing import Any, Callable, Dict, Iterable, Optional, Union

from django.dispatch import Signal
from inotifier import event_types

from .answers import run_to_its_end

# Events that the daemon no longer kept when we came for them; not on the wire, but a row like any.
GAP = "gap"
TYPES = event_types.KNOWN + (GAP,)

file_completed = Signal()
file_stalled = Signal()
file_moved = Signal()
file_removed = Signal()
file_rejected = Signal()
directory_completed = Signal()
group_completed = Signal()

watch_ready = Signal()
watch_scanned = Signal()
watch_rescan = Signal()
watch_lost = Signal()
watch_restored = Signal()
watch_degraded = Signal()

in_access = Signal()
in_attrib = Signal()
in_close_nowrite = Signal()
in_close_write = Signal()
in_create = Signal()
in_delete = Signal()
in_delete_self = Signal()
in_ignored = Signal()
in_modify = Signal()
in_move_self = Signal()
in_moved_from = Signal()
in_moved_to = Signal()
in_open = Signal()
in_q_overflow = Signal()
in_unmount = Signal()

gap = Signal()

_signals: Dict[str, Signal] = {type: globals()[type.replace(".", "_")] for type in TYPES}


def signal_for(type: str) -> Signal:
    """The signal of a type, also of one that this version does not know."""
    return _signals.setdefault(type, Signal())


def has_receivers() -> bool:
    return any(signal.receivers for signal in list(_signals.values()))


def on(
    *types: str,
    watch: Union[str, Iterable[str], None] = None,
    match: Union[str, Iterable[str], None] = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a receiver of these types, of some watches, of some names.

    `match`: one pattern or several, as the daemon's: without a slash it is held against the name,
    with a slash against the path below the watch's root; "*" and "?" do not cross a slash, "**"
    does. An event without a path matches none.

    The receiver may be `async def`.
    """
    if not types or not all(isinstance(type, str) for type in types):
        raise TypeError('@on wants types of events: @on("file.completed")')
    for type in types:
        _check_type(type)
    watches = _texts(watch)
    patterns = None if match is None else [compile_pattern(text) for text in _texts(match) or ()]

    def wanted(event: Any) -> bool:
        if watches is not None and event.watch not in watches:
            return False
        if patterns is None:
            return True
        path = event.relative_path
        return path is not None and any(pattern(path) for pattern in patterns)

    def connect(receiver: Callable[..., Any]) -> Callable[..., Any]:
        def filtered(sender: Any, event: Any, **kwargs: Any) -> Any:
            if wanted(event):
                return run_to_its_end(receiver(sender=sender, event=event, **kwargs), receiver)
            return None

        for type in types:
            signal_for(type).connect(filtered, weak=False)
        return receiver

    return connect


def unknown_type(type: str) -> Optional[str]:
    """Why this cannot be meant as a type of event; None if it can. Daemons may have types of
    their own."""
    return event_types.unknown_type(type, TYPES)


def compile_pattern(text: str) -> Callable[[str], bool]:
    """A pattern of the daemon's kind as a function of the relative path."""
    has_slash = "/" in text
    regex = ""
    for token in _TOKEN.findall(text.lstrip("/")):
        if token in _WILD:
            regex += _WILD[token]
        elif token.startswith("[") and len(token) > 1:
            inside = token[1:-1]
            negated = inside[:1] in ("!", "^")
            inside = (inside[1:] if negated else inside).replace("\\", r"\\").replace("[", r"\[")
            regex += f"(?!/)[{'^' if negated else ''}{inside}]"
        else:
            regex += re.escape(token[1:] if token.startswith("\\") and len(token) > 1 else token)
    compiled = re.compile(regex + r"\Z", re.DOTALL)
    if has_slash:
        return lambda path: compiled.match(path) is not None
    return lambda path: compiled.match(path.rsplit("/", 1)[-1]) is not None


_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKEN = re.compile(r"\*\*/|\*\*|[*?]|\[[!^]?\]?[^\]]*\]|\\.|.", re.DOTALL)


def _check_type(type: str) -> None:
    reason = unknown_type(type)
    if reason:
        raise ValueError(f"@on: {reason}")


def _texts(value: Union[str, Iterable[str], None]) -> Optional[frozenset]:
    if value is None:
        return None
    return frozenset([value]) if isinstance(value, str) else frozenset(value)
