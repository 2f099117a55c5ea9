// Every script of tests/scripts, on the fake file system and on the kernel.
// INOTIFIER_SCRIPT=NAME plays that one alone, INOTIFIER_LOG=debug lets the daemon talk.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "support/fake_world.hpp"
#include "support/kernel_world.hpp"
#include "support/sandbox.hpp"
#include "support/script_runner.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

std::vector<Script> chosen_scripts() {
  const char* level = std::getenv("INOTIFIER_LOG");
  log::set_up(level != nullptr ? level : "error", false);
  std::vector<Script> scripts = read_scripts(INOTIFIER_SOURCE_DIR "/tests/scripts");
  const char* only = std::getenv("INOTIFIER_SCRIPT");
  if (only != nullptr) {
    std::erase_if(scripts, [&](const Script& script) { return script.name != only; });
  }
  REQUIRE_FALSE(scripts.empty());
  return scripts;
}

/// Once more if the machine was too slow for the script's times; what fails on an idle machine
/// fails.
std::string play_on_kernel(const Script& script, const std::string& place, bool shared) {
  constexpr int kMostTries = 5;
  std::string failure;
  for (int i = 0; i < kMostTries; ++i) {
    KernelWorld world(place, shared);
    failure = run_script(script, world);
    if (failure.empty() || !world.was_late()) break;
  }
  return failure;
}

}  // namespace

TEST_CASE("scripts on the fake file system") {
  for (const Script& script : chosen_scripts()) {
    for (const FakeWorld::Settings& settings : FakeWorld::variants(script.fake)) {
      FakeWorld world(settings, script.fake);
      const std::string failure = run_script(script, world);
      CHECK_MESSAGE(failure.empty(), failure);
      if (!failure.empty()) break;  // one way of failing is enough to read
    }
  }
}

TEST_CASE("scripts on the kernel") {
  // They mostly sleep.
  constexpr std::size_t kAtOnce = 6;
  const std::vector<Script> scripts = chosen_scripts();
  for (const Script& script : scripts) {
    if (!script.fake_only.empty()) MESSAGE("skipped: " << script.name << ": " << script.fake_only);
  }
  for (const std::string& place : Sandbox::places()) {
    std::vector<std::string> failures(scripts.size());
    std::atomic<std::size_t> next{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
      threads.emplace_back([&] {
        for (std::size_t at = next++; at < scripts.size(); at = next++) {
          if (!scripts[at].fake_only.empty()) continue;
          failures[at] = play_on_kernel(scripts[at], place, false);
          if (failures[at].empty() && place == Sandbox::places().front()) {
            failures[at] = play_on_kernel(scripts[at], place, true);
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& failure : failures) CHECK_MESSAGE(failure.empty(), failure);
  }
}
