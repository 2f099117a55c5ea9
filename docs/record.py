#!/usr/bin/python3
"""Makes recording.svg, the ten seconds at the head of README.md, from a real run.

    docs/record.py build/release/inotifier docs/recording.svg

Above, the commands that write files; below, what `inotifier watch` prints on a terminal of its own. The
times are those of the run.
"""

import html
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

COLUMNS, LINE, TOP, LEFT, CHARACTER = 104, 21, 34, 16, 8.43
LENGTH = 10.5  # seconds; then it begins again

# When (s), what the line above shows, what is run in the watched directory.
STEPS = [
    (0.8, "cp report.pdf incoming/", "cp ../report.pdf ."),
    (2.2, "mkdir incoming/study", "mkdir study"),
    (
        3.0,
        "receiver: writing incoming/study/1.2.840.113.part …",
        "head -c 3000000 /dev/zero > study/1.2.840.113.part",
    ),
    (
        4.8,
        "receiver: rename to incoming/study/1.2.840.113",
        "mv study/1.2.840.113.part study/1.2.840.113",
    ),
    (6.2, "chmod 640 incoming/report.pdf   # announces nothing", "chmod 640 report.pdf"),
    (
        7.6,
        "scp scan.tif incoming/   # slow: open for two seconds",
        "exec 3> scan.tif; for i in 1 2 3 4; do head -c 900000 /dev/zero >&3; sleep 0.5; done",
    ),
]

COLOURS = {"31": "#e06c75", "32": "#98c379", "33": "#e5c07b", "34": "#61afef", "36": "#56b6c2"}


def record(binary, directory):
    """(seconds, line with escape sequences) of what the program prints."""
    incoming = directory / "incoming"
    incoming.mkdir()
    (directory / "report.pdf").write_bytes(b"%PDF" + bytes(481_000))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS))
        os.execv(binary, ["inotifier", "watch", "incoming"])
    begin, steps, printed, text, writers = time.monotonic(), list(STEPS), [], b"", []
    while (now := time.monotonic() - begin) < LENGTH - 0.5:
        while steps and steps[0][0] <= now:
            writers.append(subprocess.Popen(["sh", "-c", steps.pop(0)[2]], cwd=incoming))
        if not select.select([terminal], [], [], 0.02)[0]:
            continue
        text += os.read(terminal, 65536)
        *lines, text = text.split(b"\n")
        printed += [(time.monotonic() - begin, line.decode().rstrip("\r")) for line in lines]
    os.kill(pid, 15)
    os.close(terminal)
    os.waitpid(pid, 0)
    for writer in writers:
        writer.wait()
    return printed


def spans(line):
    """The line as SVG: colours and weights from its escape sequences."""
    result, style = "", ""
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            style = ""
            for code in part[2:-1].split(";"):
                if code in COLOURS:
                    style += f' fill="{COLOURS[code]}"'
                elif code == "1":
                    style += ' font-weight="bold"'
                elif code == "2":
                    style += ' opacity="0.6"'
        elif part:
            result += f"<tspan{style}>{html.escape(part)}</tspan>"
    return result


def text(line, y, at, cls=""):
    share = 100 * at / LENGTH
    name = f"t{round(share * 100)}"
    rule = f"@keyframes {name}{{0%,{share:.2f}%{{opacity:0}}{share + 0.01:.2f}%,100%{{opacity:1}}}}"
    shown = f'style="animation:{name} {LENGTH}s infinite"' if at else ""
    return rule if at else "", f'<text x="{LEFT}" y="{y}" {shown} {cls}>{line}</text>'


def picture(printed):
    width = round(2 * LEFT + COLUMNS * CHARACTER)
    rows = [('<tspan class="p">$</tspan> inotifier watch incoming', TOP + LINE, 0.0)]
    y = TOP + LINE
    for at, line in printed:
        y += LINE
        rows.append((spans(line), y, at))
    upper_top = y + 2 * LINE
    y = upper_top
    for at, line, _ in STEPS:
        y += LINE
        prompt = "·" if line.startswith("receiver") else "$"
        rows.append((f'<tspan class="p">{prompt}</tspan> {html.escape(line)}', y, at))
    drawn = [text(*row) for row in rows]
    height = y + LINE
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"
 aria-label="inotifier watch prints each file when it is finished">
<style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d7dae0;white-space:pre}}
.p{{fill:#98c379}}.h{{fill:#7f848e}}{"".join(sorted({rule for rule, _ in drawn}))}
@media (prefers-reduced-motion:reduce){{text{{animation:none!important}}}}</style>
<rect width="100%" height="100%" rx="8" fill="#1f2329"/>
<text x="{LEFT}" y="{TOP - 8}" class="h">what is announced</text>
<text x="{LEFT}" y="{upper_top}" class="h">what is written, in another terminal</text>
{chr(10).join(drawn for _, drawn in drawn)}
</svg>
"""


def main():
    binary, target = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        printed = record(os.path.abspath(binary), pathlib.Path(directory))
    printed = [(at, re.sub(re.escape(directory) + "/", "/srv/", line)) for at, line in printed]
    pathlib.Path(target).write_text(picture(printed))
    for at, line in printed:
        print(f"{at:6.2f}  {line}")


if __name__ == "__main__":
    main()
