// One value on its way into the configuration: read as what its key takes, or noted as wrong.
// During load_config() only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/key.hpp"
#include "config/tree.hpp"

namespace inotifier::config {

/// Where something was written; `source` outlives it.
struct Origin {
  const Source* source = nullptr;
  std::size_t line = 0;
  bool good = true;  ///< the value will do
};

class Setting {
 public:
  /// `name` is what errors call it. All must outlive this.
  Setting(const Source& source, const Node& node, std::string_view name, Problems& problems)
      : source_(source), node_(node), name_(name), problems_(problems) {}

  /// Into the key's field of `target`, unless the value will not do: then the problem is noted.
  Origin read(const Key& key, Target target) const;
  void wrong(std::string_view reason, std::string_view suggestion = {}) const;

 private:
  // Each gives nothing, and notes the problem, if the value will not do.
  std::optional<bool> flag() const;
  std::optional<std::int64_t> number(const Key& key) const;
  std::optional<std::int64_t> quantity(const Key& key) const;
  std::optional<std::string> text(const Key& key) const;
  std::optional<std::size_t> word(const Key& key) const;
  std::optional<std::vector<std::string>> list(const Key& key) const;

  bool passes(const Key& key, std::string_view text) const;
  void wrong_type(std::string_view wanted, std::string_view suggestion = {}) const;

  const Source& source_;
  const Node& node_;
  std::string_view name_;
  Problems& problems_;
};

}  // namespace inotifier::config
