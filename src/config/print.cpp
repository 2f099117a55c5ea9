#include <fmt/format.h>

#include "base/path.hpp"
#include "config/config.hpp"
#include "config/load.hpp"

namespace inotifier {
namespace {

using config::Key;

struct Shown {
  const Key& key;

  Value operator()(const bool* value) const { return *value; }
  Value operator()(const int* value) const { return *value; }
  Value operator()(const std::int64_t* value) const {
    if (key.type == config::Type::kDuration) return duration_text(*value);
    return key.type == config::Type::kSize ? Value(size_text(*value)) : Value(*value);
  }
  Value operator()(const std::string* value) const { return *value; }
  Value operator()(const std::vector<std::string>* value) const {
    return Value::Array(value->begin(), value->end());
  }
  Value operator()(const config::Choice& choice) const {
    return key.words().at(choice.get(choice.place));
  }
};

/// The keys of a section that are shown: not what is part of another key by now.
Value section(std::string_view name, config::Target target) {
  Value::Map map;
  for (const Key& key : config::kKeys) {
    if (key.section() != name || key.name == "watch.temporary_add") continue;
    map.emplace_back(std::string(key.key()), std::visit(Shown{key}, key.field(target)));
  }
  return map;
}

/// A basic string of TOML.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : to_utf8(text)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

/// Text, number, true or false, or a list of these.
std::string toml_of(const Value& value) {
  if (const auto* text = value.text()) return quoted(*text);
  if (const auto* number = value.integer()) return fmt::format("{}", *number);
  if (const auto* flag = std::get_if<bool>(&value.v)) return *flag ? "true" : "false";
  std::string out;
  for (const auto& element : *value.array()) out += (out.empty() ? "" : ", ") + toml_of(element);
  return fmt::format("[{}]", out);
}

void print(std::string& out, std::string_view heading, const Value& table) {
  out += fmt::format("{}{}\n", out.empty() ? "" : "\n", heading);
  for (const auto& [key, value] : *table.map())
    out += fmt::format("{} = {}\n", key, toml_of(value));
}

}  // namespace

Value to_value(const Config& config) {
  Config copy = config;  // a field is a place that could be written to
  Value::Map root;
  for (const Key& key : config::kKeys) {
    const std::string name(key.section());
    if (name == "watch" || (!root.empty() && root.back().first == name)) continue;
    root.emplace_back(name, section(name, &copy));
  }
  Value::Array watches;
  for (auto& watch : copy.watches) watches.push_back(section("watch", &watch));
  root.emplace_back("watch", std::move(watches));
  return root;
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
