#include "config/setting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "config/config.hpp"
#include "config/load.hpp"

namespace inotifier::config {
namespace {

constexpr std::string_view kDurationForm =
    "a duration is a number and w, d, h, m, s, ms, us or ns, as in \"250ms\", \"5s\", \"1h30m\"";
constexpr std::string_view kSizeForm =
    "a size is a number of bytes, or a text as in \"500 kB\" (1000), \"64KiB\" (1024), \"2GiB\"";

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", printable(text)); }

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// At commas, without the spaces around each part.
Node::List split(std::string_view text, std::size_t line) {
  Node::List parts;
  while (true) {
    const auto comma = text.find(',');
    auto part = text.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part.remove_suffix(part.size() - std::min(part.find_last_not_of(' ') + 1, part.size()));
    parts.push_back({std::string(part), line, true});
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::string kind_of(const Node& node) {
  if (const auto* other = std::get_if<Node::Other>(&node.value)) return other->what;
  return std::array{"true or false", "a number", "a text", "a list", "a table"}.at(
      node.value.index());
}

}  // namespace

void Setting::wrong(std::string_view reason, std::string_view suggestion) const {
  problems_.add(source_, node_.line, name_, reason, suggestion);
}

void Setting::wrong_type(std::string_view wanted, std::string_view suggestion) const {
  wrong(node_.bare ? fmt::format("must be {}", wanted)
                   : fmt::format("must be {}, is {}", wanted, kind_of(node_)),
        suggestion);
}

Origin Setting::read(const Key& key, Target target) const {
  const auto store = [](auto value, auto* field) {
    if (value) *field = static_cast<std::remove_pointer_t<decltype(field)>>(std::move(*value));
    return value.has_value();
  };
  const auto read_into = [&](auto field) {
    using F = decltype(field);
    if constexpr (std::is_same_v<F, Choice>) {
      const auto index = word(key);
      if (index) field.set(field.place, *index);
      return index.has_value();
    } else if constexpr (std::is_same_v<F, bool*>) {
      return store(flag(), field);
    } else if constexpr (std::is_same_v<F, int*>) {
      return store(number(key), field);
    } else if constexpr (std::is_same_v<F, std::int64_t*>) {
      return store(quantity(key), field);
    } else if constexpr (std::is_same_v<F, std::string*>) {
      return store(text(key), field) && (key.words == nullptr || word(key));
    } else {
      return store(list(key), field);
    }
  };
  return {&source_, node_.line, std::visit(read_into, key.field(target))};
}

bool Setting::passes(const Key& key, std::string_view text) const {
  const auto error = key.check == nullptr ? std::nullopt : key.check(text);
  if (error) wrong(error->reason, error->suggestion);
  return !error;
}

std::optional<bool> Setting::flag() const {
  if (const auto* flag = std::get_if<bool>(&node_.value)) return *flag;
  std::string suggestion;
  if (const auto* text = std::get_if<std::string>(&node_.value)) {
    const bool yes = *text == "true" || *text == "yes" || *text == "on" || *text == "1";
    const bool no = *text == "false" || *text == "no" || *text == "off" || *text == "0";
    if (node_.bare && (yes || no)) return yes;
    if (yes || no) suggestion = fmt::format("write {}, without quotes", yes);
  }
  wrong_type("true or false", suggestion);
  return std::nullopt;
}

std::optional<std::int64_t> Setting::number(const Key& key) const {
  const auto* plain = std::get_if<std::int64_t>(&node_.value);
  const auto* text = std::get_if<std::string>(&node_.value);
  const auto number = plain != nullptr  ? std::optional(*plain)
                      : text != nullptr ? whole_number(*text)
                                        : std::nullopt;
  if (!number || (text != nullptr && !node_.bare)) {
    wrong_type("a whole number",
               number ? fmt::format("write {}, without quotes", *number) : std::string());
  } else if (*number < key.least || *number > key.most) {
    wrong(fmt::format("must be from {} to {}", key.least, key.most));
  } else {
    return number;
  }
  return std::nullopt;
}

/// A duration or a size.
std::optional<std::int64_t> Setting::quantity(const Key& key) const {
  const bool is_duration = key.type == Type::kDuration;
  const auto form = is_duration ? kDurationForm : kSizeForm;
  const auto* plain = std::get_if<std::int64_t>(&node_.value);
  const auto* text = std::get_if<std::string>(&node_.value);
  if (plain == nullptr && text == nullptr) {
    wrong_type(is_duration ? "a duration" : "a size", form);
    return std::nullopt;
  }
  const std::string written = plain != nullptr ? fmt::format("{}", *plain) : *text;
  const auto amount = is_duration ? parse_duration(written) : parse_size(written);
  const auto count = whole_number(written);
  const bool is_negative = written.find_first_not_of(' ') != std::string::npos &&
                           written[written.find_first_not_of(' ')] == '-';
  if (!amount && is_negative) {
    wrong("must not be negative");
  } else if (!amount && is_duration && count) {
    wrong(fmt::format("{} has no unit", plain != nullptr ? written : quoted(written)),
          fmt::format("write \"{}s\" if seconds are meant; {}", *count, form));
  } else if (!amount && plain != nullptr) {
    wrong(fmt::format("{} is too large", written));
  } else if (!amount) {
    wrong(fmt::format("{} is no {}", quoted(written), is_duration ? "duration" : "size"), form);
  } else if (*amount < key.least) {
    wrong(fmt::format("must be at least {}",
                      is_duration ? duration_text(key.least) : size_text(key.least)));
  } else {
    return amount;
  }
  return std::nullopt;
}

std::optional<std::string> Setting::text(const Key& key) const {
  if (const auto* text = std::get_if<std::string>(&node_.value)) {
    return passes(key, *text) ? std::optional(*text) : std::nullopt;
  }
  const auto* number = std::get_if<std::int64_t>(&node_.value);
  wrong_type("a text", number == nullptr ? std::string()
                                         : fmt::format("put it into quotes: \"{}\"", *number));
  return std::nullopt;
}

std::optional<std::size_t> Setting::word(const Key& key) const {
  const auto word = text(key);
  if (!word) return std::nullopt;
  const auto known = key.words();
  const auto found = std::find(known.begin(), known.end(), *word);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  wrong(fmt::format("{} is not known", quoted(*word)), suggest(*word, known));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Setting::list(const Key& key) const {
  Node::List parts;
  const auto* single = std::get_if<std::string>(&node_.value);
  if (const auto* nodes = std::get_if<Node::List>(&node_.value)) {
    parts = *nodes;
  } else if (single != nullptr && node_.bare) {
    parts = split(*single, node_.line);
  } else if (single != nullptr && key.type == Type::kEndpoints) {
    parts = {node_};
  } else {
    wrong_type("a list of texts", single == nullptr
                                      ? std::string()
                                      : fmt::format("put it into brackets: [{}]", quoted(*single)));
    return std::nullopt;
  }
  std::vector<std::string> list;
  for (const auto& part : parts) {
    if (auto text = Setting(source_, part, name_, problems_).text(key)) {
      list.push_back(std::move(*text));
    }
  }
  return list.size() == parts.size() ? std::optional(std::move(list)) : std::nullopt;
}

}  // namespace inotifier::config
