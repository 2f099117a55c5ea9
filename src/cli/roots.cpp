#include "cli/roots.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/path.hpp"
#include "cli/output.hpp"
#include "fs/real_fs.hpp"

namespace inotifier {
namespace {

std::string root_of(const Event& event) {
  const Value* root = event.data.find("root");
  return root != nullptr && root->text() != nullptr ? *root->text() : std::string();
}

std::string text_of(const Value* value) {
  if (value == nullptr) return {};
  if (const auto* bytes = std::get_if<Value::Bytes>(&value->v)) return bytes->data;
  return value->text() == nullptr ? std::string() : *value->text();
}

}  // namespace

Roots::Roots(const char* text) {
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    if (equals == 0 || equals == std::string_view::npos ||
        !part.substr(equals + 1).starts_with('/')) {
      throw UsageError(fmt::format("INOTIFIER_ROOTS: \"{}\" is not WATCH=/path", visible(part)));
    }
    roots_.emplace(part.substr(0, equals), part.substr(equals + 1));
  }
}

void Roots::apply(Event& event) const {
  const auto found = roots_.find(event.watch());
  auto* data = std::get_if<Value::Map>(&event.data.v);
  if (found == roots_.end() || data == nullptr) return;
  const bool has_path = event.data.find("path") != nullptr;
  const auto path = join(found->second, event.relative_path());
  std::erase_if(*data, [](const auto& entry) { return entry.first == "path_bytes"; });
  for (auto& [key, value] : *data) {
    if (key == "root") value = to_utf8(found->second);
    if (key == "path" && has_path) value = to_utf8(path);
  }
  if (has_path && !is_utf8(path)) data->emplace_back("path_bytes", Value::Bytes{path});
}

WatchedRoots::Places WatchedRoots::places_of(const Event& event, Nanos now) {
  Places result;
  const auto root = root_of(event);
  const Value* row = nullptr;
  try {
    row = row_of(event.watch(), now);
  } catch (const std::runtime_error& error) {
    result.doubt = error.what();
    return result;
  }
  result.is_watched = row != nullptr;
  if (row == nullptr) return result;
  const Value* lost = row->find("lost");
  if (lost != nullptr && *lost == Value(true)) {
    result.doubt = fmt::format("{}: the daemon has lost this directory", visible(root));
  }
  if (row->find("root_inode") == nullptr) return result;  // an older daemon
  result.places.push_back({root, text_of(row->find("root_inode"))});
  const Value* volumes = row->find("volumes");
  if (volumes == nullptr || volumes->array() == nullptr) return result;
  const std::string file = event.relative_path();
  for (const Value& volume : *volumes->array()) {
    const std::string directory = text_of(volume.find("directory"));
    if (!file.starts_with(directory + '/')) continue;
    const auto place = join(root, directory);
    const Value* is_there = volume.find("is_there");
    if (is_there == nullptr || *is_there == Value(true)) {
      result.places.push_back({place, text_of(volume.find("inode"))});
    } else {
      result.doubt = fmt::format(
          "{}: what the daemon knows there was unmounted, or is mounted over", visible(place));
    }
  }
  return result;
}

std::string WatchedRoots::doubt_of(const std::vector<Place>& places) {
  for (const auto& [path, inode] : places) {
    struct stat there {};
    if (::stat(path.c_str(), &there) != 0) return describe("stat", visible(path), errno);
    if (!S_ISDIR(there.st_mode)) return describe("stat", visible(path), ENOTDIR);
    if (is_remote(path) || inode == std::to_string(there.st_ino)) continue;
    return fmt::format("{}: this is not the directory that the daemon watches", visible(path));
  }
  return {};
}

/// Null if the watch is not configured.
const Value* WatchedRoots::row_of(const std::string& watch, Nanos now) {
  if (asked_ == 0 || now - asked_ >= kSecond) {
    if (!requester_) requester_.emplace(connection_);
    status_ = requester_->request("status");
    asked_ = now;
  }
  const Value* watches = status_.find("watches");
  if (watches == nullptr || watches->array() == nullptr) return nullptr;
  for (const Value& row : *watches->array()) {
    const Value* name = row.find("name");
    if (name != nullptr && *name == Value(watch)) return &row;
  }
  return nullptr;
}

}  // namespace inotifier
