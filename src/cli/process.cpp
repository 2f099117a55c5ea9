#include "cli/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/error.hpp"

namespace inotifier {
namespace {

// A daemon with one watch and a client use about 25.
constexpr rlim_t kFewestFiles = 32;

}  // namespace

void prepare_process() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
  }
  std::signal(SIGXFSZ, SIG_IGN);
}

void check_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kFewestFiles) return;
  limit.rlim_cur = std::min(limit.rlim_max, kFewestFiles);
  if (limit.rlim_cur >= kFewestFiles && ::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  throw SetupError(fmt::format(
      "the limit of open files is {}: raise it to {} or more (ulimit -n, LimitNOFILE= of the unit)",
      limit.rlim_max, kFewestFiles));
}

}  // namespace inotifier
