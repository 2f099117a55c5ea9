#!/usr/bin/env python3
"""What a worker does with the files it was told of: it removes or moves them, later.

worker.py CONSUMER_LOG DONE KEEP: until SIGTERM. Follows the consumer's log; of the files that are
written only once (their names say so) the last KEEP stay, older ones go, so that a tree under load
does not grow without end. Only what was told is ever removed: what was not stays to be found.
"""

import collections
import os
import signal
import sys
import time

import msgpack

LOG, DONE, KEEP = sys.argv[1], os.fsencode(sys.argv[2]), int(sys.argv[3])
ended = False


def stop(*_):
    global ended
    ended = True


def main():
    signal.signal(signal.SIGTERM, stop)
    kept = collections.deque()
    seen = set()
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=0)
    fd = os.open(LOG, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    moved = 0
    while not ended:
        data = os.read(fd, 1 << 20)
        if not data:
            time.sleep(0.02)
            continue
        unpacker.feed(data)
        for entry in unpacker:
            if entry[0] != b"told":
                continue
            for event in entry[2]:
                path = event[4]
                if event[2] != b"file.completed" or path in seen:
                    continue
                if os.path.basename(path).startswith(b"once-"):
                    kept.append(path)
                    seen.add(path)
        while len(kept) > KEEP:
            path = kept.popleft()
            seen.discard(path)
            moved += 1
            try:
                if moved % 5 == 0:
                    os.rename(path, os.path.join(DONE, b"%d" % moved))
                    os.unlink(os.path.join(DONE, b"%d" % moved))
                else:
                    os.unlink(path)
            except FileNotFoundError:
                continue
            # The directories that were made for it alone.
            directory = os.path.dirname(path)
            while os.path.basename(directory)[:1] in b"nabci" and len(directory) > 1:
                try:
                    os.rmdir(directory)
                except OSError:
                    break
                directory = os.path.dirname(directory)


main()
