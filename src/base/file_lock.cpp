#include "base/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.hpp"

namespace inotifier {

bool FileLock::take(const std::string& path) {
  const std::string file = path + ".lock";
  fd_ = UniqueFd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_) {
    const bool is_full = errno == EMFILE || errno == ENFILE;
    if (is_full)
      throw SetupError(describe("open", file, errno) + ": raise the limit of open files");
    throw SetupError(
        describe("open", file, errno) +
        ": the daemon's user must be able to write in that directory; or choose another "
        "([journal] path, or the endpoint)");
  }
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return true;
  if (errno != EWOULDBLOCK) throw SetupError(describe("flock", file, errno));
  return false;
}

}  // namespace inotifier
