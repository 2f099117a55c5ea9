#include "support/sandbox.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace inotifier::testing {

Sandbox::Sandbox(const std::string& place) : path_(place + "/inotifier-test-XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp in " + place);
}

Sandbox::~Sandbox() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> Sandbox::places() {
  const char* given = std::getenv("TMPDIR");
  std::vector<std::string> places{given != nullptr && *given != '\0' ? given : "/tmp"};
  if (::access("/dev/shm", W_OK) == 0) places.emplace_back("/dev/shm");
  return places;
}

}  // namespace inotifier::testing
