#!/usr/bin/env python3
"""Fails if a room of src/ includes one that comes after it in the way of the data.

Usage: layers.py [CHECKOUT]. Prints each wrong include as file:line; exit code 1 if there is one. A
circle between two rooms always has one arrow upward, so order alone excludes circles.
"""

import pathlib
import re
import sys

# In the order in which data passes through them; each includes only what comes before it.
ROOMS = [
    "inotifier",
    "base",
    "fs",
    "wire",
    "state",
    "config",
    "source",
    "process",
    "journal",
    "endpoint",
    "serve",
    "daemon",
    "client",
    "cli",
    "forward",
]
# These stand beside the daemon and see only the rooms named here.
ONLY = {
    "inotifier": {"inotifier"},
    "client": {"inotifier", "base", "wire", "client"},
    "forward": {"inotifier", "base", "wire", "client", "forward"},
}
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def room_of(path):
    """The room of an include or of a path below src/; None for a file directly in src/."""
    return path.split("/")[0] if "/" in path else None


def wrong_includes(checkout):
    """Yields a line of text for each include that goes against the order."""
    files = [
        (path, room_of(str(path.relative_to(root))))
        for root in (checkout / "src", checkout / "include")
        for path in sorted(root.rglob("*.[ch]pp"))
    ]
    for path, room in files:
        if room is None:
            continue  # main.cpp
        if room not in ROOMS:
            yield f"{path}: room {room}/ is not in the list of {__file__}"
            continue
        allowed = ONLY.get(room, set(ROOMS[: ROOMS.index(room) + 1]))
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if match and room_of(match[1]) not in allowed:
                yield f'{path}:{number}: {room}/ must not include "{match[1]}"'


def main():
    checkout = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    wrong = list(wrong_includes(checkout))
    print("\n".join(wrong) if wrong else "rooms: " + " < ".join(ROOMS))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
