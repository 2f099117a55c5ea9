#include "cli/writers.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace inotifier {
namespace {

namespace fs = std::filesystem;

/// proc(5): "flags:" of fdinfo is octal.
bool is_open_for_writing(const fs::path& process, const std::string& fd) {
  std::ifstream info(process / "fdinfo" / fd);
  std::string key;
  while (info >> key) {
    if (key != "flags:") {
      std::getline(info, key);
      continue;
    }
    unsigned flags = 0;
    info >> std::oct >> flags;
    return (flags & O_ACCMODE) != O_RDONLY;
  }
  return false;
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// Of "0::/system.slice/docker-0123abcd....scope": the identifier, of which a dozen digits do.
std::string container_of(const fs::path& process) {
  const std::string group = first_line(process / "cgroup");
  constexpr std::size_t kShown = 12;
  constexpr std::size_t kDigits = 64;
  for (std::size_t begin = 0; begin + kDigits <= group.size(); ++begin) {
    const std::string_view id = std::string_view(group).substr(begin, kDigits);
    if (std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isxdigit(c) != 0; })) {
      return std::string(id.substr(0, kShown));
    }
  }
  return {};
}

/// False if its descriptors are not ours to see.
bool writes(const fs::path& process, const struct stat& file, bool& found) {
  std::error_code error;
  for (fs::directory_iterator it(process / "fd", error), end; !error && it != end;
       it.increment(error)) {
    struct stat open {};
    if (::stat(it->path().c_str(), &open) != 0 || open.st_dev != file.st_dev ||
        open.st_ino != file.st_ino) {
      continue;
    }
    if (is_open_for_writing(process, it->path().filename())) {
      found = true;
      return true;
    }
  }
  return error != std::errc::permission_denied;
}

}  // namespace

FileWriters writers_of(const std::string& path) {
  FileWriters writers;
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return writers;
  std::error_code error;
  for (fs::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    bool found = false;
    if (!writes(it->path(), file, found)) writers.all = false;
    if (!found) continue;
    writers.found.push_back({static_cast<pid_t>(std::stol(name)), first_line(it->path() / "comm"),
                             container_of(it->path())});
  }
  if (error) writers.all = false;
  return writers;
}

}  // namespace inotifier
