#include "support/expectation.hpp"

#include <sys/inotify.h>

#include <algorithm>

#include "inotifier/wire.hpp"

namespace inotifier::testing {
namespace {

std::string printable(const std::string& text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '\\') {
      result += c;
    } else {
      result += "\\x";
      result += kDigits[byte >> 4U];
      result += kDigits[byte & 15U];
    }
  }
  return result;
}

std::string shown(const std::string& text) {
  constexpr std::size_t kMost = 60;
  const std::string all = printable(text);
  return all.size() <= kMost ? all : all.substr(0, kMost - 10) + "..." + all.substr(all.size() - 7);
}

/// IN_CREATE|IN_ISDIR as a number; what is no such list stays as it is.
std::string mask_number(const std::string& text) {
  static const std::map<std::string, std::uint32_t> kBits{{"IN_ACCESS", IN_ACCESS},
                                                          {"IN_MODIFY", IN_MODIFY},
                                                          {"IN_ATTRIB", IN_ATTRIB},
                                                          {"IN_CLOSE_WRITE", IN_CLOSE_WRITE},
                                                          {"IN_CLOSE_NOWRITE", IN_CLOSE_NOWRITE},
                                                          {"IN_OPEN", IN_OPEN},
                                                          {"IN_MOVED_FROM", IN_MOVED_FROM},
                                                          {"IN_MOVED_TO", IN_MOVED_TO},
                                                          {"IN_CREATE", IN_CREATE},
                                                          {"IN_DELETE", IN_DELETE},
                                                          {"IN_DELETE_SELF", IN_DELETE_SELF},
                                                          {"IN_MOVE_SELF", IN_MOVE_SELF},
                                                          {"IN_UNMOUNT", IN_UNMOUNT},
                                                          {"IN_Q_OVERFLOW", IN_Q_OVERFLOW},
                                                          {"IN_IGNORED", IN_IGNORED},
                                                          {"IN_ISDIR", IN_ISDIR}};
  std::uint32_t mask = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('|', begin), text.size());
    const auto bit = kBits.find(text.substr(begin, end - begin));
    if (bit == kBits.end()) return text;
    mask |= bit->second;
    begin = end + 1;
  }
  return std::to_string(mask);
}

}  // namespace

std::string value_of(const Event& event, const std::string& key) {
  if (key == "id") return event.id;
  if (key == "subject") return event.subject;
  if (key == "source") return event.source;
  const Value* value = event.data.find(key);
  if (value == nullptr) return "nil";
  if (const auto* text = value->text()) return *text;
  if (const auto* bytes = std::get_if<Value::Bytes>(&value->v)) return bytes->data;
  return to_json(*value);
}

bool Expectation::matches(const Event& event, Bindings& bindings) const {
  if (event.type != type || (!any_path && event.relative_path() != path)) return false;
  Bindings bound = bindings;
  for (const auto& [key, wanted] : values) {
    const std::string value = value_of(event, key);
    if (wanted == "*") {
      if (value == "nil") return false;
    } else if (wanted.starts_with('$')) {
      if (bound.try_emplace(wanted.substr(1), value).first->second != value) return false;
    } else if (wanted.starts_with("!$")) {
      const auto found = bound.find(wanted.substr(2));
      if (found == bound.end() || found->second == value) return false;
    } else if (value != (key == "mask" ? mask_number(wanted) : wanted)) {
      // The rewritten flag may be left out when it is false.
      if (!(wanted == "false" && value == "nil")) return false;
    }
  }
  bindings = std::move(bound);
  return true;
}

std::string Expectation::text() const {
  std::string result = type;
  if (!any_path) result += ' ' + shown(path);
  for (const auto& [key, value] : values) result += ' ' + key + '=' + shown(value);
  return result;
}

std::string text_of(const Event& event, const Expectation* like) {
  std::string result = event.type;
  const bool of_watch = event.type.starts_with("watch.");
  if (!of_watch) result += ' ' + shown(event.relative_path());
  std::vector<std::string> keys;
  if (of_watch) {
    keys = {"watch", "reason", "directory", "recovered", "detail"};
  } else if (event.type.starts_with("in_")) {
    keys = {"cookie", "is_dir"};
  } else {
    keys = {"evidence", "origin", "size", "from", "rewritten"};
  }
  if (like != nullptr) {
    for (const auto& [key, value] : like->values) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  for (const std::string& key : keys) {
    const std::string value = value_of(event, key);
    if (value != "nil") result += ' ' + key + '=' + shown(value);
  }
  return result;
}

std::string side_by_side(const std::vector<Expectation>& expected, const std::vector<Event>& got,
                         const std::vector<bool>& wrong) {
  constexpr std::size_t kMostRows = 30;
  constexpr std::size_t kContext = 3;
  std::vector<std::pair<std::string, std::string>> rows;
  const std::size_t count = std::max(expected.size(), got.size());
  const auto first_wrong = static_cast<std::size_t>(std::ranges::find(wrong, true) - wrong.begin());
  const std::size_t begin = first_wrong > kContext ? first_wrong - kContext : 0;
  const std::size_t end = std::min(count, begin + kMostRows);
  for (std::size_t i = begin; i < end; ++i) {
    const Expectation* like = i < expected.size() ? &expected[i] : nullptr;
    rows.emplace_back(
        like != nullptr ? "line " + std::to_string(like->line) + ": " + like->text() : "-",
        i < got.size() ? text_of(got[i], like) : "-");
  }
  std::size_t width = std::string("expected").size();
  for (const auto& row : rows) width = std::max(width, row.first.size());
  const auto line = [&](const char* mark, const std::string& left, const std::string& right) {
    return std::string(mark) + left + std::string(width - left.size() + 3, ' ') + right + '\n';
  };
  std::string result = line("    ", "expected", "got");
  if (begin > 0) result += "    ... " + std::to_string(begin) + " as expected\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const bool bad = begin + i >= wrong.size() || wrong[begin + i];
    result += line(bad ? "  ! " : "    ", rows[i].first, rows[i].second);
  }
  if (end < count) result += "    ... " + std::to_string(count - end) + " more\n";
  return result;
}

}  // namespace inotifier::testing
