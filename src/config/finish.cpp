// From what was written to what holds: the defaults that depend on other keys, and names.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/path.hpp"
#include "config/keys.hpp"

namespace inotifier::config {
namespace {

std::string shown(const Place& place) {
  return place.source->numbered ? fmt::format("line {}", place.line + 1) : place.source->name;
}

void check_names(const std::vector<WatchDraft>& watches, Problems& problems) {
  std::map<std::string, Place> seen;
  for (const auto& watch : watches) {
    if (!watch.name) continue;
    const auto [first, is_new] = seen.emplace(watch.config.name, *watch.name);
    if (is_new) continue;
    problems.add(*watch.name->source, watch.name->line, "watch.name",
                 fmt::format("two watches are called \"{}\", the first in {}", watch.config.name,
                             shown(first->second)),
                 "the name is the watch's identity: every watch needs its own");
  }
}

/// A watch without a name is called after its directory, with -2, -3 ... if that is taken.
void give_names(std::vector<WatchDraft>& watches) {
  std::set<std::string> taken;
  for (const auto& watch : watches) {
    if (watch.name) taken.insert(watch.config.name);
  }
  std::map<std::string, int> last_number;
  for (auto& watch : watches) {
    if (watch.name) continue;
    const auto base = name_from_path(watch.config.path);
    auto name = base;
    for (int& number = last_number.try_emplace(base, 1).first->second; taken.contains(name);) {
      const auto suffix = fmt::format("-{}", ++number);
      name = base.substr(0, 64 - suffix.size()) + suffix;
    }
    taken.insert(name);
    watch.config.name = name;
  }
}

/// After all have their names.
void check_previous_names(const std::vector<WatchDraft>& watches, Problems& problems) {
  std::map<std::string, Place> seen;
  for (const auto& watch : watches) {
    const std::string& name = watch.config.previous_name;
    if (name.empty() || !watch.previous_name) continue;
    const auto wrong = [&](std::string_view reason, std::string_view suggestion) {
      problems.add(*watch.previous_name->source, watch.previous_name->line, "watch.previous_name",
                   reason, suggestion);
    };
    const auto holder = std::find_if(watches.begin(), watches.end(), [&](const WatchDraft& other) {
      return other.config.name == name;
    });
    if (holder != watches.end()) {
      wrong(fmt::format("\"{}\" is the present name of {} watch", name,
                        &*holder == &watch ? "this" : "a"),
            "write the name that this watch had before, and no watch has now");
    }
    const auto [first, is_new] = seen.emplace(name, *watch.previous_name);
    if (!is_new) {
      wrong(fmt::format("two watches were called \"{}\", the first in {}", name,
                        shown(first->second)),
            "only one of them can take over what is known of it");
    }
  }
}

/// What an endpoint beyond this machine needs.
void check_security(const Draft& draft, Problems& problems) {
  const auto& security = draft.config.security;
  const auto wrong = [&](const std::optional<Place>& place, std::string_view key,
                         std::string_view reason, std::string_view suggestion) {
    if (place) problems.add(*place->source, place->line, key, reason, suggestion);
  };
  const bool has_keys = !security.server_key.empty();
  if (has_keys && security.clients.empty()) {
    wrong(draft.server_key, "security.server_key", "without clients nobody could connect",
          "write clients = \"/etc/inotifier/clients\", a directory with one public key file for "
          "each client (inotifier keygen NAME makes them)");
  }
  if (!has_keys && !security.clients.empty()) {
    wrong(draft.clients, "security.clients", "without server_key no key is asked for",
          "write server_key = \"/etc/inotifier/server.key_secret\" (inotifier keygen server)");
  }
  if (has_keys && security.insecure) {
    wrong(draft.insecure, "security.insecure", "contradicts server_key: with it keys are asked for",
          "leave one of them out");
  }
  if (has_keys || security.insecure) return;
  const auto check = [&](const std::vector<std::string>& endpoints,
                         const std::optional<Place>& place, std::string_view key) {
    for (const auto& endpoint : endpoints) {
      if (!is_beyond_loopback(endpoint)) continue;
      const auto port = endpoint.substr(endpoint.rfind(':') + 1);
      wrong(place, key,
            fmt::format("\"{}\" can be reached from other machines, and no keys are asked for: "
                        "everybody there could read the names of all files",
                        printable(endpoint)),
            fmt::format("set server_key and clients below [security] (inotifier keygen makes the "
                        "keys), or bind \"tcp://127.0.0.1:{}\" and use a tunnel (ssh, WireGuard), "
                        "or, in a network that you trust, write insecure = true below [security]",
                        port));
    }
  };
  check(draft.config.publish.endpoints, draft.publish_endpoint, "publish.endpoint");
  check(draft.config.fetch.endpoints, draft.fetch_endpoint, "fetch.endpoint");
}

/// Two sockets cannot have one endpoint.
void check_endpoints(const Draft& draft, Problems& problems) {
  std::set<std::string> taken;
  for (const auto& endpoint : draft.config.publish.endpoints) {
    if (const auto key = endpoint_key(endpoint); !key.empty()) taken.insert(key);
  }
  for (const auto& endpoint : draft.config.fetch.endpoints) {
    if (!taken.contains(endpoint_key(endpoint))) continue;
    const bool is_fetch = draft.fetch_endpoint.has_value();
    const auto& place = is_fetch ? draft.fetch_endpoint : draft.publish_endpoint;
    if (!place) continue;
    problems.add(*place->source, place->line, is_fetch ? "fetch.endpoint" : "publish.endpoint",
                 fmt::format("\"{}\" is the endpoint of [{}] as well{}", printable(endpoint),
                             is_fetch ? "publish" : "fetch",
                             is_fetch && draft.publish_endpoint
                                 ? fmt::format(", in {}", shown(*draft.publish_endpoint))
                                 : ", by default"),
                 "each needs one of its own");
  }
}

void add_missing(std::vector<std::string>& list, const std::vector<std::string>& more) {
  for (const auto& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
  }
}

void choose_events(WatchDraft& watch, Problems& problems) {
  auto& config = watch.config;
  const auto defaults = default_events(config.processor);
  if (!watch.events) {
    config.events = defaults;
    // Whoever wants renames told as file.moved wants to hear of them.
    if (config.renamed == WatchConfig::Renamed::kMoved && config.processor != "all-events") {
      add_missing(config.events, {"file.moved"});
    }
    return;
  }
  for (const auto& type : config.events) {
    if (config.processor != "all-events" || !type.starts_with("file.")) continue;
    problems.add(*watch.events->source, watch.events->line, "watch.events",
                 fmt::format("the processor \"all-events\" never says {}", type),
                 "it says what inotify says; for finished files write processor = \"completed\"");
  }
  for (const auto& type : defaults) {
    if (type.starts_with("watch.")) add_missing(config.events, {type});
  }
}

}  // namespace

void finish(Draft& draft, Problems& problems) {
  check_names(draft.watches, problems);
  for (auto& watch : draft.watches) {
    auto& config = watch.config;
    if (!watch.path) {
      problems.add(*watch.place.source, watch.place.line, "watch.path", "is missing",
                   "write the directory to watch: path = \"/srv/incoming\"");
    } else if (!watch.path_is_bad) {
      config.path = absolute(config.path);
    }
    const bool is_raw = config.processor == "all-events";
    if (!watch.exclude && !is_raw) config.exclude = kDefaultExclude;
    if (!watch.temporary && !is_raw) config.temporary = kDefaultTemporary;
    add_missing(config.temporary, watch.temporary_add);
    choose_events(watch, problems);
    if (config.require_lease && config.writer_check == WatchConfig::WriterCheck::kOff) {
      problems.add(*watch.place.source, watch.place.line, "watch.require_lease",
                   "contradicts writer_check = \"off\", which takes no lease");
    }
  }
  give_names(draft.watches);
  check_previous_names(draft.watches, problems);
  check_endpoints(draft, problems);
  check_security(draft, problems);
  for (auto& watch : draft.watches) draft.config.watches.push_back(std::move(watch.config));
  draft.watches.clear();
}

}  // namespace inotifier::config
