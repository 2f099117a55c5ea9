import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

import harness

SKIPPED = 77  # what ctest takes for "skipped"


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter.stats.get("skipped") and not reporter.stats.get("passed"):
        session.exitstatus = SKIPPED


def remove_tree(path):
    """rm copes with trees deeper than PATH_MAX and with directories that lack permissions."""
    subprocess.run(["chmod", "-R", "u+rwx", "--", str(path)], stderr=subprocess.DEVNULL)
    subprocess.run(["rm", "-rf", "--", str(path)], check=True)


def make_workdir(base):
    path = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-", dir=base))
    path.chmod(0o755)
    (path / "in").mkdir()
    (path / "out").mkdir()
    return path


@pytest.fixture
def workdir():
    """A directory with the subdirectories in (to be watched) and out (on the same file system)."""
    path = make_workdir(tempfile.gettempdir())
    yield path
    remove_tree(path)


@pytest.fixture(params=["disk", "memory"])
def any_workdir(request):
    """The same on the file system of /tmp and on that of /dev/shm."""
    base = {"disk": tempfile.gettempdir(), "memory": "/dev/shm"}[request.param]
    if not os.access(base, os.W_OK):
        pytest.skip(f"{base} is not writable")
    path = make_workdir(base)
    yield path
    remove_tree(path)


@pytest.fixture
def daemons():
    """daemons(workdir, watches, ...) starts one; at the end each must stop cleanly."""
    started = []

    def start(workdir, watches=None, wrapper=(), ready=True, **options):
        if watches is None:
            watches = [{"name": "in", "path": workdir / "in"}]
        elif isinstance(watches, dict):
            watches = [{"name": "in", "path": workdir / "in", **watches}]
        name = f"daemon{len(started)}" if started else "daemon"
        daemon = harness.Daemon(workdir, watches, name=name, **options)
        started.append(daemon)
        return daemon.start(wrapper=wrapper, ready=ready)

    yield start
    failures = []
    for daemon in started:
        try:
            code = daemon.stop()
            if code != 0:
                failures.append(f"{daemon.name} exited with {code}")
        except AssertionError as error:
            failures.append(str(error))
        daemon.collector.stop()
        failures += daemon.collector.failures[:5]
        print(f"--- {daemon.config.read_text()}--- received {daemon.collector.summary()}")
        print(daemon.log_text()[-8000:])
    assert not failures, failures


@pytest.fixture
def daemon(workdir, daemons):
    """One daemon with one watch, "in", on workdir/in."""
    return daemons(workdir)


@pytest.fixture
def stepped():
    """stepped(workdir, command, ...) starts a writer that waits at its pauses."""
    started = []

    def start(workdir, command, *arguments):
        started.append(harness.SteppedWriter(workdir, command, *arguments))
        return started[-1]

    yield start
    for writer in started:
        writer.end()


@pytest.fixture
def processes():
    """processes(argv, ...) is Popen; whatever still runs at the end is killed."""
    started = []

    def start(argv, **options):
        started.append(subprocess.Popen([str(a) for a in argv], **options))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture
def tool():
    """tool("rsync") is its path; without it the test is skipped."""

    def find(name):
        path = shutil.which(name)
        if path is None:
            pytest.skip(f"{name} is not installed")
        return path

    return find


# --- for heavy/


@pytest.fixture
def clone(workdir, tool):
    """What is committed and what is not yet, without anything that git ignores."""
    target = workdir / "clone"
    git = [tool("git"), "-c", f"safe.directory={harness.PROJECT}", "-C", str(harness.PROJECT)]
    files = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
    )
    if files.returncode != 0:
        pytest.skip("not a git checkout")
    names = [
        n
        for n in files.stdout.split(b"\0")
        if n and os.path.lexists(harness.PROJECT / os.fsdecode(n))
    ]
    target.mkdir()
    pack = subprocess.run(
        ["tar", "-C", str(harness.PROJECT), "--null", "--no-recursion", "-cf", "-", "-T", "-"],
        input=b"\0".join(names),
        stdout=subprocess.PIPE,
        check=True,
    )
    subprocess.run(["tar", "-C", str(target), "-xf", "-"], input=pack.stdout, check=True)
    return target


@pytest.fixture(scope="module")
def bare_debian(tmp_path_factory):
    """A minimal Debian 12 in a directory."""
    from bare_debian import make

    root = make(tmp_path_factory)
    yield root
    subprocess.run(["rm", "-rf", "--one-file-system", str(root)])
