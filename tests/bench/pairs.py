#!/usr/bin/env python3
"""Compares programs on one flat directory, in turn, in one run: CPU per file, and latency.

pairs.py [--rounds N] [--files N] [--directory DIR] [--latency] NAME=BINARY...
A BINARY is an `inotifier`; the bare loop of floor.c runs besides, as "floor". Prints the median of
the rounds and the median of the ratios to the bare loop within a round: on a machine that does
other things, only these tell anything.
"""

import argparse
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import zmq

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = """[journal]
path = "{work}/journal.db"
[publish]
endpoint = "{endpoint}"
[log]
level = "warning"
[[watch]]
name = "in"
path = "{work}/in"
"""


def build(work, name, *libraries):
    binary = work / name
    source = HERE / f"{name}.c"
    subprocess.run(["cc", "-O2", "-o", binary, source, *libraries], check=True)
    return binary


def nanoseconds_on_processor(pid):
    """All threads; finer than the clock ticks of stat."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass
    return total


def measure(words, work, endpoint, bursts, files, burst, gap):
    """Microseconds per file, and the latencies in milliseconds."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, 0)
    socket.setsockopt(zmq.SUBSCRIBE, b"")
    process = subprocess.Popen(words)
    try:
        socket.connect(endpoint)
        time.sleep(1)
        before = nanoseconds_on_processor(process.pid)
        writer = subprocess.Popen([bursts, work / "in", str(files), str(burst), str(gap)])
        latencies, seen = [], set()
        until = time.monotonic() + files / burst * gap / 1000 + 20
        while len(seen) < files and time.monotonic() < until:
            if not socket.poll(500):
                continue
            frames = socket.recv_multipart()
            now = time.monotonic_ns()
            found = re.search(rb"/in/(\d+)-(\d+)", frames[-1])
            if found and found[1] not in seen:
                seen.add(found[1])
                latencies.append((now - int(found[2])) / 1e6)
        writer.wait()
        if len(seen) != files:
            print(f"{words[0]}: {len(seen)} of {files} announced", flush=True)
        return (nanoseconds_on_processor(process.pid) - before) / 1000 / files, latencies
    finally:
        process.terminate()
        process.wait()
        socket.close(0)


def round_of(binaries, arguments, tools):
    result = {}
    for name, binary in binaries.items():
        with tempfile.TemporaryDirectory(prefix="pairs-", dir=arguments.directory) as directory:
            work = pathlib.Path(directory)
            (work / "in").mkdir()
            endpoint = f"ipc://{work}/socket"
            config = work / "config.toml"
            config.write_text(CONFIG.format(work=work, endpoint=endpoint))
            words = [binary, "run", "-c", config]
            if binary is None:
                words = [tools["floor"], endpoint, work / "in"]
            burst, gap = (1, 100) if arguments.latency else (50, 10)
            cpu, late = measure(words, work, endpoint, tools["bursts"], arguments.files, burst, gap)
            result[name] = (cpu, statistics.median(late), sorted(late)[len(late) * 99 // 100])
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--latency", action="store_true", help="one file every 100 ms")
    parser.add_argument("programs", nargs="+", metavar="NAME=BINARY")
    arguments = parser.parse_args()
    binaries = dict(program.split("=", 1) for program in arguments.programs)
    binaries["floor"] = None
    with tempfile.TemporaryDirectory(prefix="pairs-tools-") as directory:
        work = pathlib.Path(directory)
        tools = {"floor": build(work, "floor", "-lzmq"), "bursts": build(work, "bursts")}
        rounds = [round_of(binaries, arguments, tools) for _ in range(arguments.rounds)]
    print("| | CPU per file | ratio | median | 99 % |\n|---|--:|--:|--:|--:|")
    for name in binaries:
        cpu, median, late = (statistics.median(one[name][i] for one in rounds) for i in range(3))
        ratio = statistics.median(one[name][0] / one["floor"][0] for one in rounds)
        print(f"| {name} | {cpu:.1f} µs | {ratio:.2f} | {median:.2f} ms | {late:.2f} ms |")


main()
