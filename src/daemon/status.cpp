#include "daemon/status.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/path.hpp"
#include "base/rfc3339.hpp"
#include "endpoint/connection_limit.hpp"
#include "wire/codec.hpp"

namespace inotifier {

namespace {

Value number_or_nil(std::uint64_t number) {
  return number == 0 ? Value() : Value(std::to_string(number));
}

Value to_value(const VolumeStatus& volume) {
  return Value::Map{{"directory", path_value(volume.directory)},
                    {"is_there", volume.is_there},
                    {"inode", number_or_nil(volume.inode)}};
}

Value row_of(const WatchStatus& watch) {
  Value::Array volumes;
  for (const VolumeStatus& volume : watch.volumes) volumes.push_back(to_value(volume));
  Value::Map row;
  row.emplace_back("name", watch.name);
  row.emplace_back("path", watch.path);
  row.emplace_back("processor", watch.processor);
  row.emplace_back("ready", watch.ready);
  row.emplace_back("lost", watch.lost);
  row.emplace_back("root_inode", number_or_nil(watch.root_inode));
  row.emplace_back("volumes", std::move(volumes));
  row.emplace_back("degraded", Value::Array(watch.degraded.begin(), watch.degraded.end()));
  row.emplace_back("directories", static_cast<std::int64_t>(watch.directories));
  row.emplace_back("files", static_cast<std::int64_t>(watch.files));
  row.emplace_back("in_progress", static_cast<std::int64_t>(watch.in_progress));
  return row;
}

}  // namespace

void fill_status(Value::Map& status, const std::vector<WatchStatus>& watches, bool blocked,
                 const Now& now) {
  Value::Array rows;
  Value::Array unanswered;
  bool ready = !blocked;
  for (const WatchStatus& watch : watches) {
    ready = ready && watch.ready && !watch.lost;
    rows.push_back(row_of(watch));
    for (const EventSource::Unanswered& one : watch.unanswered) {
      unanswered.emplace_back(Value::Map{{"watch", watch.name},
                                         {"path", to_utf8(join(watch.path, one.path))},
                                         {"call", one.call},
                                         {"since", rfc3339(now.wall - (now.mono - one.since))}});
    }
  }
  for (auto& [key, value] : status) {
    if (key == "ready") value = ready;
    if (key == "watches") std::swap(std::get<Value::Array>(value.v), rows);
  }
  status.emplace_back("unanswered", std::move(unanswered));
  status.emplace_back("refused_connections", static_cast<std::int64_t>(refused_connections()));
}

std::string status_line(const std::vector<WatchStatus>& watches, bool blocked) {
  std::size_t scanned = 0;
  std::size_t lost = 0;
  std::size_t degraded = 0;
  std::size_t files = 0;
  std::size_t in_progress = 0;
  for (const WatchStatus& watch : watches) {
    scanned += watch.ready || watch.lost ? 0U : 1U;
    lost += watch.lost ? 1U : 0U;
    degraded += watch.degraded.empty() ? 0U : 1U;
    files += watch.files;
    in_progress += watch.in_progress;
  }
  std::string line = std::to_string(watches.size()) + (watches.size() == 1 ? " watch" : " watches");
  const auto add = [&line](std::size_t count, std::string_view what) {
    if (count != 0) line += ", " + std::to_string(count) + " " + std::string(what);
  };
  add(scanned, "being scanned");
  add(lost, "lost");
  add(degraded, "degraded");
  add(files, "files known");
  add(in_progress, "in progress");
  return blocked ? line + ", no room for the journal" : line;
}

}  // namespace inotifier
