"""The fixtures and the harness are those of tests/e2e; each file here runs by itself."""

import importlib.util
import pathlib
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[3]
E2E = PROJECT / "tests" / "e2e"
sys.path[:0] = [str(PROJECT / "clients" / "python" / "src"), str(E2E)]

_spec = importlib.util.spec_from_file_location("e2e_conftest", E2E / "conftest.py")
_e2e = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_e2e)

pytest_sessionfinish = _e2e.pytest_sessionfinish  # 77 when everything was skipped
workdir = _e2e.workdir
daemons = _e2e.daemons
daemon = _e2e.daemon
processes = _e2e.processes
