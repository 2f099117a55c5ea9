// to_json of wire.hpp. The only file with nlohmann_json.
#include <nlohmann/json.hpp>

#include "base/path.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

using Json = nlohmann::ordered_json;

/// RFC 4648, with padding.
std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8U | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= group.size() ? kAlphabet[bits >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return out;
}

std::string utf8(const std::string& text) { return is_utf8(text) ? text : to_utf8(text); }

/// Appends without looking for the key: Json's own operator[] searches, and a map of a peer may be
/// large.
void append(Json& object, const std::string& key, Json value) {
  object.get_ref<Json::object_t&>().emplace_back(utf8(key), std::move(value));
}

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool b) const { return b; }
  Json operator()(std::int64_t i) const { return i; }
  Json operator()(double d) const { return d; }
  Json operator()(const std::string& text) const { return utf8(text); }
  Json operator()(const Value::Bytes& bytes) const { return base64(bytes.data); }
  Json operator()(const Value::Array& array) const {
    Json out = Json::array();
    for (const Value& item : array) out.push_back(std::visit(*this, item.v));
    return out;
  }
  Json operator()(const Value::Map& map) const {
    Json out = Json::object();
    for (const auto& [key, value] : map) append(out, key, std::visit(*this, value.v));
    return out;
  }
};

}  // namespace

std::string to_json(const Value& value) { return std::visit(ToJson{}, value.v).dump(); }

std::string to_json(const Event& event) {
  Json out = Json::object();
  append(out, "specversion", "1.0");
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) append(out, key, utf8(value));
  };
  text("id", event.id);
  text("source", event.source);
  text("type", event.type);
  text("subject", event.subject);
  text("time", event.time);
  text("sequence", event.sequence);
  text("prevsequence", event.prevsequence);
  append(out, "data", event.data.is_nil() ? Json::object() : std::visit(ToJson{}, event.data.v));
  return out.dump();
}

}  // namespace inotifier
