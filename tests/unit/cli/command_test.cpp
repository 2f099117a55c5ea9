#include "cli/command.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"
#include "inotifier/time.hpp"

using namespace inotifier;

namespace {

Event event_of(const std::string& path) {
  Event event;
  event.id = "0123456789abcdef0123456789abcdef";
  event.type = "file.completed";
  event.data = Value::Map{{"watch", "w"}, {"path", path}};
  return event;
}

/// Returns when some child has ended, which collect() then tells of.
void wait_for_child() {
  siginfo_t info{};
  REQUIRE(::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0);
}

/// A pipe whose writing end the commands inherit: its end of file says that all of them are gone,
/// whoever has become their parent.
struct Lifeline {
  Lifeline() {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    reading = UniqueFd(ends[0]);
    writing = UniqueFd(ends[1]);
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  }
  /// What they write up to a newline.
  std::string line() {
    std::string text;
    char c = 0;
    while (::read(reading.get(), &c, 1) == 1 && c != '\n') text += c;
    return text;
  }
  /// Blocks until the last of them has ended.
  bool at_end() {
    writing.reset();
    char c = 0;
    return ::read(reading.get(), &c, 1) == 0;
  }
  std::string fd() const { return std::to_string(writing.get()); }
  UniqueFd reading;
  UniqueFd writing;
};

Jobs shell(const std::string& script, Jobs::Options options = {0, true}) {
  return Jobs({"sh", "-c", script, "sh", "{path}"}, options);
}

Jobs::Ended end_of(Jobs& jobs, Nanos now = 0) {
  wait_for_child();
  const auto ended = jobs.collect(now);
  REQUIRE(ended.size() == 1);
  return ended[0];
}

}  // namespace

TEST_CASE("what a file name holds is not substituted") {
  Lifeline pipe;
  Event event = event_of("/in/{type}{path}");
  event.subject = "{path}%0A-{type}";
  Jobs jobs(
      {"sh", "-c", "printf %s \"$1|$2|$3\" | tr '\\n' N >&" + pipe.fd() + "; echo >&" + pipe.fd(),
       "sh", "{relative_path}", "<{path}>", "{{type}}{no}"},
      {0, true});
  REQUIRE(jobs.start(1, event, 0) == 0);
  CHECK(pipe.line() == "{path}N-{type}|</in/{type}{path}>|{file.completed}{no}");
  end_of(jobs);
}

TEST_CASE("a path that ends within is no argument") {
  Jobs jobs = shell("exit 0");
  CHECK(jobs.start(1, event_of(std::string("/in/a\0b", 7)), 0) == EINVAL);
  CHECK(jobs.running() == 0);
}

TEST_CASE("how a command ended is told with its number") {
  Jobs jobs = shell("exit $1");
  REQUIRE(jobs.start(7, event_of("0"), 0) == 0);
  CHECK(jobs.running() == 1);
  Jobs::Ended ended = end_of(jobs);
  CHECK(ended.number == 7);
  CHECK(reason_of(ended, 0).empty());
  CHECK(jobs.running() == 0);
  REQUIRE(jobs.start(8, event_of("3"), 0) == 0);
  ended = end_of(jobs);
  CHECK(ended.number == 8);
  CHECK(reason_of(ended, 0) == "exit 3");
}

TEST_CASE("a command that is ended by a signal says so") {
  Jobs jobs = shell("kill -9 $$");
  REQUIRE(jobs.start(1, event_of("x"), 0) == 0);
  CHECK(reason_of(end_of(jobs), 0) == "signal 9");
}

TEST_CASE("a command that cannot be started is an errno") {
  Jobs jobs({"/no/such/command"}, {});
  CHECK(jobs.start(1, event_of("x"), 0) == ENOENT);
  CHECK(jobs.running() == 0);
  CHECK(jobs.collect(0).empty());
}

TEST_CASE("a command over its time gets TERM, then KILL, and all that it started") {
  Lifeline life;
  Jobs jobs = shell("trap '' TERM; (trap '' TERM; echo ready >/dev/fd/" + life.fd() +
                        "; exec sleep 1000) & wait; wait",
                    {60 * kSecond, true});
  REQUIRE(jobs.start(1, event_of("x"), 10 * kSecond) == 0);
  CHECK(life.line() == "ready");
  CHECK(jobs.deadline() == 70 * kSecond);
  jobs.enforce(69 * kSecond);
  CHECK(jobs.deadline() == 70 * kSecond);
  jobs.enforce(70 * kSecond);
  CHECK(jobs.deadline() == 75 * kSecond);
  jobs.enforce(74 * kSecond);
  CHECK(jobs.collect(74 * kSecond).empty());  // both ignore TERM
  jobs.enforce(75 * kSecond);
  const Jobs::Ended ended = end_of(jobs);
  CHECK(ended.timed_out);
  CHECK(reason_of(ended, 300 * kSecond) == "timed out after 5m");
  CHECK(life.at_end());
}

TEST_CASE("what a command leaves behind after its time is killed") {
  Lifeline life;
  Jobs jobs = shell("(trap '' TERM; echo ready >/dev/fd/" + life.fd() + "; exec sleep 1000) & wait",
                    {kSecond, true});
  REQUIRE(jobs.start(1, event_of("x"), 0) == 0);
  CHECK(life.line() == "ready");
  jobs.enforce(kSecond);
  const Jobs::Ended ended = end_of(jobs, kSecond);  // the shell itself obeys
  CHECK(ended.timed_out);
  CHECK(jobs.running() == 0);
  REQUIRE(jobs.deadline() == 6 * kSecond);
  jobs.enforce(6 * kSecond);
  CHECK_FALSE(jobs.deadline());
  CHECK(life.at_end());
}

TEST_CASE("what a command leaves behind in its time is left alone") {
  Lifeline life;
  Lifeline input;
  ::fcntl(input.reading.get(), F_SETFD, 0);
  Jobs jobs = shell("(read line; echo $line >/dev/fd/" + life.fd() + ") </dev/fd/" +
                        std::to_string(input.reading.get()) + " & exit 0",
                    {kSecond, true});
  REQUIRE(jobs.start(1, event_of("x"), 0) == 0);
  CHECK(reason_of(end_of(jobs), 0).empty());
  CHECK_FALSE(jobs.deadline());
  jobs.enforce(100 * kSecond);
  REQUIRE(::write(input.writing.get(), "alive\n", 6) == 6);
  CHECK(life.line() == "alive");
}

TEST_CASE("all can be ended") {
  Jobs jobs = shell("sleep 1000");
  REQUIRE(jobs.start(1, event_of("x"), 0) == 0);
  REQUIRE(jobs.start(2, event_of("y"), 0) == 0);
  jobs.end_all(kSecond);
  CHECK(jobs.deadline() == 6 * kSecond);
  while (jobs.running() > 0) {
    wait_for_child();
    for (const auto& ended : jobs.collect(kSecond)) {
      CHECK(ended.stopped);
      CHECK_FALSE(ended.timed_out);
      CHECK(reason_of(ended, 0) == "signal 15");
    }
  }
}

TEST_CASE("a runner keeps to its number of commands and counts the failures") {
  CommandRunner runner({"sh", "-c", "exit $0", "{path}"}, 2);
  for (const char* code : {"0", "1", "0", "0", "2"}) runner.add(event_of(code));
  while (!runner.idle()) {
    wait_for_child();
    runner.on_child();
  }
  CHECK(runner.finished() == 5);
  CHECK(runner.failed() == 2);
}
