#include "serve/request.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/clock.hpp"
#include "base/names.hpp"
#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "wire/event_types.hpp"

namespace inotifier {
namespace {

// A filter has a few names; more is a mistake, and 1,000 polls may wait with one each.
constexpr std::size_t kMaxNames = 256;
constexpr std::size_t kMaxPositions = 10'000;
// Longer than PATH_MAX: paths are built from names.
constexpr std::size_t kLongestPath = 32'768;

/// "file.completed", "in_create".
bool is_type(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  });
}

[[noreturn]] void bad(std::string message) { throw Refusal{"bad_request", std::move(message)}; }

}  // namespace

std::optional<std::uint64_t> parse_position(std::string_view text) {
  if (text == "0") return 0;
  if (text.size() != 20 || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::int64_t position = 0;  // SQLite has no larger ones
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), position);
  if (error != std::errc()) return std::nullopt;
  return static_cast<std::uint64_t>(position);
}

Arguments::Arguments(const Value& request, std::initializer_list<std::string_view> allowed)
    : request_(request) {
  for (const auto& [key, value] : *request.map()) {
    if (key == "op" || key == "request") continue;
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      bad(fmt::format("unknown argument: {}", to_utf8(std::string_view(key).substr(0, 64))));
    }
  }
}

std::optional<std::string> Arguments::text(std::string_view key, std::size_t limit) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  if (value->text() == nullptr) bad(fmt::format("{} must be text", key));
  if (value->text()->size() > limit) bad(fmt::format("{} has more than {} bytes", key, limit));
  if (!is_utf8(*value->text())) bad(fmt::format("{} is no UTF-8", key));
  return *value->text();
}

std::string Arguments::required_text(std::string_view key, std::size_t limit) const {
  auto found = text(key, limit);
  if (!found || found->empty()) bad(fmt::format("{} is missing", key));
  return std::move(*found);
}

std::string Arguments::path() const {
  const Value* value = request_.find("path");
  const auto* bytes = value == nullptr ? nullptr : std::get_if<Value::Bytes>(&value->v);
  const std::string path = bytes != nullptr ? bytes->data : required_text("path", kLongestPath);
  if (!path.starts_with('/') || path.size() > kLongestPath ||
      path.find('\0') != std::string::npos) {
    bad(fmt::format("path must be absolute, of at most {} bytes", kLongestPath));
  }
  return absolute(path);
}

std::string Arguments::name() const {
  std::string name = required_text("consumer", 64);
  if (!is_name(name)) bad("consumer: a name is [A-Za-z0-9][A-Za-z0-9_-]{0,63}");
  return name;
}

std::optional<std::uint64_t> Arguments::position(std::string_view key) const {
  const auto found = text(key, 64);
  if (!found) return std::nullopt;
  const auto position = parse_position(*found);
  if (!position) bad(fmt::format("{}: a position is text of 20 digits", key));
  return position;
}

std::uint64_t Arguments::required_position(std::string_view key) const {
  const auto found = position(key);
  if (!found) bad(fmt::format("{} is missing", key));
  return *found;
}

std::optional<Nanos> Arguments::time(std::string_view key) const {
  const auto found = text(key, 64);
  if (!found) return std::nullopt;
  const auto time = parse_rfc3339(*found);
  if (!time) bad(fmt::format("{}: a time is RFC 3339 text: 2026-11-22T10:00:00Z", key));
  return time;
}

std::optional<std::int64_t> Arguments::integer(std::string_view key, std::int64_t low,
                                               std::int64_t high) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const std::int64_t* number = value->integer();
  if (number == nullptr || *number < low || *number > high) {
    bad(fmt::format("{} must be an integer from {} to {}", key, low, high));
  }
  return *number;
}

std::optional<Nanos> Arguments::duration(std::string_view key, Nanos low, Nanos high) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  double seconds = std::nan("");
  if (value->integer() != nullptr) {
    seconds = static_cast<double>(*value->integer());
  } else if (const double* number = std::get_if<double>(&value->v)) {
    seconds = *number;
  }
  if (!(seconds * 1e9 >= static_cast<double>(low) && seconds * 1e9 <= static_cast<double>(high))) {
    bad(fmt::format("{} must be seconds from {} to {}", key, low / kSecond, high / kSecond));
  }
  return static_cast<Nanos>(seconds * 1e9);
}

std::optional<bool> Arguments::boolean(std::string_view key) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const bool* truth = std::get_if<bool>(&value->v);
  if (truth == nullptr) bad(fmt::format("{} must be true or false", key));
  return *truth;
}

std::optional<std::vector<std::uint64_t>> Arguments::positions(std::string_view key) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const Value::Array* array = value->array();
  if (array == nullptr || array->size() > kMaxPositions) {
    bad(fmt::format("{} must be a list of at most {} positions", key, kMaxPositions));
  }
  std::vector<std::uint64_t> positions;
  for (const Value& item : *array) {
    const auto position = item.text() != nullptr ? parse_position(*item.text()) : std::nullopt;
    if (!position) bad(fmt::format("{}: a position is text of 20 digits", key));
    positions.push_back(*position);
  }
  return positions;
}

std::optional<std::vector<std::string>> Arguments::names(std::string_view key,
                                                         bool (*is_good)(std::string_view)) const {
  const Value* value = request_.find(key);
  if (value == nullptr) return std::nullopt;
  const Value::Array* array = value->array();
  if (array == nullptr || array->size() > kMaxNames) {
    bad(fmt::format("{} must be a list of at most {} names", key, kMaxNames));
  }
  std::vector<std::string> names;
  for (const Value& item : *array) {
    if (item.text() == nullptr || !is_good(*item.text())) {
      bad(fmt::format("{}: one of them is no name", key));
    }
    names.push_back(*item.text());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::optional<std::vector<std::string>> Arguments::types() const {
  auto types = names("types", is_type);
  if (types) {
    if (std::string why = why_no_type(*types); !why.empty()) bad("types: " + why);
  }
  return types;
}

std::optional<std::vector<std::string>> Arguments::watches() const {
  return names("watches", is_name);
}

}  // namespace inotifier
