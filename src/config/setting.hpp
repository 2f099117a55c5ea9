// One value on its way into the configuration: read as what its key takes, or told to be wrong.
// Lives during the loading only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/rules.hpp"
#include "config/tree.hpp"

namespace inotifier::config {

template <typename E>
using Choice = std::pair<std::string_view, E>;

/// The readers give nothing, and the problem is noted, if the value will not do.
class Setting {
 public:
  /// `key` is what errors call it. All must outlive this.
  Setting(const Source& source, const Node& node, std::string key, Problems& problems)
      : source_(source), node_(node), key_(std::move(key)), problems_(problems) {}

  const Source& source() const { return source_; }
  std::size_t line() const { return node_.line; }
  void wrong(std::string_view reason, std::string_view suggestion = {}) const;
  /// True if there is no error.
  bool good(const std::optional<ValidationError>& error) const;

  std::optional<std::string> text() const;
  std::optional<bool> boolean() const;
  std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
  /// Nanoseconds, at least `least`.
  std::optional<std::int64_t> duration(std::int64_t least) const;
  std::optional<std::int64_t> size() const;
  /// A list of texts, each passed by `check` if that is setting. A single text will do where
  /// `one_will_do`.
  std::optional<std::vector<std::string>> texts(
      std::optional<ValidationError> (*check)(std::string_view) = nullptr,
      bool one_will_do = false) const;
  /// A text that is one of `known`.
  std::optional<std::string> one_of(const std::vector<std::string>& known) const;

  template <typename E>
  void choose(std::span<const Choice<E>> choices, E& out) const {
    std::vector<std::string> names;
    for (const auto& choice : choices) names.emplace_back(choice.first);
    const auto word = one_of(names);
    for (const auto& [name, value] : choices) {
      if (word && name == *word) out = value;
    }
  }

 private:
  std::string what() const;
  void wrong_type(std::string_view wanted, std::string_view suggestion = {}) const;

  const Source& source_;
  const Node& node_;
  std::string key_;
  Problems& problems_;
};

}  // namespace inotifier::config
