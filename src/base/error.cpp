#include "base/error.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>

namespace inotifier {

std::string describe(std::string_view call, std::string_view path, int error) {
  const char* name = strerrorname_np(error);
  return fmt::format("{} {}: {} ({})", call, path,
                     strerrordesc_np(error) ? strerrordesc_np(error) : "?", name ? name : "?");
}

bool is_absence(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

}  // namespace inotifier
