"""A site in a directory of its own: its database, its processes, and what its receivers did."""

import collections
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys

import harness

MANAGE = pathlib.Path(__file__).resolve().parent / "manage.py"


class Site:
    _empty = None  # a migrated SQLite database

    def __init__(self, directory, postgres=None, **setting):
        """`postgres`: the directory of a server's socket; None: SQLite."""
        self.directory = pathlib.Path(directory)
        self.database = self.directory / "site.db"
        self.postgres = postgres
        self.log = self.directory / "site.log"
        self.setting = {"CONSUMER": "site", **setting}
        self.fault = None  # see work/faults.py
        self._started = []
        if postgres or Site._empty is None:
            self.manage("migrate", "--run-syncdb", "--verbosity", "0")
        else:
            self.database.write_bytes(Site._empty)
        if not postgres:
            Site._empty = Site._empty or self.database.read_bytes()

    @property
    def environment(self):
        values = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SITE_DIRECTORY": str(self.directory),
            "SITE_INOTIFIER": json.dumps(self.setting),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if self.fault:
            values["SITE_FAULT"] = self.fault
        if self.postgres:
            values["SITE_POSTGRES"] = str(self.postgres)
        return values

    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=open(self.log, "ab"),
            stderr=subprocess.STDOUT,
        )
        self._started.append(process)
        return process

    def manage(self, *arguments, code=0, timeout=60):
        """Runs it to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout * harness.PATIENCE,
            text=True,
        )
        assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}"
        return done.stdout

    def consume(self, *arguments, code=0):
        return self.manage("inotifier_consume", "--until-empty", *arguments, code=code)

    def query(self, sql, *values):
        if self.postgres:
            import psycopg2

            connection = psycopg2.connect(host=str(self.postgres), user="postgres", dbname="site")
            sql = sql.replace("?", "%s")
        else:
            connection = sqlite3.connect(self.database, timeout=30)
        try:
            cursor = connection.cursor()
            cursor.execute(sql, values)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows
        finally:
            connection.close()

    def statuses(self):
        rows = self.query(
            "SELECT status, count(*) FROM django_inotifier_inboxevent"
            " WHERE type = 'file.completed' GROUP BY status"
        )
        return dict(rows)

    def wait_for(self, timeout=30, **statuses):
        """Until so many file.completed have these statuses, and none another."""
        try:
            harness.wait_for(lambda: self.statuses() == statuses, timeout, str(statuses), 0.02)
        except AssertionError as error:
            raise AssertionError(f"{error}; there are {self.statuses()}; {self.tail()}") from None

    def make_due(self):
        """Failed rows are tried now, not when their time has come."""
        self.query(
            "UPDATE django_inotifier_inboxevent SET next_try = '2000-01-01 00:00:00'"
            " WHERE next_try IS NOT NULL"
        )

    def worked_on(self):
        """Paths below the root -> how many runs were committed."""
        return collections.Counter(path for (path,) in self.query("SELECT path FROM work_work"))

    def runs(self, word="end"):
        """Ids of events -> how often a receiver came so far, whether or not it was committed."""
        try:
            lines = (self.directory / "runs.log").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        return collections.Counter(line.split()[1] for line in lines if line.startswith(word))

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def end(self):
        """Everything that was started ends cleanly."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(15 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"still there after SIGTERM: {self.tail()}") from None


def put(directory, *names):
    """Finished files, by rename."""
    directory = pathlib.Path(directory)
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(os.fsencode(name))
        part.rename(path)
