// inotifier consumers, forget, seek, update, failed, retry: one request each to the daemon.
#include "cli/consumers.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/messages.hpp"
#include "base/suggest.hpp"
#include "cli/arguments.hpp"
#include "cli/moment.hpp"
#include "cli/output.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

constexpr int kFailedPage = 256;

const Value::Array& list_in(const Value& map, std::string_view key) {
  static const Value::Array kNone;
  const Value* list = map.find(key);
  return list == nullptr || list->array() == nullptr ? kNone : *list->array();
}

std::string texts_of(const Value& map, std::string_view key) {
  std::string out;
  for (const Value& each : list_in(map, key)) {
    if (!out.empty()) out += ' ';
    out += shown(&each);
  }
  return out.empty() ? "all" : out;
}

int ask(const AskArguments& arguments, const std::function<int(Requester&)>& request) {
  return ask_daemon(arguments.connection, request, arguments.name);
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

/// Of a command that asks about consumer NAME.
void describe_named(Options& options, AskArguments& arguments) {
  options.required("NAME", arguments.name, "of the consumer");
  options.connection(arguments.connection, kFetchEndpointHelp);
}

void print_failure(const Value& failure, Table& table, Nanos now) {
  const Value* event = failure.find("event");
  std::string path;
  if (event != nullptr && event->map() != nullptr) {
    try {
      const Event decoded = decode(encode_value(*event));
      path = decoded.path().empty() ? decoded.type : decoded.path();
    } catch (const WireError&) {  // its position is all there is to say
    }
  }
  table.add({shown(failure.find("position")), ago(shown(failure.find("time")), now),
             shown(failure.find("tries")), shown(failure.find("reason")), visible(path)});
}

}  // namespace

std::string shown(const Value* value) {
  if (value == nullptr) return "-";
  if (const std::string* text = value->text()) return visible(*text);
  return visible(to_json(*value));
}

int ask_daemon(const Connection& connection, const std::function<int(Requester&)>& request,
               const std::string& consumer) {
  try {
    Requester requester(connection);
    try {
      return request(requester);
    } catch (const RequestError& error) {
      print_message("inotifier: {}\n", refusal(requester, consumer, error));
    }
  } catch (const ConnectionError& error) {
    print_message("inotifier: {}\n", error.what());
  } catch (const RequestError& error) {
    print_message("inotifier: {}\n", error.what());
  }
  return 1;
}

std::string refusal(Requester& requester, const std::string& name, const RequestError& error) {
  const std::string message = error.what();
  if (error.code != "unknown_consumer") return message;
  std::vector<std::string> names;
  const Value reply = requester.request("consumers");
  for (const Value& each : list_in(reply, "consumers")) names.push_back(shown(each.find("name")));
  if (names.empty()) return fmt::format("there is no consumer \"{}\", and no other", visible(name));
  return fmt::format("there is no consumer \"{}\": {}", visible(name), suggest(name, names));
}

std::string consumers_table(const Value& reply) {
  const Nanos now = read_clocks().wall;
  Table table(
      {"NAME", "BEHIND", "FAILED", "WORKER", "LAST SEEN", "POSITION", "TYPES", "WATCHES", "LOST"});
  for (const Value& each : list_in(reply, "consumers")) {
    const Value* owned = each.find("owned");
    const bool has_worker = owned != nullptr && *owned == Value(true);
    const Value* lost = each.find("lost");
    table.add({shown(each.find("name")), shown(each.find("behind")), shown(each.find("failed")),
               has_worker ? "yes" : "no", ago(shown(each.find("last_seen")), now),
               shown(each.find("position")), texts_of(each, "types"), texts_of(each, "watches"),
               lost == nullptr ? "-"
                               : fmt::format("{} to {}", shown(lost->find("first")),
                                             shown(lost->find("last")))});
  }
  return table.empty() ? "no consumers\n" : table.text();
}

