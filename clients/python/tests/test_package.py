"""The package as it is installed, and what its README shows."""

import ast
import asyncio
import inspect
import pathlib
import re
import shutil
import subprocess
import textwrap
import zipfile
from typing import Any, Dict

import pytest

import documentation
import inotifier
from inotifier import aio
from inotifier.testing import FakeAsyncConsumer, FakeConsumer, make_event
from programs import PYTHON, environment

HERE = pathlib.Path(__file__).resolve().parents[1]


def blocks():
    first = [each for each in documentation.blocks("README.md") if "inotifier.Consumer" in each]
    return first + documentation.blocks("clients/python/README.md")


def test_the_wheel(tmp_path):
    """Built as pip does, from a copy, and imported from where it was built."""
    pytest.importorskip("wheel", reason="python3-wheel is not installed")
    pytest.importorskip("setuptools", reason="python3-setuptools is not installed")
    source = tmp_path / "source"
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [PYTHON, "-B", "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("inotifier-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
        metadata = archive.read(f"inotifier-{inotifier.__version__}.dist-info/METADATA").decode()
    assert {f"inotifier/{path.name}" for path in (HERE / "src/inotifier").glob("*.py")} <= names
    assert "inotifier/py.typed" in names
    assert not [name for name in names if "test_" in name]
    requires = re.findall(r"^Requires-Dist: (\w+)", metadata, re.M)
    assert sorted(requires) == ["msgpack", "pyzmq"]
    assert "Requires-Python: >=3.9" in metadata
    where = environment(PYTHONPATH=str(tmp_path / "site"))
    words = [PYTHON, "-m", "inotifier", "--version"]
    done = subprocess.run(words, env=where, capture_output=True, text=True)
    assert done.stdout.split() == ["inotifier", inotifier.__version__]


def test_types():
    pytest.importorskip("mypy", reason="python3-mypy is not installed")
    words = [PYTHON, "-B", "-m", "mypy", "--cache-dir=/dev/null", "src"]
    done = subprocess.run(words, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_source_is_python_3_9():
    for path in (HERE / "src/inotifier").glob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 9))


def test_both_kinds_of_client_have_the_same_methods():
    for name in ("Consumer", "Subscriber", "Requester"):
        plain, awaited = getattr(inotifier, name), getattr(aio, name)
        for method, function in inspect.getmembers(plain, inspect.isfunction):
            if method.startswith("_"):
                continue
            other = getattr(awaited, method)
            assert inspect.signature(function).parameters == inspect.signature(other).parameters
            local = method in ("done", "ack", "fail")
            assert inspect.iscoroutinefunction(other) is not local, f"{name}.{method}"


@pytest.mark.parametrize("number, block", list(enumerate(blocks())))
def test_the_readmes_examples(number, block, monkeypatch):
    """Each runs as it stands, on consumers in memory."""
    worked = []
    fakes = []

    def fake(kind):
        def make(*_, **options):
            options = {key: options[key] for key in ("types", "on_lost") if key in options}
            fakes.append(kind([make_event(path=f"/in/{name}") for name in "ab"], **options))
            return fakes[-1]

        return make

    monkeypatch.setattr(inotifier, "Consumer", fake(FakeConsumer))
    monkeypatch.setattr(inotifier, "Subscriber", fake(FakeConsumer))
    monkeypatch.setattr(aio, "Consumer", fake(FakeAsyncConsumer))

    async def work_async(path):
        worked.append(path)

    is_async = "await " in block
    names: Dict[str, Any] = {
        "inotifier": inotifier,
        "make_thumbnail": worked.append,
        "show": worked.append,
        "work": work_async if is_async else worked.append,
        "react": lambda consumer: worked.extend(event.path for event in consumer),
    }
    if is_async:
        before, body = block.split("\n\n", 1)
        exec(before + "\nasync def main():\n" + textwrap.indent(body, "    "), names)
        asyncio.run(names["main"]())
    else:
        exec(block, names)
    if "def test_react" in block:
        names["test_react"]()
    for made in fakes:
        if worked and not isinstance(made, FakeAsyncConsumer):
            made.restart()
            assert made.next() is None, "everything was acknowledged"
    assert worked or "tcp://" in block, "the example did nothing"
