"""MessagePack maps out and in, positions, times. clients/README.md is the protocol."""

import datetime
import re
from typing import Any, Dict, Mapping, Optional, Union

import msgpack

from .errors import Error, ProtocolMismatch, RequestError

PROTOCOL = 1
HEARTBEAT = "heartbeat/"

Map = Dict[str, Any]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))"
)


class WireError(Error):
    """What came is no message of the protocol."""


def encode(value: Map) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def encode_request(op: str, request: Optional[int] = None, **arguments: Any) -> bytes:
    """The body of a request; arguments that are None are left out."""
    body: Map = {"op": op}
    if request is not None:
        body["request"] = request
    body.update((key, value) for key, value in arguments.items() if value is not None)
    return encode(body)


def decode(body: bytes) -> Map:
    """The map in `body`, without what is nil: absent and nil mean the same. Raises WireError."""
    try:
        # Text is valid UTF-8; should one be none, the rest of the reply is needed all the same.
        value = msgpack.unpackb(body, raw=False, unicode_errors="replace")
    except (ValueError, msgpack.UnpackException, RecursionError, TypeError) as error:
        raise WireError(f"no MessagePack: {error}") from None
    if not isinstance(value, dict):
        raise WireError("no map")
    return {key: item for key, item in value.items() if item is not None}


def error_in(reply: Map) -> Optional[RequestError]:
    """The error of a reply; None if it is `ok`."""
    if reply.get("ok") is True:
        return None
    error = reply.get("error")
    if not isinstance(error, dict):
        return RequestError("", "the daemon gave no reason")
    code, message = str(error.get("code", "")), str(error.get("message", ""))
    if code == "not_allowed" and 'access = "all"' not in message:
        message += (
            "; access = \"all\" in this client's public key file, in the daemon's directory of "
            "clients, allows it"
        )
    return RequestError(code, message)


def unknown_op(endpoint: str, op: str) -> ProtocolMismatch:
    return ProtocolMismatch(
        f'{endpoint}: the daemon does not know the request "{op}": it is older than this client; '
        "update the daemon"
    )


def check_protocol(endpoint: str, message: Map) -> None:
    """Raises ProtocolMismatch if `message` (a reply, a heartbeat) is of another protocol."""
    protocol = message.get("protocol")
    if protocol == PROTOCOL:
        return
    older = not isinstance(protocol, (int, float)) or protocol < PROTOCOL
    version = f" {message['version']}" if "version" in message else ""
    raise ProtocolMismatch(
        f"{endpoint}: the daemon{version} speaks protocol {protocol}, this client {PROTOCOL}: "
        + ("update the daemon" if older else "update this package, inotifier")
    )


def position_in(message: Mapping[str, Any], key: str) -> str:
    """The position there; "" if there is none."""
    value = message.get(key)
    return value if isinstance(value, str) and value.isdigit() and value.isascii() else ""


def position_text(position: Union[str, int]) -> str:
    """20 digits, as positions are on the wire; "0" stays. Raises ValueError."""
    number = int(position)
    if number < 0 or number >= 1 << 64:
        raise ValueError(f"{position!r} is no position")
    return f"{number:020d}" if number else "0"


def nanoseconds(text: str) -> int:
    """RFC 3339 -> nanoseconds since 1970. Raises ValueError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction = int((match[7] or "").ljust(9, "0"))
    days = datetime.date(year, month, day).toordinal() - _EPOCH.toordinal()
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    if match[8]:
        offset = int(match[9]) * 3600 + int(match[10]) * 60
        seconds -= offset if match[8] == "+" else -offset
    return seconds * 1_000_000_000 + fraction


def datetime_of(ns: int) -> datetime.datetime:
    """Aware, UTC; microseconds, the rest cut off."""
    return _EPOCH + datetime.timedelta(microseconds=ns // 1000)


def time_text(ns: int) -> str:
    """Nanoseconds since 1970 -> RFC 3339, UTC, nine decimals."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    whole = _EPOCH + datetime.timedelta(seconds=seconds)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def time_of_datetime(moment: datetime.datetime) -> str:
    """RFC 3339 of an aware datetime. Raises ValueError for a naive one."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone")
    since = moment.astimezone(datetime.timezone.utc) - _EPOCH
    micro = (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
    return time_text(micro * 1000)
