#include <fmt/format.h>

#include "base/path.hpp"
#include "config/keys.hpp"
#include "config/load.hpp"

namespace inotifier {
namespace {

Value list(const std::vector<std::string>& texts) {
  return Value::Array(texts.begin(), texts.end());
}

template <typename Choices, typename E>
std::string chosen(const Choices& choices, E value) {
  for (const auto& [name, candidate] : choices) {
    if (candidate == value) return std::string(name);
  }
  return {};
}

Value to_value(const WatchConfig& watch) {
  using namespace config;
  return Value::Map{{"name", watch.name},
                    {"path", watch.path},
                    {"processor", watch.processor},
                    {"recursive", watch.recursive},
                    {"events", list(watch.events)},
                    {"include", list(watch.include)},
                    {"exclude", list(watch.exclude)},
                    {"temporary", list(watch.temporary)},
                    {"existing", chosen(kExisting, watch.existing)},
                    {"backend", chosen(kBackends, watch.backend)},
                    {"poll_interval", duration_text(watch.poll_interval)},
                    {"settle", duration_text(watch.settle)},
                    {"writer_check", chosen(kWriterChecks, watch.writer_check)},
                    {"require_lease", watch.require_lease},
                    {"stalled_after", duration_text(watch.stalled_after)},
                    {"min_size", watch.min_size},
                    {"renamed", chosen(kRenamed, watch.renamed)},
                    {"previous_name", watch.previous_name}};
}

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

/// What to_value() makes of a key: text, number, true or false, or a list of these.
std::string toml_of(const Value& value) {
  if (const auto* text = value.text()) return quoted(*text);
  if (const auto* number = value.integer()) return fmt::format("{}", *number);
  if (const auto* flag = std::get_if<bool>(&value.v)) return *flag ? "true" : "false";
  std::string out = "[";
  if (const auto* array = value.array()) {
    for (const auto& element : *array) {
      if (out.size() > 1) out += ", ";
      out += toml_of(element);
    }
  }
  return out + ']';
}

void print(std::string& out, std::string_view heading, const Value& table) {
  if (!out.empty()) out += '\n';
  out += fmt::format("{}\n", heading);
  for (const auto& [key, value] : *table.map()) {
    out += fmt::format("{} = {}\n", key, toml_of(value));
  }
}

}  // namespace

Value to_value(const Config& config) {
  Value::Array watches;
  for (const auto& watch : config.watches) watches.push_back(to_value(watch));
  return Value::Map{
      {"daemon", Value::Map{{"name", config.daemon_name}}},
      {"publish", Value::Map{{"endpoint", list(config.publish.endpoints)},
                             {"high_water_mark", config.publish.high_water_mark},
                             {"heartbeat", duration_text(config.publish.heartbeat)}}},
      {"fetch", Value::Map{{"endpoint", list(config.fetch.endpoints)}}},
      {"journal",
       Value::Map{{"path", config.journal.path},
                  {"retain", duration_text(config.journal.retain)},
                  {"retain_size", size_text(config.journal.retain_size)},
                  {"durability", chosen(config::kDurabilities, config.journal.durability)},
                  {"consumer_expiry", duration_text(config.journal.consumer_expiry)}}},
      {"security", Value::Map{{"server_key", config.security.server_key},
                              {"clients", config.security.clients},
                              {"insecure", config.security.insecure},
                              {"group", config.security.group}}},
      {"log", Value::Map{{"level", config.log.level},
                         {"format", chosen(config::kFormats, config.log.format)}}},
      {"watch", std::move(watches)}};
}

std::string to_toml(const Config& config) {
  const auto root = to_value(config);
  std::string out;
  for (const auto& [name, section] : *root.map()) {
    if (const auto* tables = section.array()) {
      for (const auto& table : *tables) print(out, fmt::format("[[{}]]", name), table);
    } else {
      print(out, fmt::format("[{}]", name), section);
    }
  }
  // Written out it would be given: a journal that was begun under another name would change.
  if (!config.daemon_name_given) out.replace(out.find("\nname = "), 1, "\n# ");
  return out;
}

}  // namespace inotifier
