"""The example as its README says: one command, files dropped in, rows found; and Ctrl-C."""

import contextlib
import http.cookiejar
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import urllib.parse
import urllib.request

import harness
import pytest
from harness import wait_for

EXAMPLE = pathlib.Path(__file__).resolve().parents[1] / "example"
DUMP = """\
(0008,0016) UI =SecondaryCaptureImageStorage
(0008,0018) UI [1.2.826.0.1.3680043.9.7777.1]
(0008,0060) CS [OT]
(0010,0010) PN [Test^Patient]
(0010,0020) LO [4711]
(0020,000d) UI [1.2.826.0.1.3680043.9.7777.2]
"""


# Nothing of the shell's, or of the project that the other tests run in.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("INOTIFIER", "DJANGO_", "POSTGRES_", "PYTHONPATH", "EXAMPLE_"))
}


def free_port():
    """Below those that the kernel gives to whoever connects: it is bound some seconds later."""
    for port in random.sample(range(20000, 30000), 100):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Example:
    """`./run` in a directory of its own, as from a terminal."""

    def __init__(self, directory, **environment):
        self.directory = pathlib.Path(directory)
        self.incoming = self.directory / "incoming"
        self.port = free_port()
        self.log = self.directory / "run.log"
        self.environment = {
            **ENVIRONMENT,
            **{"EXAMPLE_DIR": str(self.directory), "INOTIFIER": harness.BINARY, **environment},
        }
        self.process = None

    def start(self):
        begin = self.log.stat().st_size if self.log.exists() else 0
        self.process = subprocess.Popen(
            [str(EXAMPLE / "run"), str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=open(self.log, "ab"),
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
        )

        def told():
            assert self.process.poll() is None, self.log_text()
            return "Drop files into" in self.log_text()[begin:]

        wait_for(told, 60, "the command to say what to do")
        return self

    def log_text(self):
        return self.log.read_text(errors="replace")

    def press_ctrl_c(self):
        """The terminal sends it to the whole group; the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)

    def processes(self):
        """Of whatever has come from this command."""
        mark = f"EXAMPLE_DIR={self.directory}".encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if mark in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def rows(self):
        """path -> (size, SOP Instance UID, patient)"""
        database = sqlite3.connect(
            f"file:{self.directory}/db.sqlite3?mode=ro", uri=True, timeout=10
        )
        try:
            query = "SELECT path, size, sop_instance_uid, patient_name FROM dicomstore_instance"
            return {path: tuple(rest) for path, *rest in database.execute(query)}
        finally:
            database.close()

    def wait_for_rows(self, count, timeout=30):
        def enough():
            assert self.process.poll() is None, "the command has ended"
            rows = self.rows()
            return rows if len(rows) >= count else None

        try:
            return wait_for(enough, timeout, f"{count} rows", interval=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.rows()}\n{self.log_text()}") from None

    def end(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()
        print(self.log_text() if self.log.exists() else "")


@pytest.fixture
def directory():
    path = pathlib.Path(tempfile.mkdtemp(prefix="inotifier-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def examples(directory):
    """examples(name, **environment) makes one."""
    made = []

    def make(name="example", **environment):
        (directory / name).mkdir()
        made.append(Example(directory / name, **environment))
        return made[-1]

    yield make
    for example in made:
        example.end()


@pytest.fixture
def image(directory):
    """A valid DICOM file."""
    dump2dcm = shutil.which("dump2dcm")
    if dump2dcm is None:
        pytest.skip("dcmtk is not installed")
    (directory / "dump").write_text(DUMP)
    command = [dump2dcm, "--write-xfer-little", directory / "dump", directory / "image.dcm"]
    subprocess.run(command, check=True)
    return directory / "image.dcm"


class Browser:
    def __init__(self, port):
        self.origin = f"http://127.0.0.1:{port}"
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def get(self, path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(self.origin + path, data, timeout=10) as reply:
            return reply.read().decode()

    def log_in(self, name, password):
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get("/admin/login/"))[1]
        form = {"username": name, "password": password, "csrfmiddlewaretoken": token}
        return self.get("/admin/login/?next=/admin/", **form)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def has_pydicom():
    return subprocess.run(["/usr/bin/python3", "-c", "import pydicom"], stderr=-3).returncode == 0


def test_one_command(examples, image):
    example = examples().start()
    part = example.incoming / "image.part"
    shutil.copyfile(image, part)
    assert example.rows() == {}
    part.rename(example.incoming / "image.dcm")
    (example.incoming / "study").mkdir()
    (example.incoming / "study" / "report.txt").write_bytes(b"0123456789")
    rows = example.wait_for_rows(2)
    header = ("1.2.826.0.1.3680043.9.7777.1", "Test^Patient") if has_pydicom() else ("", "")
    assert rows[str(example.incoming / "image.dcm")] == (image.stat().st_size, *header)
    assert rows[str(example.incoming / "study/report.txt")] == (10, "", "")

    wait_for(lambda: listens(example.port), 30, what="the web server")
    browser = Browser(example.port)
    assert "Log out" in browser.log_in("admin", "admin")
    assert "report.txt" in browser.get("/admin/dicomstore/instance/")
    assert "report.txt" in browser.get("/admin/django_inotifier/inboxevent/")

    assert example.press_ctrl_c() == 0
    assert example.processes() == []

    # What comes meanwhile is there after the next start; what is written again is still one row.
    (example.incoming / "late").write_bytes(b"1")
    (example.incoming / "study" / "report.txt").write_bytes(b"0123456789abc")
    example.start()
    rows = example.wait_for_rows(3)
    report = str(example.incoming / "study/report.txt")
    wait_for(lambda: example.rows()[report][0] == 13, 30, what="the new size")
    assert set(rows) == {report, *(str(example.incoming / name) for name in ("image.dcm", "late"))}
    assert example.press_ctrl_c() == 0
    assert example.processes() == []


def test_a_second_one_leaves_the_first_alone(examples):
    example = examples().start()
    command = [str(EXAMPLE / "run"), str(example.port)]
    second = subprocess.run(command, env=example.environment, stderr=subprocess.PIPE, text=True)
    assert second.returncode == 1 and "runs already" in second.stderr
    (example.incoming / "file").write_bytes(b"1")
    example.wait_for_rows(1)
    assert example.press_ctrl_c() == 0


def test_against_a_daemon_that_runs(directory, examples):
    (directory / "in").mkdir()
    watches = [{"name": "incoming", "path": directory / "in"}]
    daemon = harness.Daemon(directory, watches, name="incoming")
    try:
        daemon.start()
        (directory / "in" / "before").write_bytes(b"1")
        example = examples(INOTIFIER_FETCH_ENDPOINT=daemon.fetch_endpoint).start()
        assert set(example.wait_for_rows(1)) == {str(directory / "in" / "before")}
        (directory / "in" / "after").write_bytes(b"2")
        example.wait_for_rows(2)
        assert example.press_ctrl_c() == 0
        assert daemon.process.poll() is None, "it was not ours to stop"
        assert example.processes() == []
    finally:
        daemon.stop()
        daemon.collector.stop()


def test_its_own_tests(directory):
    """As a site tests its receivers, without a daemon."""
    done = subprocess.run(
        ["/usr/bin/python3", "-B", str(EXAMPLE / "manage.py"), "test", "--no-input"],
        env={**ENVIRONMENT, "EXAMPLE_DIR": str(directory)},
        cwd=EXAMPLE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0
    assert re.search(r"Ran [1-9]\d* tests", done.stdout)
