#include "config/rules.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>

#include "base/endpoint.hpp"
#include "base/names.hpp"
#include "base/path.hpp"
#include "config/config.hpp"
#include "config/tree.hpp"
#include "wire/event_types.hpp"

namespace inotifier::config {
namespace {

// unix(7): sun_path holds 108 bytes, the terminating zero included.
constexpr std::size_t kLongestSocketPath = sizeof(sockaddr_un::sun_path) - 1;

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<ValidationError> check_ipc(std::string_view path) {
  if (path.empty()) return ValidationError{"has no path", "as in \"ipc:///run/inotifier/publish\""};
  if (path == "*") {
    return ValidationError{"nobody would know where it is",
                           "as in \"ipc:///run/inotifier/publish\""};
  }
  if (path[0] == '@') {
    return ValidationError{"an abstract socket has no file mode, so everybody could connect",
                           "write the path of a file, as in \"ipc:///run/inotifier/publish\""};
  }
  if (path[0] != '/') {
    return ValidationError{
        "the path must be absolute: clients have current directories of their own",
        fmt::format("did you mean \"ipc:///{}\"?", printable(path))};
  }
  if (has_control(path)) return ValidationError{"the path holds a control character", ""};
  if (path.back() == '/')
    return ValidationError{"the path is that of a directory", "add a file name"};
  if (path.size() > kLongestSocketPath) {
    return ValidationError{fmt::format("the path has {} bytes; a unix socket's can have {}",
                                       path.size(), kLongestSocketPath),
                           "choose a shorter directory"};
  }
  return std::nullopt;
}

std::optional<ValidationError> check_tcp(const Endpoint& endpoint) {
  const std::string_view port_text = endpoint.port;
  const std::string host(endpoint.host);
  unsigned port = 0;
  const auto [end, error] =
      std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  const bool is_number = error == std::errc{} && end == port_text.data() + port_text.size();
  if (port_text != "*" && (!is_number || port < 1 || port > 65535)) {
    return ValidationError{"has no port from 1 to 65535", "as in \"tcp://127.0.0.1:7556\""};
  }
  if (host == "localhost" || host == "lo") {
    return ValidationError{"binding takes an address, not a name",
                           fmt::format("did you mean \"tcp://127.0.0.1:{}\"?", port_text)};
  }
  if (host.empty()) {
    return ValidationError{"has no address", fmt::format("\"tcp://127.0.0.1:{}\" for this machine "
                                                         "alone, \"tcp://*:{}\" for all others",
                                                         port_text, port_text)};
  }
  if (host.find_first_of(" \t/;,") != std::string::npos || has_control(host)) {
    return ValidationError{fmt::format("\"{}\" is no address", printable(host)),
                           "as in \"tcp://127.0.0.1:7556\""};
  }
  return std::nullopt;
}

}  // namespace

std::optional<ValidationError> check_endpoint(std::string_view text) {
  const Endpoint endpoint(text);
  if (endpoint.is_ipc()) return check_ipc(endpoint.address);
  if (endpoint.is_tcp()) return check_tcp(endpoint);
  ValidationError error{"an endpoint begins with ipc:// or tcp://",
                        "as in \"ipc:///run/inotifier/publish\" or \"tcp://127.0.0.1:7556\""};
  if (text.starts_with("/")) {
    error.suggestion = fmt::format("did you mean \"ipc://{}\"?", printable(text));
  } else if (const std::string tcp = fmt::format("tcp://{}", text); !check_tcp(Endpoint(tcp))) {
    error.suggestion = fmt::format("did you mean \"{}\"?", tcp);
  }
  return error;
}

std::string endpoint_key(std::string_view text) {
  const Endpoint endpoint(text);
  if (endpoint.is_ipc()) return "ipc://" + absolute(endpoint.address);
  return endpoint.port == "*" ? "" : std::string(text);  // two wildcards are two ports
}

bool is_beyond_loopback(std::string_view text) {
  const Endpoint endpoint(text);
  if (!endpoint.is_tcp()) return false;
  const std::string host(endpoint.bare_host());
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) != 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) != 1 || !IN6_IS_ADDR_LOOPBACK(&v6);
}

