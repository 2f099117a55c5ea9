#!/usr/bin/env python3
"""A process that finishes files in a watched tree in every way there is, and notes when.

producer.py ROOT OUTSIDE LOG SEED RATE: until SIGTERM; then what is under way is brought to an end.

The log is a row of MessagePack arrays, one write(2) each:
  ["done", path, mono, real, inode, size, mtime]  taken before the call that finished this version.
       inode and mtime are nil where asking the kernel would have changed what happens: reading the
       times of a file makes the kernel's next stamp a finer one
  ["times", path, mono, real, inode, size, mtime] the times of a finished version were set to this
  ["gone", path, mono, real]                      before it was renamed, unlinked
  ["never", path, mono, real]                     must not be announced: temporary, excluded
"""

import ctypes
import heapq
import os
import random
import signal
import sys
import time

import msgpack

ROOT, OUTSIDE = map(os.fsencode, sys.argv[1:3])
LOG = sys.argv[3]
SEED = int(sys.argv[4])
RATE = float(sys.argv[5])  # files a second
CHOICE = random.Random(SEED)
ME = b"%d" % SEED
NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
CONTENT = b"x" * 65536
LIBC = ctypes.CDLL(None, use_errno=True)

log_fd = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
ended = False
made = 0
later = []  # (time, number, generator): writers at work, steps still to come
directories = [os.path.join(ROOT, b"p%s" % ME, b"d%d" % i) for i in range(12)]
outside = os.path.join(OUTSIDE, b"p%s" % ME)
pool = [os.path.join(ROOT, b"p%s" % ME, b"pool", b"rewritten%d" % i) for i in range(60)]
busy = set()  # of the pool: a slow writer is at it


def note(what, path, st=None, size=None):
    entry = [what, path, time.monotonic_ns(), time.time_ns()]
    if st is not None:
        entry += [st.st_ino, st.st_size, st.st_mtime_ns]
    elif size is not None:
        entry += [None, size, None]
    os.write(log_fd, msgpack.packb(entry))


def after(seconds, step):
    global made
    made += 1
    heapq.heappush(later, (time.monotonic() + seconds, made, step))


def run(step):
    """On to the next pause of a writer that takes its time."""
    try:
        after(next(step), step)
    except StopIteration:
        pass


def name(kind):
    global made
    made += 1
    odd = b""
    if made % 97 == 0:
        odd = b"\xff\xfe"  # no UTF-8
    elif made % 101 == 0:
        odd = b" \n'\"%41"
    return b"%s-%s-%d%s" % (kind, ME, made, odd)


def place():
    return CHOICE.choice(directories)


def bytes_of_a_file():
    return CHOICE.randint(1, 4000) if CHOICE.random() < 0.97 else CHOICE.randint(1, 300_000)


def fill(fd, size):
    while size > 0:
        size -= os.write(fd, CONTENT[:size])


def finish(fd, path, size=None):
    """The last close; `size`: without asking the kernel."""
    if size is None:
        note("done", path, os.fstat(fd))
    else:
        note("done", path, size=size)
    os.close(fd)


def write(path, size):
    fd = os.open(path, NEW, 0o644)
    fill(fd, size)
    os.close(fd)


def rename(old, new):
    note("done", new, os.lstat(old))
    os.rename(old, new)


# --- the ways. Each takes part of a turn, or is a generator of pauses.


def direct():
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, NEW, 0o644)
    size = bytes_of_a_file()
    fill(fd, size)
    finish(fd, path, size if CHOICE.random() < 0.5 else None)


def in_pieces():
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, NEW, 0o644)
    for _ in range(4):
        fill(fd, bytes_of_a_file())
    finish(fd, path)


def part():
    path = os.path.join(place(), name(b"once"))
    write(path + b".part", bytes_of_a_file())
    rename(path + b".part", path)


def nested():
    part = os.path.join(ROOT, name(b"nested") + b".part")
    write(part, bytes_of_a_file())
    top = os.path.join(place(), name(b"n"))
    deep = os.path.join(top, b"a", b"b", b"c")
    os.makedirs(deep)
    rename(part, os.path.join(deep, name(b"once")))


def nested_direct():
    deep = os.path.join(place(), name(b"n"), b"a", b"b")
    os.makedirs(deep)
    for _ in range(3):
        path = os.path.join(deep, name(b"once"))
        fd = os.open(path, NEW, 0o644)
        size = bytes_of_a_file()
        fill(fd, size)
        finish(fd, path, size)


