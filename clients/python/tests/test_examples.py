"""Every Python example of the documentation is linted and type-checked; those without a client of ours
run on a daemon, those with one in test_package.py, Django's in its own tests."""

import os
import shutil
import subprocess

import pytest

import documentation
from harness import PATIENCE, wait_for
from programs import PYTHON, SRC, environment, put

PAGES = ("README.md", "clients/README.md", "clients/python/README.md")
BLOCKS = [
    block
    for page in PAGES
    for block in documentation.blocks(page)
    if "django" not in block  # see clients/django/tests/test_examples.py
]
RAW = [block for block in BLOCKS if "zmq" in block]
# What an example takes for granted.
GIVEN = {
    "make_thumbnail": "def make_thumbnail(path: str) -> None: ...",
    "show": "def show(path: str) -> None: ...",
    "work": "def work(path: str) -> None: ...",
    "await work": "async def work(path: str) -> None: ...",
    "react": "def react(consumer: FakeConsumer) -> None: ...",
}


def program(block):
    """The example as a whole program."""
    given = [text for name, text in GIVEN.items() if f"{name}(" in block]
    if "await work" in block:
        given.remove(GIVEN["work"])
        block = documentation.in_a_coroutine(block) + "\n\nasyncio.run(main())\n"
    if "import" not in block:
        block = "import inotifier\n\n" + block
    # Behind the imports: they are what comes before the first blank line.
    imports, body = block.replace("def test_react():", "def test_react() -> None:").split("\n\n", 1)
    return "\n".join([imports, *given, body])


@pytest.mark.skipif(not shutil.which("flake8"), reason="flake8 is not installed")
@pytest.mark.parametrize("block", BLOCKS)
def test_lint(block, tmp_path):
    path = tmp_path / "example.py"
    path.write_text(program(block))
    documentation.lint(path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("mypy"))


@pytest.mark.parametrize("block", BLOCKS)
def test_types(block, tmp_path, cache):
    pytest.importorskip("mypy", reason="python3-mypy is not installed")
    path = tmp_path / "example.py"
    path.write_text(program(block))
    strict = [] if "zmq" in block else ["--strict"]
    command = [PYTHON, "-B", "-m", "mypy", "--cache-dir", cache, *strict]
    done = subprocess.run(
        [*command, "--ignore-missing-imports", str(path)],
        env={**os.environ, "MYPYPATH": str(SRC)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + path.read_text()


@pytest.mark.parametrize("block", [each for each in RAW if "zmq.auth" not in each])
def test_without_a_client_of_ours(block, daemon, processes):
    """They print the paths of files."""
    block = block.replace("ipc:///run/inotifier/publish", daemon.endpoint)
    block = block.replace("ipc:///run/inotifier/fetch", daemon.fetch_endpoint)
    assert b"/in/f" in first_output(block.replace("/incoming/", "/in/"), daemon, processes)


@pytest.mark.parametrize("block", [each for each in RAW if "zmq.auth" in each])
def test_keys_without_a_client_of_ours(block, secured, workdir, processes):
    for name in ("worker.key_secret", "server.key"):
        block = block.replace(f'"{name}"', f'"{workdir}/{name}"')
    block += f'socket.connect("{secured.tcp["subscriber"]}")\nsocket.subscribe(b"")\n'
    block += "print(socket.recv_multipart()[0], flush=True)\n"
    assert b"/" in first_output(block, secured, processes)


def first_output(text, daemon, processes):
    """What it prints, while files come."""
    process = processes(
        [PYTHON, "-u", "-c", text],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    os.set_blocking(process.stdout.fileno(), False)
    rounds = iter(range(10**6))

    def heard():
        put(daemon, f"f{next(rounds)}")
        try:
            return os.read(process.stdout.fileno(), 65536)
        except BlockingIOError:
            return b""

    return wait_for(heard, 20 * PATIENCE, "a line", interval=0.1)
