#include "endpoint/allow_list.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <utility>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "base/path.hpp"

namespace inotifier {
namespace {

constexpr std::string_view kSuffix = ".key";
// Far longer than any file system's clock ticks.
constexpr std::time_t kTick = 2;

using Directory = std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })>;

Directory open_directory(const std::string& path) {
  Directory directory(::opendir(path.c_str()));
  if (directory == nullptr) {
    throw SetupError(describe("opendir", path, errno) +
                     ": [security] clients is the directory with the clients' public keys; it must "
                     "be there and the daemon's user be able to read it");
  }
  struct stat stat {};
  if (::fstat(::dirfd(directory.get()), &stat) != 0) {
    throw SetupError(describe("fstat", path, errno));
  }
  if ((stat.st_mode & S_IWOTH) != 0) {
    throw SetupError(
        fmt::format("{} has mode {:04o}, so everybody could add a key of his own: chmod o-w {}",
                    path, stat.st_mode & 07777U, path));
  }
  return directory;
}

}  // namespace

AllowList::AllowList(std::string directory) : directory_(std::move(directory)) {
  open_directory(directory_);
  refresh();
}

std::optional<Client> AllowList::find(const std::string& public_key) {
  refresh();
  const auto found = clients_.find(public_key);
  if (found == clients_.end()) return std::nullopt;
  return found->second;
}

std::size_t AllowList::size_all() const {
  return static_cast<std::size_t>(
      std::count_if(clients_.begin(), clients_.end(),
                    [](const auto& client) { return client.second.access == Access::kAll; }));
}

std::vector<std::string> AllowList::problems() const {
  std::vector<std::string> texts;
  if (!failure_.empty()) texts.push_back(failure_);
  for (const auto& [name, file] : files_) {
    if (!file.problem.empty()) texts.push_back(file.problem);
  }
  return texts;
}

std::vector<std::string> AllowList::new_problems() {
  auto texts = problems();
  std::set<std::string> now(texts.begin(), texts.end());
  std::erase_if(texts, [&](const std::string& text) { return told_.contains(text); });
  told_ = std::move(now);
  return texts;
}

void AllowList::refresh() {
  std::map<std::string, File> files;
  bool changed = false;
  try {
    const Directory directory = open_directory(directory_);
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string_view name = entry->d_name;
      if (!name.ends_with(kSuffix) || name.starts_with('.')) continue;
      struct stat stat {};
      if (::fstatat(::dirfd(directory.get()), entry->d_name, &stat, 0) != 0) {
        if (errno == ENOENT) continue;
        stat = {};  // reading it tells what is wrong
      }
      File now;
      now.changed = stat.st_ctim;
      now.inode = stat.st_ino;
      now.size = stat.st_size;
      const auto old = files_.find(std::string(name));
      if (old != files_.end() && !old->second.may_change_unseen && old->second.inode == now.inode &&
          old->second.size == now.size && old->second.changed.tv_sec == now.changed.tv_sec &&
          old->second.changed.tv_nsec == now.changed.tv_nsec) {
        files.insert(*old);
        continue;
      }
      changed = true;
      now.may_change_unseen = std::time(nullptr) < now.changed.tv_sec + kTick;
      read(std::string(name), now);
      files.emplace(name, std::move(now));
    }
    failure_.clear();
  } catch (const SetupError& error) {
    failure_ = fmt::format("no client is let in: {}", error.what());
    files.clear();
    changed = true;
  }
  if (!changed && files.size() == files_.size()) return;
  files_ = std::move(files);
  rebuild();
}

void AllowList::read(const std::string& name, File& file) {
  const std::string path = join(directory_, name);
  try {
    const CurveKeys keys = read_keys(path);
    const auto access = keys.metadata.find("access");
    if (access == keys.metadata.end() || access->second == "read") {
      file.access = Access::kRead;
    } else if (access->second == "all") {
      file.access = Access::kAll;
    } else {
      throw SetupError(fmt::format("{}: access = \"{}\" is not known: write \"read\" or \"all\"",
                                   path, access->second));
    }
    file.public_key = keys.public_key;
  } catch (const SetupError& error) {
    file.problem = fmt::format("{}; its client is refused", error.what());
  }
}

void AllowList::rebuild() {
  clients_.clear();
  for (auto& [name, file] : files_) {
    if (file.public_key.empty()) continue;
    const auto stem = name.substr(0, name.size() - kSuffix.size());
    const auto [client, is_new] = clients_.try_emplace(file.public_key, Client{stem, file.access});
    if (is_new) continue;
    file.problem = fmt::format("{}: {}.key has the same key; the lesser access holds",
                               join(directory_, name), client->second.name);
    if (file.access == Access::kRead) client->second.access = Access::kRead;
  }
}

}  // namespace inotifier
