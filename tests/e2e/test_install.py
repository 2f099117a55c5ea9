"""What a C++ user does: install, find_package(inotifier), link, receive. The examples of clients/cpp
and the code in its README are compiled and run, and a client is taken through a fork."""

import os
import pathlib
import signal
import subprocess

import pytest

import documentation
from harness import PATIENCE, PROJECT, wait_for

BUILD = pathlib.Path(os.environ["INOTIFIER"]).parent
README = "clients/cpp/README.md"

UNTIL_EMPTY = ["consume", "--until-empty", "--json", "--endpoint"]

# What the README's program takes for granted.
GIVEN = """#include <iostream>
#include <string>
void make_thumbnail(const std::string& path) { std::cout << path << std::endl; }
"""
# A child for each event, which leaves main() by return or by an exception, or goes on as the parent.
FORKING = """#include <inotifier/client.hpp>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>
int main(int, char** argv) try {
  inotifier::Consumer::Options options;
  options.name = "forking";
  options.types = {"file.completed"};
  options.endpoint = argv[1];
  inotifier::Consumer consumer(options);
  inotifier::Subscriber::Options live;
  live.endpoint = argv[2];
  inotifier::Subscriber subscriber(live);
  for (int child = 0; child < 3; ++child) {
    const auto event = consumer.next(std::chrono::milliseconds(-1));
    const pid_t pid = ::fork();
    if (pid == 0 && child == 0) return 10;
    if (pid == 0 && child == 1) throw std::runtime_error("in the child");
    if (pid == 0) {
      consumer.done(*event);
      try {
        consumer.next(std::chrono::milliseconds(0));
      } catch (const std::logic_error&) {
        try {
          subscriber.next(std::chrono::milliseconds(0));
        } catch (const std::logic_error& error) {
          std::cout << error.what() << std::endl;
          return 12;
        }
      }
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != (10 + child) << 8) return 1;
  }
  return consumer.flush(std::chrono::seconds(20)) ? 0 : 2;  // nothing is done: all of it comes again
} catch (const std::runtime_error&) {
  return 11;
}
"""


@pytest.fixture
def durable(workdir, daemons):
    fetch = f"ipc://{workdir}/fetch.sock"
    daemon = daemons(
        workdir, fetch={"endpoint": fetch}, journal={"path": str(workdir / "journal.db")}
    )
    daemon.fetch_endpoint = fetch
    return daemon


@pytest.fixture
def compiled(workdir):
    """compiled(source) builds a project against an installation; where its programs are."""
    prefix = workdir / "prefix"
    run("cmake", "--install", BUILD, "--prefix", prefix)

    def build(source):
        into = workdir / "build"
        options = ["-G", "Ninja", "-B", into, f"-DCMAKE_PREFIX_PATH={prefix}"]
        run("cmake", *options, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", "-S", source)
        run("cmake", "--build", into)
        return into

    assert (prefix / "bin" / "inotifier").is_file()
    return build


def run(*argv):
    done = subprocess.run(
        [str(part) for part in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def heard(program, daemon):
    """Waits until the program has printed a path. Until a subscriber is connected nothing is kept
    for it: so files come until it has heard of one."""
    os.set_blocking(program.stdout.fileno(), False)
    text = b""

    def is_there():
        nonlocal text
        path = daemon.sentinel()
        text += program.stdout.read() or b""
        assert program.poll() is None, text
        return os.fsencode(path.parent) in text

    wait_for(is_there, 20 * PATIENCE, "a path")


def owned(daemon, name):
    listed = run(os.environ["INOTIFIER"], "consumers", "--endpoint", daemon.fetch_endpoint)
    return [line.split()[3] for line in listed.splitlines() if line.startswith(f"{name} ")]


def test_the_examples_for_cpp(workdir, durable, processes, compiled):
    programs = compiled(PROJECT / "clients" / "cpp")
    piped = {"stdout": subprocess.PIPE}
    heard(processes([programs / "subscriber", durable.endpoint], **piped), durable)
    for number in (signal.SIGTERM, signal.SIGHUP):
        consumer = processes([programs / "consumer", "c", durable.fetch_endpoint], **piped)
        heard(consumer, durable)
        consumer.send_signal(number)
        assert consumer.wait(10 * PATIENCE) == 0
        assert owned(durable, "c") == ["no"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([programs / "consumer", "d", durable.fetch_endpoint], stdout=full)
    assert done.returncode == 1
    listed = run(os.environ["INOTIFIER"], *UNTIL_EMPTY, durable.fetch_endpoint, "d")
    assert f"{workdir}/in" in listed, "what could not be printed was not acked"
    recent = run(programs / "recent", "2026-01-01T00:00:00Z", durable.fetch_endpoint)
    assert f"{workdir}/in" in recent
    for program in ("consumer", "recent"):
        assert subprocess.run([programs / program], capture_output=True).returncode == 2


def test_the_code_in_the_readme_for_cpp(workdir, durable, processes, compiled):
    source = workdir / "source"
    source.mkdir()
    (program,) = documentation.blocks(README, "cpp")
    (linking,) = documentation.blocks(README, "cmake")
    (source / "worker.cpp").write_text(GIVEN + program)
    (source / "forking.cpp").write_text(FORKING)
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(site LANGUAGES CXX)\n"
        "set(CMAKE_CXX_STANDARD 20)\nadd_executable(worker worker.cpp)\n"
        "add_executable(forking forking.cpp)\n"
        + linking
        + "target_link_libraries(forking PRIVATE inotifier::client)\n"
    )
    programs = compiled(source)
    where = {**os.environ, "INOTIFIER_FETCH_ENDPOINT": durable.fetch_endpoint}
    heard(processes([programs / "worker"], env=where, stdout=subprocess.PIPE), durable)

    for _ in range(3):
        durable.sentinel()
    forking = processes(
        [programs / "forking", durable.fetch_endpoint, durable.endpoint],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = forking.communicate(timeout=20 * PATIENCE)
    assert forking.returncode == 0 and b"after a fork, make a new one" in out, out
    listed = run(os.environ["INOTIFIER"], *UNTIL_EMPTY, durable.fetch_endpoint, "forking")
    assert len(listed.splitlines()) >= 3
