// inotifier status: what the daemon says of itself, its watches and its consumers.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/messages.hpp"
#include "cli/arguments.hpp"
#include "cli/consumers.hpp"
#include "cli/moment.hpp"
#include "cli/output.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

/// A health check must not hang.
constexpr std::chrono::milliseconds kCheckPatience{3000};

bool is_true(const Value* value) { return value != nullptr && *value == Value(true); }

/// "bytes", "retain_size": keys of sizes are known by their names.
std::string shown_as(const std::string& key, const Value& value) {
  const bool size =
      key == "bytes" || key == "size" || key.ends_with("_bytes") || key.ends_with("_size");
  if (size && value.integer() != nullptr) return human_size(*value.integer());
  if (const bool* yes = std::get_if<bool>(&value.v)) return *yes ? "yes" : "no";
  if (const Value::Array* items = value.array()) {
    std::string out;
    for (const Value& item : *items) out += (out.empty() ? "" : " ") + shown(&item);
    return out.empty() ? "-" : out;
  }
  return shown(&value);
}

/// "events 12, bytes 4.0 KiB": whatever a newer daemon says is shown too.
std::string listed(const Value& map) {
  std::string out;
  if (map.map() == nullptr) return shown(&map);
  for (const auto& [key, value] : *map.map()) {
    if (value.is_nil()) continue;
    if (!out.empty()) out += ", ";
    out += visible(key) + ' ' + shown_as(key, value);
  }
  return out;
}

std::string heading(const std::string& key) {
  std::string out = visible(key);
  for (char& c : out) {
    c = c == '_' ? ' ' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

/// Maps as rows; the columns are the keys in the order in which they first come.
std::string table_of(const Value::Array& maps) {
  std::vector<std::string> keys;
  for (const Value& each : maps) {
    if (each.map() == nullptr) continue;
    for (const auto& [key, value] : *each.map()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<std::string> headings;
  for (const std::string& key : keys) headings.push_back(heading(key));
  Table table(headings);
  for (const Value& each : maps) {
    std::vector<std::string> row;
    for (const std::string& key : keys) {
      const Value* value = each.find(key);
      row.push_back(value == nullptr ? "-" : shown_as(key, *value));
    }
    table.add(std::move(row));
  }
  return table.text();
}

std::string status_text(const Value& status) {
  const Nanos now = read_clocks().wall;
  std::string out = fmt::format("{}: inotifier {}, pid {}, started {}, {}\n",
                                shown(status.find("daemon")), shown(status.find("version")),
                                shown(status.find("pid")), ago(shown(status.find("started")), now),
                                is_true(status.find("ready")) ? "ready" : "NOT READY");
  if (const Value* journal = status.find("journal")) out += "journal: " + listed(*journal) + '\n';
  const Value* watches = status.find("watches");
  if (watches != nullptr && watches->array() != nullptr && !watches->array()->empty()) {
    out += '\n' + table_of(*watches->array());
  } else {
    out += "no watches\n";
  }
  const Value* unanswered = status.find("unanswered");
  if (unanswered != nullptr && unanswered->array() != nullptr) {
    for (const Value& one : *unanswered->array()) {
      out += fmt::format("\n{}: no answer to {}, called {}", shown(one.find("path")),
                         shown(one.find("call")), ago(shown(one.find("since")), now));
    }
    if (!unanswered->array()->empty()) out += '\n';
  }
  const Value* refused = status.find("refused_connections");
  if (refused != nullptr && refused->integer() != nullptr && *refused->integer() > 0) {
    out += fmt::format(
        "\n{} connections were refused for want of descriptors: raise the limit of open files\n",
        *refused->integer());
  }
  return out + '\n' + consumers_table(status);
}

int run_status(const AskArguments& arguments) {
  return ask_daemon(arguments.connection, [&](Requester& requester) {
    Value status = arguments.check ? requester.request("status", {}, kCheckPatience)
                                   : requester.request("status");
    if (arguments.check) {
      if (is_true(status.find("ready"))) return 0;
      print_message("inotifier: the daemon is not ready\n");
      return 1;
    }
    // The daemon may only count them.
    for (auto& [key, value] : std::get<Value::Map>(status.v)) {
      if (key != "consumers" || value.array() != nullptr) continue;
      const Value reply = requester.request("consumers");
      const Value* consumers = reply.find("consumers");
      value = consumers == nullptr ? Value() : *consumers;
    }
    const std::string text = arguments.output.json ? to_json(status) + '\n' : status_text(status);
    std::fwrite(text.data(), 1, text.size(), stdout);
    return 0;
  });
}

}  // namespace

Subcommand status_command() {
  return subcommand<AskArguments>(
      "status", "the daemon, its watches and its consumers",
      [](Options& options, AskArguments& arguments) {
        options.connection(arguments.connection, kFetchEndpointHelp);
        options.flag("--json", arguments.output.json, "as JSON");
        options.flag("--check", arguments.check,
                     "print nothing; exit code 0 if the daemon is ready");
      },
      run_status);
}

}  // namespace inotifier
