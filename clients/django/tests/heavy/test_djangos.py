"""The tests on the Djangos of Debian's later releases: their packages, unpacked beside the installed ones."""

import glob
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SITE = "usr/lib/python3/dist-packages"
FILES = ("signals", "checks", "inbox", "work", "admin", "commands", "tasks", "examples", "celery")
RUNS = "each_file or sigterm or no_utf8"  # of test_consume.py: the worker as a process

# Suite -> version of Django that it had when this was written.
SUITES = {"trixie": "4.2", "sid": "5.2", "experimental": "6.1"}


def mirror():
    """Where this machine has its Debian from."""
    words = ("Codename: bookworm", "Component: main")
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", *words]
    found = subprocess.run(command, capture_output=True, text=True).stdout.split()
    if not found:
        pytest.skip("apt knows no archive of Debian's")
    return found[0]


class Apt:
    """Looks into other releases without telling the system's apt of them."""

    def __init__(self, directory):
        self.directory = directory
        for name in ("lists/partial", "cache/archives/partial"):
            (directory / name).mkdir(parents=True)
        sources = directory / "sources.list"
        place = f"[signed-by={KEYRING}] {mirror()}"
        sources.write_text("".join(f"deb {place} {suite} main\n" for suite in SUITES))
        self.options = [
            *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null"),
            *("-o", f"Dir::State::lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache"),
            # A mirror may stand still for weeks; its signatures are checked all the same.
            *("-o", "Acquire::Check-Valid-Until=false", "-o", "Acquire::Retries=2", "-q"),
        ]

    def run(self, *words):
        command = ["apt-get", *self.options, *words]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        return done.returncode == 0 and "Failed to fetch" not in done.stderr

    def unpack(self, suite, *packages):
        """Where they are unpacked; None if they are not to be had."""
        target = self.directory / f"{suite}-{packages[0]}"
        for package in packages:
            if not self.run("download", f"{package}/{suite}"):
                return None
            (deb,) = self.directory.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", deb, target], check=True)
            deb.unlink()
        return target / SITE


@pytest.fixture(scope="module")
def apt(tmp_path_factory):
    if not shutil.which("apt-get") or not os.path.exists(KEYRING):
        pytest.skip("no Debian")
    apt = Apt(tmp_path_factory.mktemp("apt"))
    if not apt.run("update"):
        pytest.skip("Debian's archive cannot be reached")
    return apt


def environment_of(paths):
    """Of a process that finds what was unpacked before what is installed."""
    given = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PYTEST_"))}
    found = ":".join(str(path) for path in paths if path)
    return {**given, "PYTHONPATH": found, "PYTHONDONTWRITEBYTECODE": "1"}


def run_tests(python, environment, *words):
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-5000:] + done.stderr


def newer_python():
    """A 3.13, for which trixie has pyzmq; Django 6 wants 3.12 at least."""
    found = shutil.which("python3.13")
    if found and subprocess.run([found, "-V"], capture_output=True).returncode == 0:
        return found
    return None


@pytest.mark.parametrize("suite", SUITES)
def test_on_the_django_of(suite, apt):
    python = sys.executable
    paths = [apt.unpack(suite, "python3-django") or apt.unpack("sid", "python3-django")]
    paths.append(apt.unpack("sid", "python3-asgiref", "python3-sqlparse"))
    if SUITES[suite] < "6":
        paths.append(
            apt.unpack(
                "sid",
                "python3-django-tasks",
                "python3-typing-extensions",
                "python3-django-stubs-ext",
            )
        )
    else:
        python = newer_python()
        if python is None:
            pytest.skip("no Python 3.13")
        paths.append(apt.unpack("trixie", "python3-zmq", "python3-msgpack"))
        paths.append(
            apt.unpack(
                "trixie",
                "python3-pytest",
                "python3-pytest-django",
                "python3-pluggy",
                "python3-iniconfig",
                "python3-packaging",
            )
        )
    environment = environment_of(paths)
    which = [python, "-c", "import django; print(django.__version__)"]
    asked = subprocess.run(which, env=environment, capture_output=True, text=True)
    print(suite, asked.stdout)
    assert asked.returncode == 0, asked.stderr
    assert not asked.stdout.startswith("3.2"), "the other Django is the one that is used"
    run_tests(python, environment, *(f"test_{name}.py" for name in FILES))
    run_tests(python, environment, "test_consume.py", "-k", RUNS)


def test_psycopg_3_on_postgresql(apt):
    """All there is for PostgreSQL, with the driver that Django takes from 4.2 on where it is there."""
    if not glob.glob("/usr/lib/postgresql/*/bin/initdb"):
        pytest.skip("PostgreSQL is not installed")
    paths = [
        apt.unpack("sid", "python3-django", "python3-asgiref", "python3-sqlparse"),
        apt.unpack("trixie", "python3-psycopg", "python3-typing-extensions"),
    ]
    if None in paths:
        pytest.skip("Debian's archive does not have them")
    environment = environment_of(paths)
    ask = "from django.db.backends.postgresql.psycopg_any import is_psycopg3; print(is_psycopg3)"
    asked = subprocess.run(
        [sys.executable, "-c", ask], env=environment, capture_output=True, text=True
    )
    assert asked.stdout == "True\n", asked.stdout + asked.stderr
    run_tests(sys.executable, environment, "heavy/test_postgres.py")
