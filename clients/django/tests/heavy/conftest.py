"""PostgreSQL, started for the tests."""

import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import pytest


class Postgres:
    """A server of an unprivileged user's in a directory of its own, on a unix socket only."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-pg-"))
        self.as_user = []
        if os.geteuid() == 0:  # it does not run as root
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = self.directory / "data"
        self.run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", data)
        options = f"-k {self.directory} -c listen_addresses= -c fsync=off -c max_connections=50"
        self.log = self.directory / "log"
        self.run("pg_ctl", "-D", data, "-w", "-t", "60", "-l", self.log, "-o", options, "start")

    def run(self, program, *arguments):
        done = subprocess.run(
            [*self.as_user, f"{self.binaries}/{program}", *map(str, arguments)],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert done.returncode == 0, done.stderr.decode()

    def stop(self):
        self.run("pg_ctl", "-D", self.directory / "data", "-m", "fast", "-w", "stop")
        shutil.rmtree(self.directory)

    def execute(self, sql, database="postgres"):
        import psycopg2

        connection = psycopg2.connect(host=str(self.directory), user="postgres", dbname=database)
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def kill_connections(self):
        """Those of the site; how many."""
        return len(
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'site'"
            )
        )


@pytest.fixture(scope="session")
def server():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg2", reason="python3-psycopg2 is not installed")
    server = Postgres(os.path.dirname(found[-1]))
    yield server
    server.stop()


@pytest.fixture
def postgres(server):
    """The server with an empty database "site"."""
    server.execute("DROP DATABASE IF EXISTS site WITH (FORCE)")
    server.execute("CREATE DATABASE site")
    return server
