// What `check` says of the daemon's own: its journal, its keys, who can connect.
#include <fmt/format.h>
#include <grp.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "cli/findings.hpp"
#include "cli/output.hpp"
#include "config/load.hpp"
#include "config/rules.hpp"
#include "endpoint/allow_list.hpp"

namespace inotifier {
namespace {

using Level = Finding::Level;

/// "1.4 GiB": of what has no round size.
std::string rough_size(std::int64_t bytes) {
  auto number = static_cast<double>(bytes);
  for (const auto* unit : {"bytes", "KiB", "MiB", "GiB"}) {
    if (number < 1024) return fmt::format("{:.{}f} {}", number, number < 10 ? 1 : 0, unit);
    number /= 1024;
  }
  return fmt::format("{:.1f} TiB", number);
}

/// A file that a client must keep to itself has no business in the daemon's directory.
void look_for_secrets(const std::string& directory, Findings& findings) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const auto path = it->path().string();
    bool has_secret = path.ends_with(".key_secret");
    if (path.ends_with(".key")) {
      try {
        has_secret = !read_keys(path).secret_key.empty();
      } catch (const SetupError&) {
        continue;  // told as what it is: no key file
      }
    }
    if (!has_secret) continue;
    findings.push_back(
        {Level::kWarning,
         fmt::format("{} holds a secret key, which only its client should have", visible(path)),
         "put the public file there instead (NAME.key), and make new keys if others "
         "may have read it"});
  }
}

void judge_keys(const Config& config, Findings& findings) {
  const auto& security = config.security;
  if (zmq_has("curve") == 0) {
    findings.push_back({Level::kError,
                        "this libzmq was built without CURVE, so keys cannot be used",
                        "install one that has it, as Debian's libzmq5"});
  }
  try {
    const auto keys = read_secret_keys(security.server_key);
    findings.push_back(
        {Level::kOk, fmt::format("the daemon's public key is {}", keys.public_key), ""});
  } catch (const SetupError& error) {
    findings.push_back({Level::kError, fmt::format("server_key: {}", visible(error.what())), ""});
  }
  try {
    const AllowList list(security.clients);
    const auto problems = list.problems();
    for (const auto& problem : problems) {
      findings.push_back({Level::kWarning, visible(problem), ""});
    }
    if (list.size() == 0) {
      findings.push_back({Level::kWarning,
                          fmt::format("{} holds no client's key: nobody could connect over tcp",
                                      visible(security.clients)),
                          "inotifier keygen NAME makes NAME.key, which belongs there"});
    } else {
      findings.push_back({Level::kOk,
                          fmt::format("{} client{} may connect over tcp, {} of them may change "
                                      "something (access = \"all\")",
                                      list.size(), list.size() == 1 ? "" : "s", list.size_all()),
                          ""});
    }
  } catch (const SetupError& error) {
    findings.push_back({Level::kError, visible(error.what()), ""});
  }
  look_for_secrets(security.clients, findings);
}

void judge_group(const std::string& name, Findings& findings) {
  if (name.empty()) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  const group* found = ::getgrnam(name.c_str());
  if (found == nullptr) {
    findings.push_back({Level::kError, fmt::format("there is no group \"{}\"", visible(name)),
                        fmt::format("groupadd --system {}, or group = \"\"", visible(name))});
    return;
  }
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  ::getgroups(static_cast<int>(groups.size()), groups.data());
  if (::geteuid() == 0 || ::getegid() == found->gr_gid ||
      std::find(groups.begin(), groups.end(), found->gr_gid) != groups.end()) {
    findings.push_back({Level::kOk,
                        fmt::format("members of group {} can connect to the ipc endpoints", name),
                        ""});
    return;
  }
  findings.push_back({Level::kWarning,
                      fmt::format("uid {} is no member of group {}, and cannot give sockets to it",
                                  ::geteuid(), visible(name)),
                      "run check as the user of the daemon, or make it a member"});
}

}  // namespace

Findings judge(const Config::Journal& journal, const JournalSurvey& found) {
  Findings findings;
  if (found.remote) {
    findings.push_back({Level::kError,
                        fmt::format("{} is on a network or FUSE file system, where locks and a "
                                    "crash cannot be trusted",
                                    visible(found.directory)),
                        "choose a path on a local disk: path below [journal]"});
    return findings;
  }
  if (found.error != 0) {
    findings.push_back({Level::kError,
                        fmt::format("{} cannot be {} by uid {}: {} {}", visible(journal.path),
                                    found.is_there ? "written" : "made", ::geteuid(),
                                    visible(found.directory), error_text(found.error)),
                        "run check as the user of the daemon, make the directory for it, or choose "
                        "another path below [journal]"});
  } else {
    findings.push_back({Level::kOk,
                        fmt::format("{}, {}", found.type.empty() ? "local" : found.type,
                                    found.is_there ? fmt::format("{} used", rough_size(found.used))
                                                   : "to be made"),
                        ""});
  }
  if (found.free < 0) return findings;
  const auto text = fmt::format("{} free, retain_size = {}", rough_size(found.free),
                                size_text(journal.retain_size));
  if (found.free + found.used < journal.retain_size) {
    findings.push_back({Level::kWarning, text + ": the disk would be full before old events go",
                        "make room, or lower retain_size"});
  } else {
    findings.push_back({Level::kOk, text, ""});
  }
  return findings;
}

Findings judge_security(const Config& config) {
  Findings findings;
  const auto& security = config.security;
  bool has_tcp = false;
  bool is_beyond = false;
  for (const auto* endpoints : {&config.publish.endpoints, &config.fetch.endpoints}) {
    for (const auto& endpoint : *endpoints) {
      has_tcp = has_tcp || endpoint.starts_with("tcp://");
      if (!config::is_beyond_loopback(endpoint) || !security.insecure) {
        is_beyond = is_beyond || config::is_beyond_loopback(endpoint);
        continue;
      }
      is_beyond = true;
      findings.push_back({Level::kWarning,
                          fmt::format("{} asks for no keys (insecure = true): everybody who "
                                      "reaches it can read the names of all files",
                                      visible(endpoint)),
                          "set server_key and clients below [security]"});
    }
  }
  if (!security.server_key.empty()) judge_keys(config, findings);
  if (!security.server_key.empty() && !has_tcp) {
    findings.push_back(
        {Level::kNote, "no endpoint is tcp://, so no keys are asked for: ipc needs none", ""});
  }
  if (security.server_key.empty() && has_tcp && !is_beyond) {
    findings.push_back(
        {Level::kNote, "tcp endpoints without keys: every user of this machine can connect", ""});
  }
  if (security.insecure && !is_beyond) {
    findings.push_back({Level::kNote, "insecure = true is not needed: nothing is beyond loopback",
                        "leave it out"});
  }
  judge_group(security.group, findings);
  if (findings.empty()) {
    findings.push_back({Level::kOk, "only the daemon's user and group can connect (ipc)", ""});
  }
  return findings;
}

}  // namespace inotifier
