#!/usr/bin/env python3
"""Fails if a function is longer than 60 lines, a test than 100, a source file of the daemon than 450.

Usage: sizes.py [CHECKOUT]. A function's length is that from its first line to its closing brace (in
Python to its last line), as clang-format and black lay it out. Prints each one that is too long as
file:line; exit code 1 if there is one. An exception that is not needed is an error as well.
"""

import ast
import pathlib
import re
import sys

LONGEST_FUNCTION = 60
LONGEST_TEST = 100
LONGEST_FILE = 450

# "file: function" or "file", and why it is longer.
EXCEPTIONS: dict = {
    "src/wire/codec.cpp: encode_report": "one map, key by key in the order of the wire",
    "src/process/filters.cpp: glob_matches": "one loop with its two places to go back to",
    "tests/bench/bench.py: bench_million": "one journal, measured in four ways one after the other",
    "tests/bench/step.cpp: measure": "one run, its clock and its counters",
    "tests/support/fake_disk.cpp: FakeFs::rename": "rename(2) with its flags and all its errors",
    "tests/support/script.cpp: watch_config": "a list of keys",
    "tests/support/script_runner.cpp: on_disk": "a list of words, one line each",
    "tests/unit/fs/real_fs_test.cpp: look": "one file through all its states",
    "tests/unit/journal/consumers_test.cpp: state: every announced file once, under its id, and then "
    "what happens": "one story, each step on the state that the one before left",
    "tests/unit/serve/fetch_service_test.cpp: fetch service: nothing is lost, whatever clients, "
    "restarts and power cuts do": "a random walk and its model",
}

NO_FUNCTION = re.compile(
    r"((inline )?namespace|(typedef )?(class|struct|union|enum)|template <[^(]*> (class|struct)|"
    r"extern \"C\"|\}|case|default|for|while|do|if|else|switch|catch|try|return|constexpr \w+ \w+\[)\b|"
    r".*= \{$|.*\[[^\[\]]*\] ?[({]"
)
NAME = re.compile(r"([\w:~]+|operator[^\s(]+|operator\(\))\s*\(")
TEST = re.compile(r'TEST_CASE\("([^"]*)')
RAW_STRING = re.compile(r'R"(\w*)\(.*?\)\1"', re.S)


def cpp_functions(text):
    """Yields (line, name, length, is a test) of each function: a declaration that ends with a brace, up
    to the brace at its own indentation."""
    text = RAW_STRING.sub(lambda found: '""' + "\n" * found[0].count("\n"), text)
    lines = [re.sub(r"\s*//.*", "", line) for line in text.splitlines()]
    for last, line in enumerate(lines):
        if not line.endswith("{"):
            continue
        first = last
        while first > 0 and goes_on(lines[first - 1]):
            first -= 1
        head = " ".join(line.strip() for line in lines[first : last + 1])
        name = TEST.match(head) or NAME.search(head)
        if not name or NO_FUNCTION.match(head) or name[1].isupper() and not TEST.match(head):
            continue
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        for end in range(last + 1, len(lines)):
            if lines[end].startswith(indent + "}"):
                yield first + 1, name[1], end - first + 1, bool(TEST.match(head))
                break


def goes_on(line):
    """Whether a declaration goes on after this line."""
    return bool(line.strip()) and not line.startswith("#") and not re.search(r"[;{}:]$", line)


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.lineno, node.name, length, node.name.startswith("test_")


def too_long(checkout):
    """Yields (name as in EXCEPTIONS, file:line: message)."""
    for top in ("include", "src", "tests", "clients"):
        for path in sorted((checkout / top).rglob("*")):
            name = str(path.relative_to(checkout))
            if path.suffix not in (".cpp", ".hpp", ".py") or "node_modules" in path.parts:
                continue
            text = path.read_text()
            lines = text.count("\n")
            if top in ("include", "src") and lines > LONGEST_FILE:
                yield name, f"{path}:1: {lines} lines, at most {LONGEST_FILE}"
            functions = python_functions if path.suffix == ".py" else cpp_functions
            for line, function, length, is_test in functions(text):
                most = LONGEST_TEST if is_test else LONGEST_FUNCTION
                if length > most:
                    message = f"{path}:{line}: {function} has {length} lines, at most {most}"
                    yield f"{name}: {function}", message


def main():
    checkout = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    found = dict(too_long(checkout))
    wrong = [message for name, message in found.items() if name not in EXCEPTIONS]
    wrong += [f"{__file__}: no longer needed: {name}" for name in EXCEPTIONS if name not in found]
    print("\n".join(wrong) if wrong else "sizes: none is too long")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
