#include "config/keys.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace inotifier::config {
namespace {

std::string heading(std::string_view section) {
  return section == "watch" ? "[[watch]]" : fmt::format("[{}]", section);
}

/// What to write instead of a key that `section` does not have. "" is the top of the file.
std::string suggest_key(std::string_view name, std::string_view section) {
  const auto sections = section_names();
  if (section.empty()) {
    const auto near = nearest(name, sections);
    if (!near.empty()) return fmt::format("did you mean {}?", heading(near));
  } else {
    const auto near = nearest(name, key_names(section));
    if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
  }
  const auto* elsewhere = std::find_if(std::begin(kKeys), std::end(kKeys),
                                       [&](const Key& key) { return key.key() == name; });
  if (elsewhere != std::end(kKeys)) {
    return fmt::format("\"{}\" belongs below {}", printable(name), heading(elsewhere->section()));
  }
  if (!section.empty()) {
    return fmt::format("{} knows: {}", heading(section), fmt::join(key_names(section), ", "));
  }
  std::vector<std::string> headings;
  for (const auto& each : sections) headings.push_back(heading(each));
  return fmt::format("known are: {}", fmt::join(headings, ", "));
}

void apply_table(const Node::Table& table, std::string_view section, const Source& source,
                 Target target, Given& given, Problems& problems) {
  for (const auto& entry : table) {
    const auto name = fmt::format("{}.{}", section, entry.key);
    const Setting setting(source, entry.node, name, problems);
    const Key* key = find_key(name);
    if (key == nullptr || key->section() != section) {
      setting.wrong("unknown key", suggest_key(entry.key, section));
    } else {
      given[key->name] = setting.read(*key, target);
    }
  }
}

void apply_watches(const Node& node, const Source& source, Draft& draft, Problems& problems) {
  const auto* list = std::get_if<Node::List>(&node.value);
  if (list == nullptr) {
    Setting(source, node, "watch", problems)
        .wrong("there can be several watches, so each is an element of a list",
               "write [[watch]] with two brackets");
    return;
  }
  for (const auto& element : *list) {
    const auto* table = std::get_if<Node::Table>(&element.value);
    if (table == nullptr) {
      Setting(source, element, "watch", problems)
          .wrong("must be a table", "write [[watch]] and its keys below");
      continue;
    }
    WatchDraft watch;
    watch.origin = {&source, element.line};
    apply_table(*table, "watch", source, &watch.config, watch.given, problems);
    draft.watches.push_back(std::move(watch));
  }
}

}  // namespace

const Key* find_key(std::string_view name) {
  const auto* key = std::find_if(std::begin(kKeys), std::end(kKeys),
                                 [&](const Key& each) { return each.name == name; });
  return key == std::end(kKeys) ? nullptr : key;
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const auto& key : kKeys) {
    if (names.empty() || names.back() != key.section()) names.emplace_back(key.section());
  }
  return names;
}

std::vector<std::string> key_names(std::string_view section) {
  std::vector<std::string> names;
  for (const auto& key : kKeys) {
    if (key.section() == section) names.emplace_back(key.key());
  }
  return names;
}

void apply(const Node& root, const Source& source, Draft& draft, Problems& problems) {
  const auto* table = std::get_if<Node::Table>(&root.value);
  if (table == nullptr) return;
  const auto sections = section_names();
  for (const auto& entry : *table) {
    const std::string& name = entry.key;
    const auto* keys = std::get_if<Node::Table>(&entry.node.value);
    const Setting setting(source, entry.node, name, problems);
    if (name == "watch") {
      apply_watches(entry.node, source, draft, problems);
    } else if (std::find(sections.begin(), sections.end(), name) == sections.end()) {
      const bool is_list = std::holds_alternative<Node::List>(entry.node.value);
      setting.wrong(keys != nullptr || is_list ? "unknown section" : "unknown key",
                    suggest_key(name, ""));
    } else if (keys == nullptr) {
      setting.wrong("is a section, not a value",
                    fmt::format("write [{}] and its keys below", name));
    } else {
      apply_table(*keys, name, source, &draft.config, draft.given, problems);
    }
  }
}

}  // namespace inotifier::config
