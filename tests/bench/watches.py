#!/usr/bin/env python3
"""What many watches cost: memory, idle CPU, and whether all of them are live.

watches.py [--binary PATH] [--directory DIR] [--idle SECONDS] [COUNT...]

Each watch has a directory of its own with ten files. Prints a Markdown table: how many watches,
how many are polled for want of an inotify instance, seconds until all are ready, memory, CPU while
nothing happens, and how long it takes from a file in each watch until all are announced.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.dont_write_bytecode = True

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--binary")
parser.add_argument("--directory", default=tempfile.gettempdir())
parser.add_argument("--idle", type=float, default=20)
parser.add_argument("counts", nargs="*", type=int, default=[1, 100, 1000])
arguments = parser.parse_args()
if arguments.binary:
    os.environ["INOTIFIER"] = os.path.abspath(arguments.binary)

import harness  # noqa: E402  (reads the environment)

FILES = 10


def switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) for line in status if line.startswith("voluntary"))
    return total


def cpu(pid):
    """Seconds, of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
            total += int(stat.read().split()[0])
    return total / 1e9


def make_roots(work, count):
    roots = [work / "in" / f"{number:04}" for number in range(count)]
    for root in roots:
        root.mkdir(parents=True)
        for file in range(FILES):
            (root / f"file-{file}").write_text("x")
    return roots


def measure(count):
    work = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-bench-", dir=arguments.directory))
    try:
        roots = make_roots(work, count)
        watches = [{"name": f"w{root.name}", "path": root} for root in roots]
        begun = time.monotonic()
        daemon = harness.Daemon(
            work,
            watches,
            publish={
                "endpoint": f"ipc://{work}/daemon.sock",
                "high_water_mark": 2000000,
                "heartbeat": "10s",
            },
            log={"level": "warning"},
        )
        try:
            daemon.start(ready=False)
            heard = daemon.collector

            def told(kind):
                return {message.event["data"]["watch"] for message in heard.of(kind)}

            harness.wait_for(
                lambda: len(told("watch.scanned")) == count, 300, "watch.scanned", interval=0.05
            )
            ready = time.monotonic() - begun
            polled = told("watch.degraded")
            time.sleep(3)
            pid = daemon.process.pid
            spent, woken, at = cpu(pid), switches(pid), time.monotonic()
            time.sleep(arguments.idle)
            passed = time.monotonic() - at
            idle = (cpu(pid) - spent) / passed
            wakeups = (switches(pid) - woken) / passed
            memory = daemon.rss() / 1e6
            written = time.monotonic()
            for root in roots:
                (root / "fresh").write_text("x")
            wanted = {os.fsencode(root / "fresh") for root in roots}
            harness.wait_for(
                lambda: wanted <= set(heard.paths()), 300, "all new files", interval=0.02
            )
            announced = time.monotonic() - written
        finally:
            daemon.stop()
            if daemon.collector is not None:
                daemon.collector.stop()
    finally:
        shutil.rmtree(work)
    print(
        f"| {count} | {len(polled)} | {ready:.1f} s | {memory:.1f} MB | {100 * idle:.3f} % "
        f"| {wakeups:.1f} | {1000 * announced:.0f} ms |",
        flush=True,
    )


print("| watches | polled | all scanned after | memory | idle CPU | wake-ups/s | a file in each |")
print("|--:|--:|--:|--:|--:|--:|--:|")
for asked in arguments.counts:
    measure(asked)
