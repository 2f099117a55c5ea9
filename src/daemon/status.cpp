#include "daemon/status.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "endpoint/connection_limit.hpp"

namespace inotifier {

void fill_status(Value::Map& status, const std::vector<WatchStatus>& watches, bool blocked) {
  Value::Array rows;
  bool ready = !blocked;
  for (const WatchStatus& watch : watches) {
    ready = ready && watch.ready && !watch.lost;
    rows.emplace_back(Value::Map{
        {"name", watch.name},
        {"path", watch.path},
        {"processor", watch.processor},
        {"ready", watch.ready},
        {"lost", watch.lost},
        {"root_inode", watch.root_inode == 0 ? Value() : Value(std::to_string(watch.root_inode))},
        {"degraded", Value::Array(watch.degraded.begin(), watch.degraded.end())},
        {"directories", static_cast<std::int64_t>(watch.directories)},
        {"files", static_cast<std::int64_t>(watch.files)},
        {"in_progress", static_cast<std::int64_t>(watch.in_progress)}});
  }
  for (auto& [key, value] : status) {
    if (key == "ready") value = ready;
    if (key == "watches") std::swap(std::get<Value::Array>(value.v), rows);
  }
  status.emplace_back("refused_connections", static_cast<std::int64_t>(refused_connections()));
}

}  // namespace inotifier
