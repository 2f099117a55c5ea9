"""What was finished, what was told, and whether both agree."""

import collections
import os
import stat

import msgpack

NEVER_SUFFIXES = (b".part", b"~", b".tmp")


class Follow:
    """The MessagePack values that a growing file holds."""

    def __init__(self, path):
        self.path = path
        self.file = None
        self.unpacker = msgpack.Unpacker(
            raw=False, max_buffer_size=0, unicode_errors="surrogateescape"
        )

    def new(self):
        if self.file is None:
            if not os.path.exists(self.path):
                return
            self.file = open(self.path, "rb", buffering=0)
        while data := self.file.read(1 << 20):
            self.unpacker.feed(data)
            yield from self.unpacker


class Finished(collections.namedtuple("Finished", "real inode size mtime")):
    """A version of a path, as its producer noted it; inode and mtime can be None."""

    def is_of(self, inode, size, mtime):
        if self.size != size:
            return False
        return self.mtime is None or (self.inode == inode and self.mtime == mtime)


Told = collections.namedtuple(
    "Told", "position id type watch path inode size mtime time evidence origin reason"
)


def fell(done):
    """Whether a version had an mtime that does not come after that of the one before, as far as known."""
    mtimes = [d.mtime for d in done]
    return any(old is None or new is None or new <= old for old, new in zip(mtimes, mtimes[1:]))


class Ledger:
    def __init__(self, root):
        self.root = os.fsencode(root)
        self.done = {}  # path -> [Finished]
        self.times = {}  # path -> [Finished]: as they were set afterwards
        self.never = set()
        self.finished = 0
        self.events = {}  # path -> [Told], as they came; those of an id once
        self.ids = {}  # position -> id
        self.by_id = {}  # id -> positions it was told under
        self.last_of_path = {}  # path -> type and position of the newest event
        self.types = collections.Counter()
        self.reasons = collections.Counter()  # of rescans
        self.delivered = 0
        self.wrong = collections.defaultdict(list)
        self.cuts = []  # (monotonic, wall): the journal was put back
        self.again = 0  # in doubt: times were set after a close, and the records of that were lost
        self.renamed = 0  # under another id, after a power cut, where mtimes had fallen before
        self.scanned = 0

    # --- taking in

    def take_producer(self, entries):
        for what, path, _, real, *identity in entries:
            path = path if isinstance(path, bytes) else path.encode("utf-8", "surrogateescape")
            if what == "done":
                self.finished += 1
                self.done.setdefault(path, []).append(Finished(real, *identity))
            elif what == "times":
                self.times.setdefault(path, []).append(Finished(real, *identity))
            elif what == "never":
                self.never.add(path)

    def take_event(self, values):
        event = Told(*values)
        self.delivered += 1
        known = self.ids.setdefault(event.position, event.id)
        if known != event.id:
            self.wrong["position given twice"].append(f"{event.position}: {known} and {event}")
        positions = self.by_id.setdefault(event.id, [])
        if event.position in positions:
            return
        positions.append(event.position)
        self.types[event.type] += 1
        if event.type == "watch.rescan":
            self.reasons[event.reason] += 1
        if event.type == "watch.scanned":
            self.scanned += 1
        if event.path:
            before = self.last_of_path.get(event.path)
            if before is None or before[1] < event.position:
                self.last_of_path[event.path] = (event.type, event.position)
        if event.type != "file.completed" or len(positions) > 1:
            return
        self.events.setdefault(event.path, []).append(event)

    # --- comparing

    def files(self):
        """(path, lstat) of every file that must have been announced."""
        stack = [self.root]
        while stack:
            directory = stack.pop()
            for entry in os.scandir(directory):
                if entry.name.startswith(b".") or entry.name.endswith(NEVER_SUFFIXES):
                    continue
                st = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(st.st_mode):
                    stack.append(entry.path)
                elif stat.S_ISREG(st.st_mode):
                    yield entry.path, st

    def missing(self):
        """Files on the disk whose last version was not announced."""
        lost = []
        for path, st in self.files():
            last = self.done[path][-1] if path in self.done else None
            mtimes = {st.st_mtime_ns}
            if last is not None and last.mtime is not None:
                mtimes.add(last.mtime)
            mtimes |= {t.mtime for t in self.times.get(path, ())}
            if not any(
                (e.inode, e.size) == (st.st_ino, st.st_size) and e.mtime in mtimes
                for e in self.events.get(path, ())
            ):
                lost.append((path, st))
        return lost

    def check(self):
        """Fills `wrong` with what is against the promise, but for what is missing."""
        for path, events in self.events.items():
            self._check_path(path, events)
        for path, st in self.files():
            if self.last_of_path.get(path, ("",))[0] == "file.removed":
                self.wrong["removed, but there"].append(f"{path} {st}")

    def _check_path(self, path, events):
        name = os.path.basename(path)
        if path in self.never or name.startswith(b".") or name.endswith(NEVER_SUFFIXES):
            self.wrong["temporary or excluded"].append(str(events[0]))
            return
        done = self.done.get(path)
        if done is None:
            self.wrong["early"].append(f"{events[0]}, of which nothing was finished")
            return
        times = self.times.get(path, [])
        for event in events:
            identity = (event.inode, event.size, event.mtime)
            same = [d for d in done if d.is_of(*identity)]
            if not same and any(t.is_of(*identity) for t in times):
                same = [d for d in done if d.size == event.size]
            if not same:
                self.wrong["early"].append(f"{event} is no state that was finished: {done} {times}")
            elif event.time < min(d.real for d in same):
                self.wrong["early"].append(f"{event} before {same}")
        by_version = collections.defaultdict(dict)
        for event in events:
            # Times that were set after the close make no new version.
            version = (event.inode, event.size) if times else (event.inode, event.size, event.mtime)
            by_version[version].setdefault(event.id, event)
        for ids in by_version.values():
            if len(ids) < 2:
                continue
            told = sorted(ids.values(), key=lambda event: event.time)
            # After a power cut nobody knows which times a file had when it was announced, or that
            # an older file had had the place.
            cut_off = any(cut > told[0].time for _, cut in self.cuts)
            if cut_off and (times or name.startswith((b"one-", b"two-"))):
                continue
            # Nor that an earlier version had later times, for which its ids are told apart.
            if cut_off and fell(done):
                self.renamed += len(told) - 1
                continue
            if times and all(event.origin != "live" for event in told[1:]):
                self.again += len(told) - 1
                continue
            self.wrong["two ids"].append(f"{told}, finished {done} {times}")
