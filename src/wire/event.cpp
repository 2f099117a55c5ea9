#include "inotifier/event.hpp"

#include "base/hex.hpp"

namespace inotifier {
namespace {

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

}  // namespace

const Value* Value::find(std::string_view key) const {
  const Map* entries = map();
  if (entries == nullptr) return nullptr;
  for (const auto& [name, value] : *entries) {
    if (name == key) return value.is_nil() ? nullptr : &value;
  }
  return nullptr;
}

std::string Event::watch() const {
  const Value* value = data.find("watch");
  return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

std::string Event::path() const {
  if (const Value* exact = data.find("path_bytes")) {
    if (const auto* bytes = std::get_if<Value::Bytes>(&exact->v)) return bytes->data;
  }
  const Value* value = data.find("path");
  return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

std::string Event::relative_path() const {
  // The subject holds the exact bytes whatever the root is. "./" stands before a first segment with
  // a colon only.
  return percent_decode(subject.starts_with("./") ? std::string_view(subject).substr(2) : subject);
}

std::int64_t Event::size() const {
  const Value* value = data.find("size");
  return value != nullptr && value->integer() != nullptr ? *value->integer() : -1;
}

}  // namespace inotifier
