#include <fmt/format.h>

#include "base/path.hpp"
#include "config/keys.hpp"
#include "config/load.hpp"

namespace inotifier {
namespace {

/// A basic string of TOML.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : to_utf8(text)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) {
    if (out.size() > 1) out += ", ";
    out += quoted(text);
  }
  return out + ']';
}

std::string duration(std::int64_t nanos) { return quoted(duration_text(nanos)); }

template <typename Choices, typename E>
std::string chosen(const Choices& choices, E value) {
  for (const auto& [name, candidate] : choices) {
    if (candidate == value) return quoted(name);
  }
  return "\"\"";
}

void print(std::string& out, std::string_view key, std::string_view value) {
  out += fmt::format("{} = {}\n", key, value);
}

}  // namespace

std::string to_toml(const Config& config) {
  using namespace config;
  std::string out = "[daemon]\n";
  print(out, "name", quoted(config.daemon_name));
  const auto& endpoints = config.publish.endpoints;
  out += "\n[publish]\n";
  print(out, "endpoint", endpoints.size() == 1 ? quoted(endpoints[0]) : list(endpoints));
  print(out, "high_water_mark", fmt::format("{}", config.publish.high_water_mark));
  print(out, "heartbeat", duration(config.publish.heartbeat));
  out += "\n[log]\n";
  print(out, "level", quoted(config.log.level));
  print(out, "format", chosen(kFormats, config.log.format));
  for (const auto& watch : config.watches) {
    out += "\n[[watch]]\n";
    print(out, "name", quoted(watch.name));
    print(out, "path", quoted(watch.path));
    print(out, "processor", quoted(watch.processor));
    print(out, "recursive", watch.recursive ? "true" : "false");
    print(out, "events", list(watch.events));
    print(out, "include", list(watch.include));
    print(out, "exclude", list(watch.exclude));
    print(out, "temporary", list(watch.temporary));
    print(out, "existing", chosen(kExisting, watch.existing));
    print(out, "backend", chosen(kBackends, watch.backend));
    print(out, "poll_interval", duration(watch.poll_interval));
    print(out, "settle", duration(watch.settle));
    print(out, "writer_check", chosen(kWriterChecks, watch.writer_check));
    print(out, "require_lease", watch.require_lease ? "true" : "false");
    print(out, "stalled_after", duration(watch.stalled_after));
    print(out, "min_size", fmt::format("{}", watch.min_size));
    print(out, "renamed", chosen(kRenamed, watch.renamed));
  }
  return out;
}

}  // namespace inotifier