std::optional<ValidationError> check_watch_name(std::string_view name) {
  if (is_name(name)) return std::nullopt;
  return ValidationError{
      "a name is a letter or digit, then at most 63 letters, digits, \"_\" and \"-\"",
      name.empty() ? "" : fmt::format("for example \"{}\"", name_from_path(name))};
}

std::optional<ValidationError> check_daemon_name(std::string_view name) {
  if (is_daemon_name(name)) return std::nullopt;
  return ValidationError{
      "a daemon's name is a letter or digit, then at most 63 letters, digits, \".\", \"_\", \"-\"",
      "it becomes the host in the source of every event: //<name>/<watch>"};
}

std::optional<ValidationError> check_path(std::string_view path) {
  if (path.empty()) return ValidationError{"is empty", "write the directory"};
  if (path.find('\0') != std::string_view::npos) return ValidationError{"holds a zero byte", ""};
  if (path == "~" || path.starts_with("~/")) {
    return ValidationError{"\"~\" is not expanded here: a daemon has no home directory",
                           "write the whole path"};
  }
  return std::nullopt;
}

std::optional<ValidationError> check_group(std::string_view name) {
  if (has_control(name) || name.find_first_of(" :,/") != std::string_view::npos) {
    return ValidationError{"that is no name of a group", "as in \"inotifier\"; \"\" for none"};
  }
  return std::nullopt;
}

std::optional<ValidationError> check_pattern(std::string_view pattern) {
  if (pattern.empty()) return ValidationError{"an empty pattern matches nothing", "leave it out"};
  if (has_control(pattern)) return ValidationError{"the pattern holds a control character", ""};
  if (pattern[0] == '/') {
    return ValidationError{"patterns with a slash are relative to the watch's path, never absolute",
                           fmt::format("did you mean \"{}\"?", printable(pattern.substr(1)))};
  }
  if (pattern.starts_with("./")) {
    return ValidationError{"patterns with a slash are relative to the watch's path as it is",
                           fmt::format("did you mean \"{}\"?", printable(pattern.substr(2)))};
  }
  if (pattern.ends_with('/')) {
    return ValidationError{"no path ends with a slash, so this matches nothing",
                           fmt::format("did you mean \"{}**\"?", printable(pattern))};
  }
  return std::nullopt;
}

std::optional<ValidationError> check_path_or_none(std::string_view path) {
  return path.empty() ? std::nullopt : check_path(path);
}

std::optional<ValidationError> check_journal_path(std::string_view path) {
  if (path.empty()) {
    return ValidationError{"is empty",
                           "write the path of the database, or leave it out for the default"};
  }
  if (path.ends_with('/')) {
    return ValidationError{"the path is that of a directory",
                           fmt::format("did you mean \"{}journal.db\"?", printable(path))};
  }
  return check_path(path);
}

std::optional<ValidationError> check_previous_name(std::string_view name) {
  return name.empty() ? std::nullopt : check_watch_name(name);
}

std::optional<ValidationError> check_event_type(std::string_view type) {
  const auto& known = published_types();
  if (std::find(known.begin(), known.end(), type) != known.end()) return std::nullopt;
  return ValidationError{fmt::format("\"{}\" is no type of event", printable(type)),
                         suggest(type, known)};
}

std::string name_from_path(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto last = path.substr(path.rfind('/') + 1);
  std::string name;
  for (const char c : last) {
    // A character of several bytes becomes one dash.
    if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80U) continue;
    name += is_alphanumeric(c) || c == '_' || c == '-' ? c : '-';
  }
  name.erase(0, std::min(name.find_first_not_of("-_"), name.size()));
  if (name.size() > kLongestName) name.resize(kLongestName);
  if (name.empty()) return path == "/" ? "root" : "watch";
  return name;
}

}  // namespace inotifier::config
