// What a key of the configuration is: the row by which file, environment, command line, printing
// and the test of conf/inotifier.toml go. The rows are in config.hpp. Constants; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/rules.hpp"

namespace inotifier {

struct Config;
struct WatchConfig;

namespace config {

enum class Type {
  kFlag,
  kNumber,
  kDuration,  ///< nanoseconds
  kSize,      ///< bytes, shown with a unit
  kBytes,     ///< bytes, shown as a number
  kText,
  kWord,       ///< one of `words`
  kList,       ///< of texts
  kEndpoints,  ///< a list of texts; a single one will do
};

/// An enumerator, as the index of its word.
struct Choice {
  void* place;
  std::size_t (*get)(const void* place);
  void (*set)(void* place, std::size_t index);
};
/// Where the value is.
using Field =
    std::variant<bool*, int*, std::int64_t*, std::string*, std::vector<std::string>*, Choice>;
using Target = std::variant<Config*, WatchConfig*>;
using Words = std::vector<std::string>;
using Check = std::optional<ValidationError> (*)(std::string_view text);

struct Key {
  std::string_view name;  ///< with its section: "journal.retain", "watch.settle"
  Type type;
  Field (*field)(Target target);  ///< its initialiser is the default
  std::string_view help;
  /// Bounds of a number, a duration or a size.
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  Check check = nullptr;  ///< of the text, or of each element of the list
  Words (*words)() = nullptr;

  std::string_view section() const { return name.substr(0, name.find('.')); }
  std::string_view key() const { return name.substr(name.find('.') + 1); }
};

template <typename T>
Field field_of(T& value) {
  if constexpr (std::is_enum_v<T>) {
    return Choice{
        &value,
        [](const void* place) { return static_cast<std::size_t>(*static_cast<const T*>(place)); },
        [](void* place, std::size_t i) { *static_cast<T*>(place) = static_cast<T>(i); }};
  } else {
    return &value;
  }
}

template <typename T, typename M>
T* owner_of(M T::*member);
/// The field that the members lead to: at<&Config::journal, &Config::Journal::retain>.
template <auto first, auto... rest>
Field at(Target target) {
  return field_of(((std::get<decltype(owner_of(first))>(target)->*first).*....*rest));
}

// Rows, by what the key takes.

constexpr Key flag(std::string_view name, Field (*field)(Target), std::string_view help) {
  return {name, Type::kFlag, field, help};
}
constexpr Key number(std::string_view name, Field (*field)(Target), std::string_view help,
                     std::int64_t least, std::int64_t most) {
  return {name, Type::kNumber, field, help, least, most};
}
constexpr Key duration(std::string_view name, Field (*field)(Target), std::string_view help,
                       std::int64_t least = 0) {
  return {name, Type::kDuration, field, help, least};
}
constexpr Key size(std::string_view name, Field (*field)(Target), std::string_view help,
                   std::int64_t least, Type type = Type::kSize) {
  return {name, type, field, help, least};
}
constexpr Key text(std::string_view name, Field (*field)(Target), std::string_view help,
                   Check check) {
  return {.name = name, .type = Type::kText, .field = field, .help = help, .check = check};
}
constexpr Key word(std::string_view name, Field (*field)(Target), std::string_view help,
                   Words (*words)()) {
  return {.name = name, .type = Type::kWord, .field = field, .help = help, .words = words};
}
constexpr Key list(std::string_view name, Field (*field)(Target), std::string_view help,
                   Check check, Type type = Type::kList) {
  return {.name = name, .type = type, .field = field, .help = help, .check = check};
}

}  // namespace config
}  // namespace inotifier