def hard_link():
    path = os.path.join(place(), name(b"once"))
    source = os.path.join(outside, name(b"linked"))
    write(source, bytes_of_a_file())
    note("done", path, os.lstat(source))
    os.link(source, path)
    os.unlink(source)


def temporary_file(late):
    """O_TMPFILE; linked in when it is complete, or before."""
    directory = place()
    path = os.path.join(directory, name(b"once"))
    fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o644)
    fill(fd, bytes_of_a_file())
    # os.link() does not follow. AT_FDCWD, AT_SYMLINK_FOLLOW
    if LIBC.linkat(-100, b"/proc/self/fd/%d" % fd, -100, path, 0x400) != 0:
        raise OSError(ctypes.get_errno(), "linkat", path)
    if late:
        yield CHOICE.uniform(0, 0.1)
        fill(fd, bytes_of_a_file())
    finish(fd, path)


def slow(suffix):
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path + suffix, NEW, 0o644)
    for _ in range(CHOICE.randint(1, 6)):
        fill(fd, bytes_of_a_file())
        yield CHOICE.uniform(0, 0.15)
    fill(fd, 17)
    if suffix:
        os.close(fd)
        rename(path + suffix, path)
    else:
        finish(fd, path)


def opened_and_not_written():
    """The pause that an empty file must be waited for."""
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, NEW | os.O_EXCL, 0o644)
    yield CHOICE.uniform(0, 0.02)
    fill(fd, bytes_of_a_file())
    finish(fd, path)


def two_writers():
    path = os.path.join(place(), name(b"once"))
    first = os.open(path, NEW, 0o644)
    second = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    fill(first, bytes_of_a_file())
    yield CHOICE.choice((0, CHOICE.uniform(0, 0.05)))
    os.close(first)
    fill(second, bytes_of_a_file())
    yield CHOICE.choice((0, CHOICE.uniform(0, 0.2)))
    fill(second, 13)
    finish(second, path)


def empty():
    path = os.path.join(place(), name(b"once"))
    finish(os.open(path, NEW, 0o644), path, 0)


def pooled():
    free = [path for path in pool if path not in busy]
    return CHOICE.choice(free) if free else None


def rewrite():
    path = pooled()
    if path is None:
        return
    fd = os.open(path, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, path)


def rewrite_blind():
    """In the same size, several times in a row, without asking the kernel for times."""
    path = pooled()
    if path is None:
        return
    for _ in range(CHOICE.randint(1, 3)):
        fd = os.open(path, NEW, 0o644)
        fill(fd, 1111)
        finish(fd, path, 1111)


def rewrite_in_place():
    path = pooled()
    if path is None or not os.path.exists(path):
        return
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.pwrite(fd, CONTENT[:100], 0)
    finish(fd, path)


def append():
    path = pooled()
    if path is None or not os.path.exists(path):
        return
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    fill(fd, CHOICE.randint(1, 50))
    finish(fd, path)


def rewrite_slowly():
    path = pooled()
    if path is None:
        return
    busy.add(path)
    fd = os.open(path, NEW, 0o644)
    for _ in range(3):
        fill(fd, bytes_of_a_file())
        yield CHOICE.uniform(0, 0.1)
    fill(fd, 11)
    finish(fd, path)
    busy.discard(path)


def replace():
    path = pooled()
    if path is None:
        return
    part = path + b"-%d.part" % made
    write(part, bytes_of_a_file())
    rename(part, path)


def made_anew():
    """Unlinked and created: some file systems hand out the same inode at once."""
    path = pooled()
    if path is None:
        return
    if os.path.exists(path):
        note("gone", path)
        os.unlink(path)
    fd = os.open(path, NEW, 0o644)
    fill(fd, 777)
    finish(fd, path)


def times_after(kind):
    """cp -p, install, unzip, touch: times and mode are set after the close."""
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, path)
    if CHOICE.random() < 0.5:
        yield CHOICE.choice((0, 0.001, 0.01, 0.3))
    try:
        if kind == "mode":
            os.chmod(path, 0o600)
            return
        st = os.lstat(path)
        if kind == "touch":
            os.utime(path)
            note("times", path, os.lstat(path))
            return
        mtime = st.st_mtime_ns - CHOICE.randint(10**9, 10**16)
        entry = ["times", path, time.monotonic_ns(), time.time_ns(), st.st_ino, st.st_size, mtime]
        os.write(log_fd, msgpack.packb(entry))
        os.utime(path, ns=(mtime, mtime))
        os.chmod(path, 0o640)
    except FileNotFoundError:
        pass  # a worker was faster


