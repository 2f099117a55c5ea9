"""The examples of the documentation, for the tests that run, type-check and lint them."""

import pathlib
import re
import subprocess
import textwrap

PROJECT = pathlib.Path(__file__).resolve().parents[2]


def pages():
    """Every page, by its path in the project."""
    names = ("*.md", "src/*.md", "clients/**/*.md", "docker/*.md", "tests/**/*.md")
    found = {path.relative_to(PROJECT) for name in names for path in PROJECT.glob(name)}
    return sorted(str(path) for path in found if "node_modules" not in path.parts)


def blocks(name, language="python"):
    """The blocks of a file of the project, as they stand there."""
    text = (PROJECT / name).read_text()
    return [found[1] for found in re.finditer(rf"```{language}\n(.*?)```", text, re.S)]


def in_a_coroutine(block):
    """As a program: await and async with need one around them."""
    imports, body = block.split("\n\n", 1)
    return f"import asyncio\n{imports}\n\n\nasync def main() -> None:\n" + textwrap.indent(
        body, "    "
    )


def lint(path):
    """Errors, and what is not used or not known."""
    command = ["flake8", "--isolated", "--select=E1,E9,F,W6", "--max-line-length=110", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
