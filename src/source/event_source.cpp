#include "source/event_source.hpp"

#include <utility>

#include "base/path.hpp"

namespace inotifier {

void EventSource::degraded(std::string_view reason, std::string_view path,
                           std::string_view detail) {
  // One reason can concern many paths: each is reported once, and not without end.
  constexpr std::size_t kMostOfReason = 1000;
  std::set<std::string>& paths = told_[std::string(reason)];
  if (paths.size() >= kMostOfReason || !paths.emplace(path).second) return;
  Value::Map data;
  data.emplace_back("reason", reason);
  if (!path.empty()) data.emplace_back("directory", to_utf8(path));
  data.emplace_back("detail", to_utf8(detail));
  sink_.on_status("degraded", std::move(data));
}

}  // namespace inotifier
