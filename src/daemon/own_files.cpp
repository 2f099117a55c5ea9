#include "daemon/own_files.hpp"

#include <filesystem>
#include <system_error>

#include "fs/real_fs.hpp"

namespace inotifier {
namespace {

/// Without symbolic links, as far as the path exists; unchanged if that cannot be told. A remote
/// volume is not touched, because a dead server would hang the start or the reload.
std::string resolved(const std::string& path) {
  if (is_remote(path)) return path;
  std::error_code error;
  const auto found = std::filesystem::weakly_canonical(path, error);
  return error ? path : found.native();
}

}  // namespace

std::vector<std::string> files_of_journal(const std::string& path) {
  std::vector<std::string> files;
  for (const char* suffix : {"", "-wal", "-shm", "-journal", ".lock"}) {
    files.push_back(path + suffix);
  }
  return files;
}

void exclude_files(std::vector<WatchConfig>& watches, const std::vector<std::string>& files) {
  for (WatchConfig& watch : watches) {
    std::string root = resolved(watch.path);
    if (!root.ends_with('/')) root += '/';
    for (const std::string& file : files) {
      // The name stays: it is our own, not that of what it may link to.
      const auto slash = file.rfind('/');
      const std::string place = resolved(file.substr(0, slash)) + file.substr(slash);
      if (!place.starts_with(root)) continue;
      std::string pattern = "/";
      for (const char c : place.substr(root.size())) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
        pattern += c;
      }
      watch.exclude.push_back(std::move(pattern));
    }
  }
}

}  // namespace inotifier
