"""python -m inotifier: prints events, live or (--consumer) durably."""

import argparse
import contextlib
import errno
import os
import signal
import sys
from typing import List, Optional, Union

from . import Consumer, Error, Event, Gap, Subscriber, __version__


def parse(words: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m inotifier",
        description="Prints inotifier's events: live, or with --consumer durably.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage.",
    )
    parser.add_argument("types", nargs="*", metavar="TYPE", help="such as file.completed (all)")
    parser.add_argument(
        "--watch", action="append", default=[], metavar="NAME", help="only this one"
    )
    parser.add_argument(
        "--consumer", metavar="NAME", help="durable: misses none, acks what it printed"
    )
    parser.add_argument("--json", action="store_true", help="one JSON CloudEvent a line")
    parser.add_argument("-n", type=int, default=0, metavar="N", help="end after N events")
    parser.add_argument(
        "--endpoint", metavar="E", help="ipc:///run/inotifier/publish, tcp://host:7556"
    )
    parser.add_argument("--key", metavar="FILE", help="our secret key, for tcp")
    parser.add_argument("--server-key", metavar="FILE", help="the daemon's public key")
    parser.add_argument("--version", action="version", version=f"inotifier {__version__}")
    return parser.parse_args(words)


def visible(text: str) -> str:
    """A name may hold anything, line ends and terminal controls included."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line_of(event: Event, as_json: bool) -> str:
    if as_json:
        return event.as_json()
    what = event.path if event.has_path else event.watch
    size = "" if event.size is None else str(event.size)
    words = [
        f"{event.time.astimezone():%H:%M:%S.%f}"[:12],
        f"{event.type:16}",
        f"{size:>12}",
        visible(what),
    ]
    if event.evidence:
        words.append(event.evidence)
    return "  ".join(words)


def show(events: Union[Consumer, Subscriber], as_json: bool, count: int) -> None:
    for number, event in enumerate(events, 1):
        # Flushed before it is acknowledged: a pipe that nobody reads any more must not lose it.
        print(line_of(event, as_json), flush=True)
        if isinstance(events, Consumer):
            events.done(event)
        if number == count:
            return


def warn(gap: Gap) -> None:
    print(f"inotifier: {gap.topic} missed events up to {gap.until}", file=sys.stderr)


def main(words: Optional[List[str]] = None) -> int:
    given = parse(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if sys.stdout is None:  # print() would say nothing, and all of it would be acknowledged
        print("inotifier: write standard output: it is closed", file=sys.stderr)
        return 1
    # What a terminal's encoding cannot show must not end the program.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        source: Union[Consumer, Subscriber]
        place = {"endpoint": given.endpoint, "key": given.key, "server_key": given.server_key}
        if given.consumer is not None:
            source = Consumer(
                given.consumer, types=given.types, watches=given.watch, stop_signals=True, **place
            )
        else:
            source = Subscriber(types=given.types, watches=given.watch, on_gap=warn, **place)
        with source as events:
            show(events, given.json, given.n)
    except (Error, ValueError) as error:
        print(f"inotifier: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    except OSError as error:
        # Python must not try again, and complain, at its end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # else nobody reads any more
            print(f"inotifier: write standard output: {error.strerror}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
