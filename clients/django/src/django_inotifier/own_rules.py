"""What the daemon itself says of DAEMON: its rules for values are asked of it, not written twice."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from typing import Dict, Iterator, Optional, Tuple

from .conf import Config, raw
from .toml import configuration

PATIENCE = 10.0  # seconds
WRONG = 2  # the daemon's exit code for a wrong configuration


def refused_by_the_daemon(config: Config) -> Iterator[Tuple[str, str]]:
    """What is wrong with the configuration that inotifier_start would write, and the remedy; nothing
    where there is no BINARY to be asked. Takes some milliseconds: no directory is looked at."""
    binary = find_binary()
    if binary is None or not config.daemon.watches:
        return
    watches = [
        {**watch, "path": f"/nonexistent/{number}"}
        for number, watch in enumerate(config.daemon.watches)
    ]
    daemon = config.daemon._replace(watches=watches)
    try:
        text = configuration(config._replace(daemon=daemon))
    except TypeError as error:
        yield str(error), "Texts, numbers, booleans, lists and dictionaries of them have one."
        return
    said = _ask(binary, os.stat(binary).st_mtime_ns, text)
    for part in re.split(r"^\S+\.toml:\d+: ", said, flags=re.MULTILINE)[1:]:
        first, *more = (line.strip() for line in part.strip().splitlines())
        yield f"{first}: {more[0]}" if more else first, " ".join(more[1:])


def find_binary() -> Optional[str]:
    """Where BINARY is; None if it is not, or nothing that can be run."""
    daemon = raw().get("DAEMON")
    binary = daemon.get("BINARY") if isinstance(daemon, dict) else None
    if not binary or not isinstance(binary, (str, os.PathLike)):
        binary = "inotifier"
    return shutil.which(os.fspath(binary))


@functools.lru_cache(maxsize=4)
def _ask(binary: str, _version: int, text: str) -> str:
    """What it says of a wrong configuration; "" of a good one."""
    with tempfile.TemporaryDirectory(prefix="inotifier-") as directory:
        path = os.path.join(directory, "setting.toml")
        with open(path, "w", errors="surrogateescape") as file:
            file.write(text)
        try:
            done = subprocess.run(
                [binary, "check", "-c", path],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=PATIENCE,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""  # inotifier_start tells of it
    return done.stderr.decode("utf-8", "replace") if done.returncode == WRONG else ""


def environment() -> Dict[str, str]:
    """Variables go before the file in the daemon; here the setting holds."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INOTIFIER_")}
