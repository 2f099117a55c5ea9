// Any bytes as a configuration file: a Config or a ConfigError, nothing else; and what is read is
// written and read back to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const inotifier::Environment environment;
  inotifier::Config config;
  try {
    config = inotifier::parse_config(text, "fuzz.toml", environment);
  } catch (const inotifier::ConfigError&) {
    return 0;
  }
  const auto again = inotifier::parse_config(inotifier::to_toml(config), "fuzz.toml", environment);
  if (!(again == config)) std::abort();
  return 0;
}
