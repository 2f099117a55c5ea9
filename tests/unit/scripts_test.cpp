// Every script of tests/scripts, on the fake file system and on the kernel.
// INOTIFIER_SCRIPT=NAME plays that one alone.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "support/fake_world.hpp"
#include "support/script_runner.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

std::vector<Script> chosen_scripts() {
  std::vector<Script> scripts = read_scripts(INOTIFIER_SOURCE_DIR "/tests/scripts");
  const char* only = std::getenv("INOTIFIER_SCRIPT");
  if (only != nullptr) {
    std::erase_if(scripts, [&](const Script& script) { return script.name != only; });
  }
  REQUIRE_FALSE(scripts.empty());
  return scripts;
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
