#include "process/registry.hpp"

#include <doctest/doctest.h>

namespace inotifier {

TEST_CASE("registry: every processor that the configuration knows can be made") {
  REQUIRE(known_processors().size() == processor_kinds().size());
  REQUIRE_FALSE(processor_kinds().empty());
  const Filters filters({}, {}, {});
  FileTable files;
  for (const ProcessorKind& kind : processor_kinds()) {
    WatchConfig config;
    config.processor = kind.name;
    CHECK(make_processor({config, filters, files}) != nullptr);
    CHECK_FALSE(kind.help.empty());
  }
}

TEST_CASE("registry: another name makes none") {
  const Filters filters({}, {}, {});
  FileTable files;
  WatchConfig config;
  config.processor = "complete";
  CHECK(make_processor({config, filters, files}) == nullptr);
}

}  // namespace inotifier
