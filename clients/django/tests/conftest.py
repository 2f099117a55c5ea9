"""A Django project in pytest, and beside it sites with processes of their own (sites.py)."""

import os
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
# Of a shell's that may have them; a test says what it wants.
KEPT = ("INOTIFIER_WRITER", "INOTIFIER_SANITIZE", "INOTIFIER_KEEP_SCREENSHOT")
BINARY = os.environ.get("INOTIFIER", "")
for name in [name for name in os.environ if name.startswith("INOTIFIER_") and name not in KEPT]:
    del os.environ[name]
sys.path[:0] = [
    str(HERE),
    str(PROJECT / "clients/django/src"),
    str(PROJECT / "clients/python/src"),
    str(PROJECT / "tests/e2e"),
]
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"

import django  # noqa: E402
import harness  # noqa: E402
import pytest  # noqa: E402
from sites import Site  # noqa: E402

django.setup()

SKIPPED = 77  # what ctest takes for "skipped"


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        exitstatus in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
        and reporter.stats.get("skipped")
        and not reporter.stats.get("passed")
    ):
        session.exitstatus = SKIPPED


@pytest.fixture
def workdir():
    """A directory with the subdirectory in, to be watched. Its name is short: sockets lie there."""
    with tempfile.TemporaryDirectory(prefix="inotifier-") as name:
        path = pathlib.Path(name)
        (path / "in").mkdir()
        yield path


@pytest.fixture
def daemon(workdir):
    """The daemon on workdir/in, as the watch "in"."""
    daemon = harness.Daemon(workdir, [{"name": "in", "path": workdir / "in"}])
    daemon.start()
    yield daemon
    daemon.stop(5)
    daemon.collector.stop()
    print(daemon.log_text()[-3000:])


@pytest.fixture
def sites(workdir):
    """sites(daemon, ...) makes one that consumes from that daemon."""
    made = []

    def make(daemon=None, postgres=None, **setting):
        directory = workdir / f"site{len(made)}"
        directory.mkdir()
        if daemon is not None:
            setting.setdefault("FETCH_ENDPOINT", daemon.fetch_endpoint)
        made.append(Site(directory, postgres, **setting))
        return made[-1]

    yield make
    for site in made:
        site.end()
        print(site.tail())


@pytest.fixture
def receivers():
    """Signals without receivers, but those that the test connects."""
    from django_inotifier import signals

    declared = list(signals.declared)
    signals.declared.clear()
    before = {signal: list(signal.receivers) for signal in signals._signals.values()}
    for signal in before:
        signal.receivers.clear()
        signal.sender_receivers_cache.clear()
    yield signals
    signals.declared[:] = declared
    for signal in signals._signals.values():
        signal.receivers[:] = before.get(signal, [])
        signal.sender_receivers_cache.clear()
