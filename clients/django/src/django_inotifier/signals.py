"""One signal for each type of event, and @on, which filters.

The sender is always the model class InboxEvent. Receivers get `event`, an inotifier.Event, and
`inbox_event`, the row. What a receiver raises makes the row fail, and be tried again.
"""

from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    List,
    NamedTuple,
    Optional,
    Tuple,
    Union,
)

from django.dispatch import Signal
from inotifier import event_types

from .answers import run_to_its_end
from .patterns import compile_pattern

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


class Declared(NamedTuple):
    """What @on was told, for checks.py."""

    name: str  # of the receiver
    types: Tuple[str, ...]
    watches: Optional[FrozenSet[str]]  # None: all


declared: List[Declared] = []


def on(
    *types: str,
    watch: Union[str, Iterable[str], None] = None,
    match: Union[str, Iterable[str], None] = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a receiver of these types, of some watches, of some names. It may be `async def`.

    `match`: one pattern or several, as the daemon's: without a slash it is held against the name,
    with a slash against the path below the watch's root; "*" and "?" do not cross a slash, "**"
    does. An event without a path matches none. Raises ValueError for a type, name or pattern that
    is none.
    """
    if not types or not all(isinstance(type, str) for type in types):
        raise TypeError('@on wants types of events: @on("file.completed")')
    for type in types:
        reason = unknown_type(type)
        if reason:
            raise ValueError(f"@on: {reason}")
    watches = None if watch is None else frozenset(_texts("watch", watch))
    for name in watches or ():
        if not event_types.NAME.fullmatch(name):
            raise ValueError(f"@on: {name!r} is no watch's name: {event_types.NAME_RULE}")
    patterns = None
    if match is not None:
        patterns = [_pattern(text) for text in _texts("match", match)]

    def wanted(event: Any) -> bool:
        if watches is not None and event.watch not in watches:
            return False
        if patterns is None:
            return True
        if event.subject is None:
            return False
        return any(pattern(event.relative_path) for pattern in patterns)

    def connect(receiver: Callable[..., Any]) -> Callable[..., Any]:
        def filtered(sender: Any, event: Any, **kwargs: Any) -> Any:
            if wanted(event):
                return run_to_its_end(receiver(sender=sender, event=event, **kwargs), receiver)
            return None

        for type in types:
            signal_for(type).connect(filtered, weak=False)
        declared.append(Declared(dotted_name(receiver), types, watches))
        return receiver

    return connect


def dotted_name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or repr(function)
    return f"{getattr(function, '__module__', '')}.{name}".lstrip(".")


def unknown_type(type: str) -> Optional[str]:
    """Why this cannot be meant as a type of event; None if it can. Daemons may have types of
    their own."""
    return event_types.unknown_type(type, TYPES)


def _pattern(text: str) -> Callable[[str], bool]:
    try:
        return compile_pattern(text)
    except ValueError as error:
        raise ValueError(f"@on: match: {error}") from None


def _texts(what: str, value: Union[str, Iterable[str]]) -> List[str]:
    texts = [value] if isinstance(value, str) else list(value)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"@on: {what} is a text or several, not {value!r}")
    return texts
