#include "config/setting.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "config/load.hpp"

namespace inotifier::config {
namespace {

constexpr std::string_view kDurationForm =
    "a number and w, d, h, m, s, ms, us or ns, as in \"250ms\", \"5s\", \"1h30m\"";
constexpr std::string_view kSizeForm =
    "a number of bytes, or a text as in \"500 kB\" (1000), \"64KiB\" (1024), \"2GiB\"";

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", printable(text)); }

bool is_negative(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.size() >= 2 && text[0] == '-' && text[1] >= '0' && text[1] <= '9';
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (true) {
    const auto comma = text.find(',');
    auto part = text.substr(0, comma);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part.remove_suffix(part.size() - std::min(part.find_last_not_of(' ') + 1, part.size()));
    parts.emplace_back(part);
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

void Setting::wrong(std::string_view reason, std::string_view suggestion) const {
  problems_.add(source_, node_.line, key_, reason, suggestion);
}

bool Setting::good(const std::optional<ValidationError>& error) const {
  if (error) wrong(error->reason, error->suggestion);
  return !error;
}

std::string Setting::what() const {
  struct Visitor {
    std::string operator()(bool) const { return "true or false"; }
    std::string operator()(std::int64_t) const { return "a number"; }
    std::string operator()(const std::string&) const { return "a text"; }
    std::string operator()(const Node::List&) const { return "a list"; }
    std::string operator()(const Node::Table&) const { return "a table"; }
    std::string operator()(const Node::Other& other) const { return other.what; }
  };
  return std::visit(Visitor{}, node_.value);
}

void Setting::wrong_type(std::string_view wanted, std::string_view suggestion) const {
  wrong(fmt::format("must be {}, is {}", wanted, what()), suggestion);
}

std::optional<std::string> Setting::text() const {
  if (const auto* text = std::get_if<std::string>(&node_.value)) return *text;
  std::string suggestion;
  if (const auto* number = std::get_if<std::int64_t>(&node_.value)) {
    suggestion = fmt::format("put it into quotes: \"{}\"", *number);
  }
  wrong_type("a text", suggestion);
  return std::nullopt;
}

std::optional<bool> Setting::boolean() const {
  if (const auto* flag = std::get_if<bool>(&node_.value)) return *flag;
  if (const auto* text = std::get_if<std::string>(&node_.value)) {
    const bool yes = *text == "true" || *text == "yes" || *text == "on" || *text == "1";
    const bool no = *text == "false" || *text == "no" || *text == "off" || *text == "0";
    if (node_.bare && (yes || no)) return yes;
    if (yes || no) {
      wrong_type("true or false", fmt::format("write {}, without quotes", yes));
      return std::nullopt;
    }
  }
  if (node_.bare) {
    wrong("must be true or false");
  } else {
    wrong_type("true or false");
  }
  return std::nullopt;
}

std::optional<std::int64_t> Setting::integer(std::int64_t least, std::int64_t most) const {
  std::optional<std::int64_t> number;
  if (const auto* plain = std::get_if<std::int64_t>(&node_.value)) number = *plain;
  if (const auto* text = std::get_if<std::string>(&node_.value)) {
    number = whole_number(*text);
    if (number && !node_.bare) {
      wrong_type("a number", fmt::format("write {}, without quotes", *number));
      return std::nullopt;
    }
  }
  if (!number) {
    if (node_.bare) {
      wrong("must be a whole number");
    } else {
      wrong_type("a whole number");
    }
    return std::nullopt;
  }
  if (*number < least || *number > most) {
    wrong(fmt::format("must be from {} to {}", least, most));
    return std::nullopt;
  }
  return number;
}

std::optional<std::int64_t> Setting::duration(std::int64_t least) const {
  std::optional<std::int64_t> nanos;
  if (const auto* number = std::get_if<std::int64_t>(&node_.value)) {
    if (*number < 0) {
      wrong("must not be negative");
      return std::nullopt;
    }
    if (*number > 0) {
      wrong(fmt::format("{} has no unit", *number),
            fmt::format("write \"{}s\" if seconds are meant; a duration is {}", *number,
                        kDurationForm));
      return std::nullopt;
    }
    nanos = 0;
  } else if (const auto* text = std::get_if<std::string>(&node_.value)) {
    nanos = parse_duration(*text);
    if (!nanos) {
      if (is_negative(*text)) {
        wrong("must not be negative");
      } else if (const auto count = whole_number(*text)) {
        wrong(fmt::format("{} has no unit", quoted(*text)),
              fmt::format("write \"{}s\" if seconds are meant; a duration is {}", *count,
                          kDurationForm));
      } else {
        wrong(fmt::format("{} is no duration", quoted(*text)),
              fmt::format("a duration is {}", kDurationForm));
      }
      return std::nullopt;
    }
  } else {
    wrong_type("a duration", fmt::format("a duration is {}", kDurationForm));
    return std::nullopt;
  }
  if (*nanos < least) {
    wrong(fmt::format("must be at least {}", duration_text(least)));
    return std::nullopt;
  }
  return nanos;
}

std::optional<std::int64_t> Setting::size() const {
  std::optional<std::int64_t> bytes;
  if (const auto* number = std::get_if<std::int64_t>(&node_.value)) {
    if (*number < 0) {
      wrong("must not be negative");
      return std::nullopt;
    }
    bytes = parse_size(fmt::format("{}", *number));
    if (!bytes) wrong(fmt::format("{} is too large", *number));
  } else if (const auto* text = std::get_if<std::string>(&node_.value)) {
    bytes = parse_size(*text);
    if (!bytes && is_negative(*text)) {
      wrong("must not be negative");
    } else if (!bytes) {
      wrong(fmt::format("{} is no size", quoted(*text)), fmt::format("a size is {}", kSizeForm));
    }
  } else {
    wrong_type("a size", fmt::format("a size is {}", kSizeForm));
  }
  return bytes;
}

std::optional<std::vector<std::string>> Setting::texts(
    std::optional<ValidationError> (*check)(std::string_view), bool one_will_do) const {
  std::vector<std::string> list;
  bool all_good = true;
  const auto take = [&](const Setting& setting, std::string text) {
    if (check != nullptr && !setting.good(check(text))) all_good = false;
    list.push_back(std::move(text));
  };
  if (const auto* nodes = std::get_if<Node::List>(&node_.value)) {
    for (const auto& node : *nodes) {
      const Setting element(source_, node, key_, problems_);
      if (auto text = element.text()) {
        take(element, std::move(*text));
      } else {
        all_good = false;
      }
    }
  } else if (const auto* text = std::get_if<std::string>(&node_.value)) {
    if (node_.bare) {
      for (auto& part : split(*text)) take(*this, std::move(part));
    } else if (one_will_do) {
      take(*this, *text);
    } else {
      wrong_type("a list of texts", fmt::format("put it into brackets: [{}]", quoted(*text)));
      return std::nullopt;
    }
  } else {
    wrong_type("a list of texts");
    return std::nullopt;
  }
  if (!all_good) return std::nullopt;
  return list;
}

std::optional<std::string> Setting::one_of(const std::vector<std::string>& known) const {
  auto word = text();
  if (!word) return std::nullopt;
  if (std::find(known.begin(), known.end(), *word) != known.end()) return word;
  wrong(fmt::format("{} is not known", quoted(*word)), suggest(*word, known));
  return std::nullopt;
}

}  // namespace inotifier::config
