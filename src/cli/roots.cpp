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

}  // namespace

Roots::Roots(const char* text) {
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (part.empty()) continue;
    const auto equals = part.find('=');
    if (equals == 0 || equals == std::string_view::npos || part.substr(equals + 1)[0] != '/') {
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

std::string WatchedRoots::doubt(const Event& event, Nanos now) {
  const auto root = root_of(event);
  struct stat there {};
  if (::stat(root.c_str(), &there) != 0) return describe("stat", visible(root), errno);
  if (!S_ISDIR(there.st_mode)) return describe("stat", visible(root), ENOTDIR);
  if (is_remote(root)) return {};
  const Value* row = nullptr;
  try {
    row = row_of(event.watch(), now);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  if (row == nullptr) return {};
  const Value* lost = row->find("lost");
  if (lost != nullptr && *lost == Value(true)) {
    return fmt::format("{}: the daemon has lost this directory", visible(root));
  }
  const Value* inode = row->find("root_inode");
  if (inode == nullptr || *inode == Value(std::to_string(there.st_ino))) return {};
  return fmt::format("{}: this is not the directory that the daemon watches", visible(root));
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
