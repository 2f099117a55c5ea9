#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/fallback_directory.hpp"
#include "base/path.hpp"
#include "config/keys.hpp"
#include "wire/event_types.hpp"

namespace inotifier {
namespace {

/// Started by the system, not by a person: endpoints and journal have their places accordingly.
bool is_service() {
  return ::geteuid() == 0 || ::faccessat(AT_FDCWD, "/run/inotifier", W_OK | X_OK, AT_EACCESS) == 0;
}

/// "" if the variable is not set, or is not absolute, which the XDG base directory specification
/// ignores. Without a trailing slash.
std::string absolute_in(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  if (found == environment.end() || !found->second.starts_with('/')) return {};
  return found->second.substr(0, found->second.find_last_not_of('/') + 1);
}

}  // namespace

// Receivers' and browsers' names for what is not finished; ".*.??????" is rsync's, ".in.*" that of
// FTP servers.
const std::vector<std::string> kDefaultTemporary{"*.part",       "*.partial", "*.tmp", "*.filepart",
                                                 "*.crdownload", ".*.??????", ".in.*"};
const std::vector<std::string> kDefaultExclude{".*", "*~"};

const std::vector<std::string>& known_processors() {
  static const std::vector<std::string> kProcessors = [] {
    std::vector<std::string> names;
    for (const ProcessorKind& kind : processor_kinds()) names.emplace_back(kind.name);
    return names;
  }();
  return kProcessors;
}

bool publishes_records(const std::string& processor) {
  const auto& kinds = processor_kinds();
  return std::any_of(kinds.begin(), kinds.end(), [&](const ProcessorKind& kind) {
    return kind.name == processor && kind.publishes == ProcessorKind::Publishes::kRecords;
  });
}

std::vector<std::string> default_events(const std::string& processor) {
  std::vector<std::string> types = publishes_records(processor)
                                       ? raw_type_names()
                                       : std::vector<std::string>{"file.completed", "file.stalled"};
  types.insert(types.end(), watch_types().begin(), watch_types().end());
  return types;
}

namespace config {

std::string default_daemon_name() {
  char buffer[HOST_NAME_MAX + 1] = {};
  ::gethostname(buffer, sizeof buffer - 1);
  std::string name(buffer);
  for (char& c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!good && c != '.' && c != '_') c = '-';
  }
  name.erase(0, std::min(name.find_first_not_of("-._"), name.size()));
  return name.empty() ? "localhost" : name;
}

std::string default_endpoint(const Environment& environment, std::string_view what) {
  if (is_service()) return fmt::format("ipc:///run/inotifier/{}", what);
  const auto runtime = absolute_in(environment, "XDG_RUNTIME_DIR");
  if (!runtime.empty()) return fmt::format("ipc://{}/inotifier/{}", runtime, what);
  return fmt::format("ipc://{}/{}", fallback_directory("/tmp"), what);
}

std::string default_journal(const Environment& environment) {
  if (is_service()) return "/var/lib/inotifier/journal.db";
  const auto state = absolute_in(environment, "XDG_STATE_HOME");
  if (!state.empty()) return absolute(state + "/inotifier/journal.db");
  const auto home = absolute_in(environment, "HOME");
  if (!home.empty()) return absolute(home + "/.local/state/inotifier/journal.db");
  return fallback_directory("/var/tmp") + "/journal.db";  // outlives a reboot
}

std::string default_group() {
  constexpr const char* kGroup = "inotifier";
  if (!is_service()) return {};
  std::array<char, 16384> buffer{};
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r(kGroup, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  // chown(2): who is not root can give a file only to groups of his own.
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  groups.resize(static_cast<std::size_t>(
      std::max(::getgroups(static_cast<int>(groups.size()), groups.data()), 0)));
  const bool may = ::geteuid() == 0 || ::getegid() == entry.gr_gid ||
                   std::find(groups.begin(), groups.end(), entry.gr_gid) != groups.end();
  return may ? kGroup : "";
}

}  // namespace config
}  // namespace inotifier
