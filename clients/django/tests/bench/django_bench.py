#!/usr/bin/python3
"""How many events a second `inotifier_consume --until-empty` takes, stores, runs and marks done.

Makes a Django project in a temporary directory and files for a daemon, and prints events/s of the
command as a whole (its start included) and of its work alone. On SQLite, as Django makes it and
with write-ahead logging, beside what the disk does: bare commits a second, in the same run.
"""

import argparse
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

PROJECT = pathlib.Path(__file__).resolve().parents[4]
CLIENTS = PROJECT / "clients"

SETTINGS = """
SECRET_KEY = "for the bench"
INSTALLED_APPS = ["django.contrib.contenttypes", "django_inotifier", "received"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{directory}/site.db"}}}}
USE_TZ = True
INOTIFIER = {{"CONSUMER": "bench", "FETCH_ENDPOINT": "ipc://{directory}/fetch",
             "TYPES": ["file.completed"], "HANDLERS": {{"in": "received.models.store"}}}}
"""
MODELS = """
from django.db import models

class Received(models.Model):
    path = models.TextField()
    size = models.BigIntegerField()

def store(event):
    Received.objects.create(path=event.path, size=event.size)
"""
DAEMON = """
[publish]
endpoint = "ipc://{directory}/publish"
[fetch]
endpoint = "ipc://{directory}/fetch"
[journal]
path = "{directory}/journal.db"
[log]
level = "warning"
[[watch]]
name = "in"
path = "{directory}/in"
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    built = PROJECT / "build/release/inotifier"
    parser.add_argument("--binary", default=os.environ.get("INOTIFIER", str(built)))
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--directory", help="where the database lies (default: the temporary one)")
    arguments = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="django-bench-", dir=arguments.directory))
    try:
        measure(arguments, directory)
    finally:
        shutil.rmtree(directory)


def measure(arguments, directory):
    (directory / "in").mkdir()
    (directory / "received").mkdir()
    (directory / "received/__init__.py").touch()
    (directory / "received/models.py").write_text(MODELS)
    (directory / "settings.py").write_text(SETTINGS.format(directory=directory))
    (directory / "daemon.toml").write_text(DAEMON.format(directory=directory))
    daemon = subprocess.Popen([arguments.binary, "run", "-c", str(directory / "daemon.toml")])
    try:
        for number in range(arguments.files):
            part = directory / f"in/{number}.part"
            part.write_bytes(b"x" * 1000)
            part.rename(directory / f"in/{number}")
        for mode in ("delete", "wal"):
            commits = bare_commits(directory, mode)
            whole, work = consume(arguments, directory, mode)
            print(
                f"SQLite, journal_mode={mode}: {arguments.files / whole:,.0f} events/s as a whole, "
                f"{arguments.files / work:,.0f} events/s of work; bare commits: {commits:,.0f}/s",
                flush=True,
            )
    finally:
        daemon.terminate()
        daemon.wait()


def bare_commits(directory, mode, count=500):
    path = directory / "commits.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("CREATE TABLE t (a)")
    start = time.monotonic()
    for number in range(count):
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO t VALUES (?)", (number,))
        database.execute("COMMIT")
    took = time.monotonic() - start
    database.close()
    for file in directory.glob("commits.db*"):
        file.unlink()
    return count / took


def consume(arguments, directory, mode):
    """Seconds of the command, and from the first row stored to the last one done."""
    path = directory / "site.db"
    for file in directory.glob("site.db*"):
        file.unlink()
    manage(directory, "migrate", "--run-syncdb", "--verbosity", "0")
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA journal_mode={mode}")
    start = time.monotonic()
    manage(directory, "inotifier_consume", "--until-empty")
    took = time.monotonic() - start
    done, first, last = database.execute(
        "SELECT count(*), julianday(min(received)), julianday(max(finished))"
        " FROM django_inotifier_inboxevent WHERE status = 'done'"
    ).fetchone()
    received = database.execute("SELECT count(*) FROM received_received").fetchone()[0]
    database.close()
    assert (done, received) == (arguments.files,) * 2, f"{done} done, {received} received"
    return took, (last - first) * 86400


def manage(directory, *words):
    path = [str(directory), str(CLIENTS / "django/src"), str(CLIENTS / "python/src")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SETTINGS_MODULE": "settings",
    }
    subprocess.run(
        [sys.executable, "-m", "django", *words],
        env=environment,
        stderr=subprocess.DEVNULL,
        check=True,
    )


if __name__ == "__main__":
    main()
