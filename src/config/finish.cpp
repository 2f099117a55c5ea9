// From what was written to what holds: defaults and rules that concern several keys.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/path.hpp"
#include "config/keys.hpp"

namespace inotifier::config {
namespace {

using Strings = std::vector<std::string>;

std::string shown(const Origin& origin) {
  return origin.source->numbered ? fmt::format("line {}", origin.line + 1) : origin.source->name;
}

/// Where a value that will do was written; null if there is none.
const Origin* origin_of(const Given& given, std::string_view key) {
  const auto found = given.find(key);
  return found == given.end() || !found->second.good ? nullptr : &found->second;
}

/// Values that contradict others are told where they were written; a default contradicts nothing.
class Rules {
 public:
  Rules(Draft& draft, Problems& problems) : draft_(draft), problems_(problems) {}

  void run() {
    for (auto& watch : draft_.watches) complete(watch);
    check_twice("watch.name", &WatchConfig::name, "two watches are called",
                "the name is the watch's identity: every watch needs its own");
    give_names();
    check_previous_names();
    check_endpoints();
    check_security();
  }

 private:
  void wrong(const Given& given, std::string_view key, std::string_view reason,
             std::string_view suggestion) {
    const Origin* origin = origin_of(given, key);
    if (origin != nullptr) problems_.add(*origin->source, origin->line, key, reason, suggestion);
  }

  static void add_missing(Strings& list, const Strings& more) {
    for (const auto& item : more) {
      if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
    }
  }

  /// What depends on other keys of the same watch.
  void complete(WatchDraft& watch) {
    auto& config = watch.config;
    if (!watch.given.contains("watch.path")) {
      problems_.add(*watch.origin.source, watch.origin.line, "watch.path", "is missing",
                    "write the directory to watch: path = \"/srv/incoming\"");
    } else if (!config.path.empty()) {
      config.path = absolute(config.path);
    }
    const bool is_raw = publishes_records(config.processor);
    if (!watch.given.contains("watch.exclude") && !is_raw) config.exclude = kDefaultExclude;
    if (!watch.given.contains("watch.temporary") && !is_raw) config.temporary = kDefaultTemporary;
    add_missing(config.temporary, config.temporary_add);
    config.temporary_add.clear();
    choose_events(watch);
    if (config.require_lease && config.writer_check == WatchConfig::WriterCheck::kOff) {
      problems_.add(*watch.origin.source, watch.origin.line, "watch.require_lease",
                    "contradicts writer_check = \"off\", which takes no lease");
    }
  }

  void choose_events(WatchDraft& watch) {
    auto& config = watch.config;
    auto defaults = default_events(config.processor);
    const bool is_raw = publishes_records(config.processor);
    if (origin_of(watch.given, "watch.events") == nullptr) {
      // Who wants file.moved for renames wants it published.
      const bool moved = config.renamed == WatchConfig::Renamed::kMoved && !is_raw;
      config.events = std::move(defaults);
      if (moved) add_missing(config.events, {"file.moved"});
      return;
    }
    if (config.events.empty()) {
      wrong(watch.given, "watch.events", "an empty list: nothing would be published",
            "leave it out for the processor's default");
    }
    for (const auto& type : config.events) {
      if (!is_raw || !type.starts_with("file.")) continue;
      wrong(watch.given, "watch.events",
            fmt::format("the processor \"all-events\" never says {}", type),
            "it says what inotify says; for finished files write processor = \"completed\"");
    }
    Strings events;
    add_missing(events, config.events);  // each once
    for (const auto& type : defaults) {
      if (type.starts_with("watch.")) add_missing(events, {type});
    }
    config.events = std::move(events);
  }

  /// That no two watches have the same value.
  void check_twice(std::string_view key, std::string WatchConfig::*field, std::string_view reason,
                   std::string_view suggestion) {
    std::map<std::string_view, const Origin*> seen;
    for (const auto& watch : draft_.watches) {
      const std::string& value = watch.config.*field;
      const Origin* origin = origin_of(watch.given, key);
      if (origin == nullptr || value.empty()) continue;
      const auto [first, is_new] = seen.emplace(value, origin);
      if (is_new) continue;
      wrong(watch.given, key,
            fmt::format("{} \"{}\", the first in {}", reason, value, shown(*first->second)),
            suggestion);
    }
  }

  /// A watch without a name is called after its directory, with -2, -3 ... if that is taken.
  void give_names() {
    std::set<std::string> taken;
    for (const auto& watch : draft_.watches) taken.insert(watch.config.name);
    std::map<std::string, int> last_number;
    for (auto& [config, origin, given] : draft_.watches) {
      if (!config.name.empty()) continue;
      const auto base = name_from_path(config.path);
      config.name = base;
      for (int& number = last_number.try_emplace(base, 1).first->second;
           taken.contains(config.name);) {
        const auto suffix = fmt::format("-{}", ++number);
        config.name = base.substr(0, 64 - suffix.size()) + suffix;
      }
      taken.insert(config.name);
    }
  }

