// The map that is published every few seconds beside the events, so that a subscriber can tell a
// daemon with nothing to say from a lost last event. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "inotifier/time.hpp"

namespace inotifier {

/// Sent as the first frame. No event's topic begins so: it would need two slashes.
inline constexpr std::string_view kHeartbeatTopic = "heartbeat/";

/// The second frame: {stream, protocol: 1, version, time, last: {topic: position}}. `last` holds
/// every topic that has had an event in this stream.
std::string encode_heartbeat(std::string_view stream, std::string_view version, Nanos time,
                             const std::map<std::string, std::uint64_t, std::less<>>& last);

}  // namespace inotifier
