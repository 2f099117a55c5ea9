// Where a client looks for the daemon when no endpoint is given: clients/README.md, "Endpoints".
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

#include "base/endpoint.hpp"
#include "base/fallback_directory.hpp"
#include "client/connection.hpp"

namespace inotifier {
namespace {

std::string_view socket_of(Peer peer) { return peer == Peer::kPublisher ? "publish" : "fetch"; }

const char* variable_of(Peer peer) {
  return peer == Peer::kPublisher ? "INOTIFIER_PUBLISH_ENDPOINT" : "INOTIFIER_FETCH_ENDPOINT";
}

/// "" if it is not set.
std::string in_environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

bool is_there(const std::string& path) {
  struct stat there {};
  return ::lstat(path.c_str(), &there) == 0;
}

/// One endpoint, or a list of them as the daemon takes it: ["ipc://...", "tcp://..."], or a,b.
std::vector<std::string> endpoints_in(const std::string& text) {
  constexpr const char* kNoEndpoint = "[]\"', ";
  std::vector<std::string> endpoints;
  for (auto begin = text.find_first_not_of(kNoEndpoint); begin != std::string::npos;) {
    const auto end = text.find_first_of(",\"'", begin);
    const auto last = text.find_last_not_of(' ', end == std::string::npos ? end : end - 1);
    endpoints.push_back(text.substr(begin, last - begin + 1));
    begin = text.find_first_not_of(kNoEndpoint, end);
  }
  return endpoints.empty() ? std::vector{text} : endpoints;
}

/// An address that the daemon binds to, as one to connect to: "every interface" is this machine.
std::string to_connect(const std::string& text) {
  const Endpoint endpoint(text);
  if (!endpoint.is_tcp()) return text;
  if (endpoint.host == "*" || endpoint.host == "0.0.0.0") {
    return fmt::format("tcp://127.0.0.1:{}", endpoint.port);
  }
  return endpoint.host == "[::]" ? fmt::format("tcp://[::1]:{}", endpoint.port) : text;
}

/// Sockets that a daemon makes without being told where, the person's own first.
std::vector<std::string> sockets(Peer peer) {
  std::string runtime = in_environment("XDG_RUNTIME_DIR");
  // Not in the environment of cron and others, and the daemon's all the same.
  if (!runtime.starts_with('/')) runtime = fmt::format("/run/user/{}", ::geteuid());
  while (runtime.ends_with('/')) runtime.pop_back();
  return {fmt::format("{}/inotifier/{}", runtime, socket_of(peer)),
          fmt::format("{}/{}", fallback_directory("/tmp"), socket_of(peer)),
          fmt::format("/run/inotifier/{}", socket_of(peer))};
}

/// Whether nobody else can have put it there: everybody may write to /tmp.
bool may_be_used(const std::string& path) {
  const std::string fallback = fallback_directory("/tmp");
  return !path.starts_with(fallback + '/') || why_not_ours(fallback).empty();
}

}  // namespace

std::string default_endpoint(Peer peer) {
  if (const std::string given = in_environment(variable_of(peer)); !given.empty()) {
    const auto endpoints = endpoints_in(given);
    for (const std::string& each : endpoints) {
      const Endpoint endpoint(each);
      if (endpoint.is_ipc() && is_there(std::string(endpoint.address))) return each;
    }
    return to_connect(endpoints.front());
  }
  const auto all = sockets(peer);
  for (const std::string& path : all) {
    if (is_there(path) && may_be_used(path)) return "ipc://" + path;
  }
  return "ipc://" + all.back();
}

std::string default_publish_endpoint() { return default_endpoint(Peer::kPublisher); }
std::string default_fetch_endpoint() { return default_endpoint(Peer::kFetch); }

ConnectionError with_places(const ConnectionError& error, Peer peer) {
  if (error.reason != ConnectionError::Reason::kNothingListens) return error;
  const char* variable = variable_of(peer);
  const std::string given = in_environment(variable);
  return {error.reason, given.empty()
                            ? fmt::format("{} Looked for {}; {} names another place", error.what(),
                                          fmt::join(sockets(peer), ", "), variable)
                            : fmt::format("{} The endpoint is from {}", error.what(), variable)};
}

}  // namespace inotifier
