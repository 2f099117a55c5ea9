// Storms of every kind (tests/support/storm.hpp). INOTIFIER_STORMS=N plays N of each instead of the
// few, INOTIFIER_STORM_KIND=NAME that kind alone (all: pending ones too), INOTIFIER_STORM_SEED=N
// from that seed on.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "base/log.hpp"
#include "support/storm.hpp"

using namespace inotifier;
using namespace inotifier::testing;

namespace {

std::uint32_t number_of(const char* variable, std::uint32_t otherwise) {
  const char* given = std::getenv(variable);
  return given != nullptr ? static_cast<std::uint32_t>(std::atoi(given)) : otherwise;
}

}  // namespace

TEST_CASE("storms: whatever happens, each file is announced when it is finished") {
  log::set_up("error", false);
  constexpr std::uint32_t kFew = 200;  // of some thirty kinds: a minute
  const std::uint32_t count = number_of("INOTIFIER_STORMS", kFew);
  const std::uint32_t first = number_of("INOTIFIER_STORM_SEED", 1);
  const char* only = std::getenv("INOTIFIER_STORM_KIND");
  for (const StormKind& kind : storm_kinds()) {
    const bool chosen = only == nullptr ? !kind.pending : only == kind.name;
    const bool all = only != nullptr && only == std::string("all");
    if (!chosen && !all) continue;
    std::map<std::string, int> failures;  // one of each category is enough to read
    for (std::uint32_t seed = first; seed < first + count; ++seed) {
      const Script storm = make_storm(kind, seed);
      const std::string failure = run_storm(storm);
      if (failure.empty() || ++failures[category_of(failure)] > 1) continue;
      FAIL_CHECK(kind.name << ", seed " << seed << ": " << shrink(storm, failure));
    }
    for (const auto& [category, times] : failures) {
      FAIL_CHECK(kind.name << ": " << times << " of " << count << ": " << category);
    }
  }
}