def set_times_back(fd):
    mtime = time.time_ns() - CHOICE.randint(10**9, 10**16)
    os.utime(fd, ns=(mtime, mtime))


def times_before():
    """install, tar: set through the descriptor, then closed."""
    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    set_times_back(fd)
    os.fchmod(fd, 0o600)
    finish(fd, path)


def times_set_while_open():
    """Written, and its times set back before the close: a new version all the same."""
    path = pooled()
    if path is None or not os.path.exists(path):
        return
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    os.pwrite(fd, CONTENT[:100], 0)
    set_times_back(fd)
    finish(fd, path)


def looked_after():
    """What no version comes of: rights, attributes, links elsewhere, reading."""
    path = pooled()
    if path is None or not os.path.exists(path):
        return
    kind = CHOICE.randrange(5)
    try:
        if kind == 0:
            os.chmod(path, CHOICE.choice((0o600, 0o640, 0o644)))
        elif kind == 1:
            os.setxattr(path, b"user.inotifier", b"%d" % made)
        elif kind == 2:
            second = os.path.join(outside, b"link-%d" % CHOICE.randrange(10**9))
            os.link(path, second)
            os.unlink(second)
        elif kind == 3:
            with open(path, "rb") as file:
                file.read()
        else:
            os.chown(path, os.getuid(), os.getgid())
    except OSError:
        pass  # no attributes here


def longest_name():
    stem = name(b"once")
    path = os.path.join(place(), stem + b"-" * (255 - len(stem)))
    fd = os.open(path, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, path)


def directories_exchanged():
    """RENAME_EXCHANGE of two directories with files, perhaps while they are listed."""
    one, two = (os.path.join(place(), name(b"old")) for _ in range(2))
    files = []
    for directory in (one, two):
        os.mkdir(directory)
        for _ in range(CHOICE.randint(1, 4)):
            file = name(b"f")
            path = os.path.join(directory, file)
            fd = os.open(path, NEW, 0o644)
            fill(fd, bytes_of_a_file())
            finish(fd, path)
            files.append((path, os.path.join(two if directory == one else one, file)))
    yield CHOICE.choice((0, 0.002, 0.05, 0.4))
    for old, new in files:
        note("gone", old)
        note("done", new, os.lstat(old))
    LIBC.renameat2(-100, one, -100, two, 2)


def directory_in(suffix):
    """Built elsewhere, or under a temporary name, and renamed to its place."""
    top = name(b"in")
    base = outside if not suffix else place()
    source = os.path.join(base, top + suffix)
    os.makedirs(os.path.join(source, b"below"))
    files = []
    for i in range(CHOICE.randint(1, 12)):
        file = os.path.join(b"below" if i % 3 == 0 else b"", name(b"once"))
        write(os.path.join(source, file), bytes_of_a_file())
        files.append(file)
    target = os.path.join(base if suffix else place(), top)
    if suffix and CHOICE.random() < 0.5:
        yield CHOICE.uniform(0, 0.2)
    for file in files:
        note("done", os.path.join(target, file), os.lstat(os.path.join(source, file)))
    os.rename(source, target)


def directory_renamed():
    """Before or after its files were announced."""
    old = os.path.join(place(), name(b"old"))
    new = os.path.join(place(), name(b"new"))
    os.mkdir(old)
    files = []
    for _ in range(CHOICE.randint(1, 5)):
        file = name(b"f")
        path = os.path.join(old, file)
        fd = os.open(path, NEW, 0o644)
        fill(fd, bytes_of_a_file())
        finish(fd, path)
        files.append(file)
    yield CHOICE.choice((0, 0.002, 0.05, 0.4, 3))
    for file in files:
        note("gone", os.path.join(old, file))
        note("done", os.path.join(new, file), os.lstat(os.path.join(old, file)))
    os.rename(old, new)


def file_renamed():
    old = os.path.join(place(), name(b"old"))
    new = os.path.join(place(), name(b"new"))
    fd = os.open(old, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, old)
    yield CHOICE.choice((0, 0.002, 0.05, 0.4, 3))
    note("gone", old)
    rename(old, new)