namespace {

int run_consumers(const AskArguments& arguments) {
  return ask(arguments, [&](Requester& requester) {
    const Value reply = requester.request("consumers");
    if (arguments.output.json) {
      for (const Value& each : list_in(reply, "consumers")) print(to_json(each) + '\n');
    } else {
      print(consumers_table(reply));
    }
    return 0;
  });
}

int run_forget(const AskArguments& arguments) {
  return ask(arguments, [&](Requester& requester) {
    requester.request("forget", {{"consumer", arguments.name}});
    fmt::print("{} is forgotten\n", visible(arguments.name));
    return 0;
  });
}

int run_seek(const AskArguments& arguments) {
  const JournalPoint point = parse_journal_point(arguments.to, read_clocks().wall);
  return ask(arguments, [&](Requester& requester) {
    const Value reply =
        requester.request("seek", {{"consumer", arguments.name}, {"to", point.text}});
    fmt::print("{} goes on after {}\n", visible(arguments.name), shown(reply.find("position")));
    return 0;
  });
}

int run_update(const AskArguments& arguments) {
  const auto wanted = [](const std::vector<std::string>& names, bool all, const char* what) {
    if (all && !names.empty()) {
      throw UsageError(fmt::format("--all-{0} and names of {0}: only one of them", what));
    }
    return all || !names.empty() ? std::optional(names) : std::nullopt;
  };
  const auto types = wanted(arguments.types, arguments.all_types, "types");
  const auto watches = wanted(arguments.watches, arguments.all_watches, "watches");
  if (!types && !watches) {
    throw UsageError("nothing to change: give types, --watch NAME, --all-types or --all-watches");
  }
  check_types(arguments.types);
  return ask(arguments, [&](Requester& requester) {
    requester.update(arguments.name, types, watches);
    const Value reply = requester.request("consumers");
    for (const Value& each : list_in(reply, "consumers")) {
      if (shown(each.find("name")) != arguments.name) continue;
      fmt::print("{} gets types: {}; watches: {}\n", visible(arguments.name),
                 texts_of(each, "types"), texts_of(each, "watches"));
    }
    return 0;
  });
}

int run_failed(const AskArguments& arguments) {
  const OutputOptions& output = arguments.output;
  const bool as_events = output.nul || !output.format.empty();
  Printer printer(output, stdout);  // complains of formats, whatever there is
  return ask(arguments, [&](Requester& requester) {
    const Nanos now = read_clocks().wall;
    Table table({"POSITION", "FAILED", "TRIES", "REASON", "PATH"});
    std::string after;
    for (bool more = true; more;) {
      Value::Map request{{"consumer", arguments.name}, {"limit", kFailedPage}};
      if (!after.empty()) request.emplace_back("after", after);
      const Value reply = requester.request("failed", request);
      const Value::Array& failures = list_in(reply, "failed");
      for (const Value& failure : failures) {
        if (output.json) {
          print(to_json(failure) + '\n');
        } else if (as_events) {
          const Value* event = failure.find("event");
          if (event != nullptr && !printer.add(decode(encode_value(*event)))) return 0;
        } else {
          print_failure(failure, table, now);
        }
        after = shown(failure.find("position"));
      }
      const Value* told = reply.find("more");
      more = told != nullptr && *told == Value(true) && !failures.empty();
    }
    if (as_events) {
      printer.flush();
    } else if (!output.json) {
      print(table.empty() ? "nothing failed\n" : table.text());
    }
    return 0;
  });
}

int run_retry(const AskArguments& arguments) {
  Value::Array positions;
  for (const std::string& text : arguments.positions) {
    const JournalPoint point = parse_journal_point(text, 0);
    if (point.kind != JournalPoint::Kind::kPosition) {
      throw UsageError(fmt::format("\"{}\" is no position: inotifier failed {} shows them",
                                   visible(text), arguments.name));
    }
    positions.emplace_back(point.text);
  }
  return ask(arguments, [&](Requester& requester) {
    std::int64_t retried = 0;
    for (bool more = true; more;) {  // the daemon takes a few hundred at a time
      Value::Map request{{"consumer", arguments.name}};
      if (!positions.empty()) request.emplace_back("positions", positions);
      const Value reply = requester.request("retry", request);
      const Value* count = reply.find("retried");
      const Value* told = reply.find("more");
      const std::int64_t some = count == nullptr || !count->integer() ? 0 : *count->integer();
      retried += some;
      more = told != nullptr && *told == Value(true) && some > 0;
    }
    if (retried == 0 && !positions.empty()) {
      print_message("inotifier: none of these has failed: inotifier failed {} shows them\n",
                    visible(arguments.name));
      return 1;
    }
    fmt::print("{} to be delivered again\n", retried);
    return 0;
  });
}

}  // namespace

Subcommand consumers_command() {
  return subcommand<AskArguments>(
      "consumers", "list the consumers and how far behind they are",
      [](Options& options, AskArguments& arguments) {
        options.connection(arguments.connection, kFetchEndpointHelp);
        options.flag("--json", arguments.output.json, "as JSON");
      },
      run_consumers);
}

Subcommand forget_command() {
  return subcommand<AskArguments>("forget", "delete a consumer", describe_named, run_forget);
}

Subcommand seek_command() {
  return subcommand<AskArguments>(
      "seek", "move a consumer to another position",
      [](Options& options, AskArguments& arguments) {
        describe_named(options, arguments);
        options.required("TO", arguments.to,
                         "start, now, a time, a duration back such as 1h, or a position");
      },
      run_seek);
}

Subcommand update_command() {
  return subcommand<AskArguments>(
      "update", "change which events a consumer gets",
      [](Options& options, AskArguments& arguments) {
        describe_named(options, arguments);
        options.words("TYPE", arguments.types,
                      "event types, such as file.completed; none: as before");
        options.repeated("--watch", arguments.watches,
                         "only of this watch; may be given several times; none: as before");
        options.flag("--all-types", arguments.all_types, "events of every type");
        options.flag("--all-watches", arguments.all_watches, "events of every watch");
        options.footer("Holds for everything that the consumer has not acked.");
      },
      run_update);
}

Subcommand failed_command() {
  return subcommand<AskArguments>(
      "failed", "list the events that a consumer could not process",
      [](Options& options, AskArguments& arguments) {
        describe_named(options, arguments);
        options.flag("--json", arguments.output.json,
                     "one failure a line: position, time, reason, tries and the event");
        options.flag("-0", arguments.output.nul, "only the paths, each ended by a NUL byte");
        options.text("--format", arguments.output.format,
                     "of the events, such as '{path}\\t{size}'; ends each with a newline");
      },
      run_failed);
}

Subcommand retry_command() {
  return subcommand<AskArguments>(
      "retry", "deliver events that failed again, all or some",
      [](Options& options, AskArguments& arguments) {
        describe_named(options, arguments);
        options.words("POSITION", arguments.positions, "as failed shows them; none = all");
      },
      run_retry);
}

}  // namespace inotifier
