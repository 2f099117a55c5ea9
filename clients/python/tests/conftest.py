"""The fixtures and the harness are those of tests/e2e; each file here runs by itself."""

import importlib.util
import pathlib
import sys

import pytest

PROJECT = pathlib.Path(__file__).resolve().parents[3]
E2E = PROJECT / "tests" / "e2e"
sys.path[:0] = [str(PROJECT / "clients" / "python" / "src"), str(E2E)]

import harness  # noqa: E402
import programs  # noqa: E402

_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
assert _spec is not None and _spec.loader is not None
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

pytest_sessionfinish = _e2e.pytest_sessionfinish  # 77 when everything was skipped
workdir = _e2e.workdir
daemons = _e2e.daemons
daemon = _e2e.daemon
processes = _e2e.processes


@pytest.fixture
def secured(workdir, daemons):
    """A daemon with keys on tcp, where it also is when it is started again."""
    (workdir / "clients").mkdir()
    programs.make_keys(workdir, "server")
    for name, access in (("worker", "all"), ("reader", "read"), ("stranger", "all")):
        programs.make_keys(workdir, name, "--access", access)
        if name != "stranger":
            (workdir / f"{name}.key").rename(workdir / "clients" / f"{name}.key")
    daemon = daemons(
        workdir,
        publish={
            "endpoint": [f"ipc://{workdir}/daemon.sock", "tcp://127.0.0.1:*"],
            "heartbeat": "200ms",
        },
        fetch={"endpoint": "tcp://127.0.0.1:*"},
        security={"server_key": workdir / "server.key_secret", "clients": workdir / "clients"},
    )

    def said(what):
        for line in daemon.log_text().splitlines():
            if f"{what} tcp://" in line:
                return line.rsplit(" ", 1)[1]
        return None

    daemon.tcp = {
        "subscriber": harness.wait_for(lambda: said("publishing on"), what="the endpoint"),
        "consumer": harness.wait_for(lambda: said("fetch on"), what="the endpoint"),
    }
    text = daemon.config.read_text()
    for endpoint in daemon.tcp.values():  # in the order of the sections
        text = text.replace("tcp://127.0.0.1:*", endpoint, 1)
    daemon.config.write_text(text)
    return daemon
