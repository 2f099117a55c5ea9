"""The checks of sources fail when they should."""

import pathlib
import shutil
import subprocess
import sys

import pytest

import layers
import sizes

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]


@pytest.fixture
def checkout(tmp_path):
    for part in ("include", "src"):
        shutil.copytree(PROJECT / part, tmp_path / part)
    return tmp_path


def check(script, checkout):
    words = [sys.executable, "-B", str(HERE / script), str(checkout)]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode, done.stdout


def rooms():
    return [room for room in layers.ROOMS if (PROJECT / "src" / room).is_dir()]


def test_the_rooms_are_in_order(checkout):
    assert check("layers.py", checkout)[0] == 0


@pytest.mark.parametrize("room", rooms()[:-1])
def test_an_include_of_the_next_room_is_found(checkout, room):
    after = layers.ROOMS[layers.ROOMS.index(room) + 1]
    file = sorted((checkout / "src" / room).glob("*.hpp"))[0]
    lines = file.read_text().splitlines()
    lines.insert(len(lines) - 1, f'#include "{after}/anything.hpp"')
    file.write_text("\n".join(lines))
    code, text = check("layers.py", checkout)
    assert code == 1
    assert text == f'{file}:{len(lines) - 1}: {room}/ must not include "{after}/anything.hpp"\n'


@pytest.mark.parametrize("room", ["state", "journal"])
def test_the_client_library_sees_nothing_of_the_daemon(checkout, room):
    file = checkout / "src" / "client" / "link.hpp"
    file.write_text(f'#include "{room}/anything.hpp"\n')
    assert check("layers.py", checkout) == (
        1,
        f'{file}:1: client/ must not include "{room}/anything.hpp"\n',
    )


def test_a_room_that_is_not_listed_is_found(checkout):
    (checkout / "src" / "misc").mkdir()
    (checkout / "src" / "misc" / "a.hpp").write_text("#pragma once\n")
    code, text = check("layers.py", checkout)
    assert code == 1 and "room misc/ is not in the list" in text


def body(count):
    return "  work();\n" * (count - 2)


@pytest.mark.parametrize(
    "head, name",
    [
        ("int answer(int a) {", "answer"),
        ("Thing::Thing(int a)\n    : a_(a) {", "Thing::Thing"),
        ("void take(const std::string& a,\n          int b) const {", "take"),
    ],
)
def test_the_length_of_a_function_is_that_of_all_its_lines(head, name):
    length = 70 + head.count("\n")
    text = "namespace a {\n\n" + head + "\n" + body(70) + "}\n\nint b() { return 1; }\n\n}\n"
    assert [f for f in sizes.cpp_functions(text) if f[2] > 1] == [(3, name, length, False)]


def test_a_method_within_a_class_is_measured_and_the_class_is_not():
    text = "class A {\n public:\n  void b() {\n" + body(80) + "  }\n  int c_ = 0;\n};\n"
    assert list(sizes.cpp_functions(text)) == [(3, "b", 80, False)]


def test_text_within_a_string_is_no_code():
    text = 'TEST_CASE("a: b") {\n  f(R"(\nvoid c() {\n' + body(80) + '}\n)");\n}\n'
    assert list(sizes.cpp_functions(text)) == [(1, "a: b", 84, True)]


@pytest.mark.parametrize("length, code", [(60, 0), (61, 1)])
def test_a_function_of_more_than_60_lines_is_found(tmp_path, monkeypatch, capsys, length, code):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cpp").write_text("int a() {\n" + body(length) + "}\n")
    (tmp_path / "src" / "a.py").write_text("def a():\n" + "    work()\n" * 40)
    monkeypatch.setattr(sizes, "EXCEPTIONS", {})
    monkeypatch.setattr(sys, "argv", ["sizes.py", str(tmp_path)])
    assert sizes.main() == code
    assert capsys.readouterr().out.count("at most 60") == code


def test_an_exception_that_is_not_needed_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "EXCEPTIONS", {"src/a.cpp: a": "a table"})
    monkeypatch.setattr(sys, "argv", ["sizes.py", str(tmp_path)])
    assert sizes.main() == 1
