#include "cli/questions.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

using namespace inotifier;

TEST_CASE("questions: one that hangs delays only its own watch, and is not asked twice") {
  Questions questions;
  const auto go_on = std::make_shared<std::atomic<bool>>(false);
  const auto asked = std::make_shared<std::atomic<int>>(0);
  const auto hang = [=] {
    ++*asked;
    while (!*go_on) std::this_thread::yield();
    return std::string("late");
  };
  CHECK_FALSE(questions.ask("remote", hang).has_value());
  CHECK_FALSE(questions.ask("remote", hang).has_value());
  CHECK(*asked == 1);
  CHECK(questions.ask("local", [] { return std::string("at once"); }) == "at once");
  *go_on = true;
  // The late answer may be to another question by now: it is asked anew.
  std::optional<std::string> answer;
  while (!answer) answer = questions.ask("remote", [] { return std::string("new"); });
  CHECK(*answer == "new");
}