  /// After all have their names.
  void check_previous_names() {
    const auto& watches = draft_.watches;
    for (const auto& watch : watches) {
      const std::string& name = watch.config.previous_name;
      const auto holder = std::find_if(watches.begin(), watches.end(), [&](const auto& other) {
        return other.config.name == name;
      });
      if (holder == watches.end()) continue;
      wrong(watch.given, "watch.previous_name",
            fmt::format("\"{}\" is the present name of {} watch", name,
                        &*holder == &watch ? "this" : "a"),
            "write the name that this watch had before, and no watch has now");
    }
    check_twice("watch.previous_name", &WatchConfig::previous_name, "two watches were called",
                "only one of them can take over what is known of it");
  }

  /// Two sockets cannot have one endpoint.
  void check_endpoints() {
    std::map<std::string, std::string_view> taken;  // by endpoint_key(): whose it is
    for (const auto& [key, list] : {std::pair{"publish.endpoint", &draft_.config.publish.endpoints},
                                    {"fetch.endpoint", &draft_.config.fetch.endpoints}}) {
      if (list->empty()) {
        wrong(draft_.given, key, "an empty list: there would be nothing to connect to",
              "leave it out for the default");
      }
      for (const auto& endpoint : *list) {
        const auto socket = endpoint_key(endpoint);
        const auto [first, is_new] = taken.emplace(socket, key);
        if (is_new || socket.empty()) continue;
        if (first->second == key) {
          wrong(draft_.given, key, fmt::format("\"{}\" is there twice", endpoint), "");
        } else {
          check_shared(endpoint);
        }
      }
    }
  }

  /// `endpoint` is that of publish and of fetch.
  void check_shared(const std::string& endpoint) {
    const bool is_fetch = origin_of(draft_.given, "fetch.endpoint") != nullptr;
    const auto* publish = origin_of(draft_.given, "publish.endpoint");
    wrong(draft_.given, is_fetch ? "fetch.endpoint" : "publish.endpoint",
          fmt::format("\"{}\" is the endpoint of [{}] as well{}", printable(endpoint),
                      is_fetch ? "publish" : "fetch",
                      is_fetch && publish != nullptr ? fmt::format(", in {}", shown(*publish))
                                                     : ", by default"),
          "each needs one of its own");
  }

  /// What an endpoint beyond this machine needs.
  void check_security() {
    const auto& security = draft_.config.security;
    const auto& given = draft_.given;
    const bool has_keys = !security.server_key.empty();
    if (has_keys && security.clients.empty()) {
      wrong(given, "security.server_key", "without clients nobody could connect",
            "write clients = \"/etc/inotifier/clients\", a directory with one public key file for "
            "each client (inotifier keygen NAME makes them)");
    }
    if (!has_keys && !security.clients.empty()) {
      wrong(given, "security.clients", "without server_key no key is asked for",
            "write server_key = \"/etc/inotifier/server.key_secret\" (inotifier keygen server)");
    }
    if (has_keys && security.insecure) {
      wrong(given, "security.insecure", "contradicts server_key: with it keys are asked for",
            "leave one of them out");
    }
    if (has_keys || security.insecure) return;
    check_loopback("publish.endpoint", draft_.config.publish.endpoints);
    check_loopback("fetch.endpoint", draft_.config.fetch.endpoints);
  }

  void check_loopback(std::string_view key, const Strings& endpoints) {
    for (const auto& endpoint : endpoints) {
      if (!is_beyond_loopback(endpoint)) continue;
      wrong(draft_.given, key,
            fmt::format("\"{}\" can be reached from other machines, and no keys are asked for: "
                        "everybody there could read the names of all files",
                        printable(endpoint)),
            fmt::format("set server_key and clients below [security] (inotifier keygen makes the "
                        "keys), or bind \"tcp://127.0.0.1:{}\" and use a tunnel (ssh, WireGuard), "
                        "or, in a network that you trust, write insecure = true below [security]",
                        endpoint.substr(endpoint.rfind(':') + 1)));
    }
  }

  Draft& draft_;
  Problems& problems_;
};

}  // namespace

void finish(Draft& draft, Problems& problems) {
  Rules(draft, problems).run();
  auto& security = draft.config.security;
  for (auto* path : {&draft.config.journal.path, &security.server_key, &security.clients}) {
    if (!path->empty()) *path = absolute(*path);
  }
  for (auto& watch : draft.watches) draft.config.watches.push_back(std::move(watch.config));
}

}  // namespace inotifier::config