def linked_again():
    old = os.path.join(place(), name(b"kept"))
    fd = os.open(old, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, old)
    yield CHOICE.choice((0, 0.01, 1))
    new = os.path.join(place(), name(b"second"))
    note("done", new, os.lstat(old))
    os.link(old, new)


def gone_at_once():
    """Nothing can be demanded; only that it is not announced early."""
    path = os.path.join(place(), name(b"brief"))
    fd = os.open(path, NEW, 0o644)
    fill(fd, bytes_of_a_file())
    finish(fd, path)
    note("gone", path)
    os.unlink(path)


def mapped():
    import mmap

    path = os.path.join(place(), name(b"once"))
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.ftruncate(fd, 5000)
    memory = mmap.mmap(fd, 5000)  # holds a descriptor of its own
    os.close(fd)
    yield CHOICE.uniform(0, 0.1)
    memory[0:100] = b"m" * 100
    memory.flush()
    st = os.lstat(path)
    note("done", path, st)
    memory.close()


def exchanged():
    """RENAME_EXCHANGE of two finished files."""
    one = os.path.join(place(), name(b"one"))
    two = os.path.join(place(), name(b"two"))
    for path in (one, two):
        fd = os.open(path, NEW, 0o644)
        fill(fd, bytes_of_a_file())
        finish(fd, path)
    yield CHOICE.choice((0, 0.05, 0.5))
    note("done", one, os.lstat(two))
    note("done", two, os.lstat(one))
    LIBC.renameat2(-100, one, -100, two, 2)


def never():
    kind = CHOICE.randrange(4)
    directory = place()
    if kind == 0:
        path = os.path.join(directory, name(b"left") + b".part")
    elif kind == 1:
        path = os.path.join(directory, b"." + name(b"hidden"))
    elif kind == 2:
        path = os.path.join(directory, name(b"backup") + b"~")
    else:
        path = os.path.join(directory, name(b"pipe"))
        note("never", path)
        os.mkfifo(path)
        return
    note("never", path)
    write(path, 100)
    if kind == 0 and CHOICE.random() < 0.9:
        os.unlink(path)


WAYS = [
    (12, direct),
    (4, in_pieces),
    (16, part),
    (5, nested),
    (3, nested_direct),
    (4, hard_link),
    (3, lambda: temporary_file(False)),
    (2, lambda: temporary_file(True)),
    (2, lambda: slow(b"")),
    (2, lambda: slow(b".part")),
    (2, opened_and_not_written),
    (2, two_writers),
    (1, empty),
    (5, rewrite),
    (3, rewrite_blind),
    (3, rewrite_in_place),
    (3, append),
    (1, rewrite_slowly),
    (3, replace),
    (3, made_anew),
    (2, lambda: times_after("past")),
    (2, lambda: times_after("touch")),
    (1, lambda: times_after("mode")),
    (1, times_before),
    (2, times_set_while_open),
    (4, looked_after),
    (0.3, longest_name),
    (0.3, directories_exchanged),
    (2, lambda: directory_in(b"")),
    (1, lambda: directory_in(b".tmp")),
    (0.3, directory_renamed),
    (0.3, file_renamed),
    (0.3, linked_again),
    (1, gone_at_once),
    (1, mapped),
    (0.3, exchanged),
    (0.3, never),
]


def stop(*_):
    global ended
    ended = True


def one_more(ways, weights):
    way = CHOICE.choices(ways, weights)[0]
    step = way()
    if step is not None:
        run(step)


def main():
    signal.signal(signal.SIGTERM, stop)
    for directory in [*directories, os.path.dirname(pool[0]), outside]:
        os.makedirs(directory, exist_ok=True)
    weights, ways = zip(*WAYS)
    begin = time.monotonic()
    turns = 0
    while not ended:
        while later and later[0][0] <= time.monotonic():
            run(heapq.heappop(later)[2])
        one_more(ways, weights)
        turns += 1
        # On an average a way makes 1.3 files. What a busy machine leaves behind is not made up for.
        ahead = begin + turns * 1.3 / RATE - time.monotonic()
        if ahead > 0:
            time.sleep(min(ahead, max(0, later[0][0] - time.monotonic()) if later else ahead))
        elif ahead < -0.5:
            begin -= ahead
    while later:
        due = later[0][0]
        time.sleep(max(0, due - time.monotonic()))
        run(heapq.heappop(later)[2])


main()
