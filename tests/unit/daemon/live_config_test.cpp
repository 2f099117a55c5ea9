#include "daemon/live_config.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "support/sandbox.hpp"

namespace inotifier {
namespace {

void write(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

TEST_CASE("live configuration: read again it gives the new watches; in error, nothing") {
  const testing::Sandbox sandbox(testing::Sandbox::places().front());
  const std::string file = sandbox.path() + "/inotifier.toml";
  const auto watch = [](const std::string& name) {
    return "[[watch]]\nname = \"" + name + "\"\npath = \"/srv/" + name + "\"\n";
  };
  write(file, watch("a"));
  LoadOptions options;
  options.file = file;
  LiveConfig live(options);
  REQUIRE(live.get().watches.size() == 1);

  write(file, watch("a") + watch("b"));
  const auto watches = live.reload();
  REQUIRE(watches);
  CHECK(watches->size() == 2);
  CHECK(live.get().watches.size() == 1);

  write(file, watch("a") + watch("a"));
  CHECK_FALSE(live.reload());
  write(file, watch("c"));
  CHECK(live.reload());
}

}  // namespace
}  // namespace inotifier
