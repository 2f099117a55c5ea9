#include "wire/heartbeat.hpp"

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"

namespace inotifier {

std::string encode_heartbeat(std::string_view stream, std::string_view version, Nanos time,
                             const std::map<std::string, std::uint64_t, std::less<>>& last) {
  Value::Map positions;
  positions.reserve(last.size());
  for (const auto& [topic, position] : last) positions.emplace_back(topic, position_text(position));
  return encode_value(Value(Value::Map{{"stream", stream},
                                       {"protocol", 1},
                                       {"version", version},
                                       {"time", rfc3339(time)},
                                       {"last", std::move(positions)}}));
}

}  // namespace inotifier
