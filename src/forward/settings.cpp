#include "forward/settings.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "base/error.hpp"

namespace inotifier::forward {

std::string scheme_of(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos || colon == 0) {
    throw UsageError(
        fmt::format("--to {}: a URL is expected, such as https://hooks.example/files", url));
  }
  const std::string_view authority = url.substr(colon + 3, url.substr(colon + 3).find('/'));
  const std::size_t at = authority.rfind('@');
  if (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos) {
    throw UsageError(
        "--to: a password on the command line can be read by everybody: put it into a file "
        "(--password-file) or into INOTIFIER_FORWARD_PASSWORD");
  }
  return std::string(url.substr(0, colon));
}

std::string read_secret(const std::string& file, const char* variable) {
  if (file.empty()) {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
  }
  std::ifstream in(file);
  std::string line;
  if (!in) throw SetupError(describe("open", file, errno) + ": a file with one secret is expected");
  std::getline(in, line);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) throw SetupError(file + ": the first line is empty: it is the secret");
  return line;
}

}  // namespace inotifier::forward
