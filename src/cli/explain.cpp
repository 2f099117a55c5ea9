// inotifier explain PATH...: why a file was announced, or was not, and what to do about it.
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/path.hpp"
#include "cli/arguments.hpp"
#include "cli/consumers.hpp"
#include "cli/moment.hpp"
#include "cli/output.hpp"
#include "cli/survey.hpp"
#include "cli/writers.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"

namespace inotifier {
namespace {

struct ExplainArguments {
  Connection connection;
  std::vector<std::string> paths;
  bool json = false;
};

/// What the daemon answers in a word, for people: the cause, and what to do. {since}, {until} and
/// the like are fields of the answer.
struct Cause {
  std::string_view why;
  std::string_view cause;
  std::string_view remedy;
};

constexpr Cause kCauses[] = {
    Cause{"announced", "announced, as event {id}",
          "who did not get it is behind, asked for other types or watches, or failed"},
    Cause{"changed", "an earlier version was announced, as event {id}; this one was not seen yet",
          "wait; if that does not help, kill -USR1 makes the daemon look again"},
    Cause{"written", "somebody has it open for writing , first seen so {since}; next look {until}",
          "it is announced when its writer closes it; end a writer that has forgotten it"},
    Cause{"settling", "it has to be left alone for a while; next look {until}",
          "wait; the time is the watch's `settle`, or the quiet time where leases do not work"},
    Cause{"empty", "it is empty, and its writer may be about to come; next look {until}",
          "wait: an empty file is announced after some seconds"},
    Cause{"not_responding", "open(2) of it, called {since}, does not return",
          "see what holds it: an on-access scanner, or a disk or server that does not answer"},
    Cause{"moving", "it or a directory above it is being renamed; next look {until}", "wait"},
    Cause{"clock", "a write within this tick of the file system's clock would not show",
          "wait: it is looked at again {until}"},
    Cause{"records", "events of it are still to be read", "wait; see the load of the machine"},
    Cause{"renamed", "how it got its name may still be reported; next look {until}", "wait"},
    Cause{"next_look", "it is looked at {until}", "wait"},
    Cause{"temporary", "its name is a temporary one (\"{pattern}\")",
          "it is announced when it is renamed to its final name; if this is one, take the pattern "
          "out of the watch's `temporary`"},
    Cause{"stalled", "it has kept its temporary name (\"{pattern}\"), first seen {since}",
          "its writer has gone, most likely: rename or delete it"},
    Cause{"no_room", "a scan found it, and the journal has no room until consumers have fetched",
          "let consumers fetch, forget those that nobody needs, or raise journal.retain_size"},
    Cause{"excluded", "its name is excluded by \"{pattern}\"",
          "take the pattern out of the watch's `exclude`, or rename the file"},
    Cause{"not_included", "its name matches no pattern of the watch's `include`",
          "add a pattern that it matches"},
    Cause{"directory_excluded", "the directory {at} is excluded by \"{pattern}\"",
          "take the pattern out of the watch's `exclude`, or move the file"},
    Cause{"directory_temporary", "the directory {at} has a temporary name (\"{pattern}\")",
          "what is in it is announced when the directory gets its final name"},
    Cause{"not_recursive", "it is below a subdirectory, and the watch has recursive = false",
          "set recursive = true, or watch that directory"},
    Cause{"root_lost", "the directory of the watch is not there, or is another one than before",
          "make it, or mount it: the watch goes on by itself; inotifier status says more"},
    Cause{"directory", "a directory that is watched", ""},
    Cause{"directory_unknown", "the daemon does not know its directory",
          "see that it exists and that the daemon may read it; kill -USR1 makes it look again"},
    Cause{"not_scanned", "the first scan of the watch has not come there yet",
          "wait; inotifier status shows how far it is"},
    Cause{"not_seen", "the daemon has not seen it",
          "kill -USR1 makes the daemon look again; if that finds it, tell us"},
    Cause{"not_there", "there is no such file, and none is known to have been announced",
          "see that the path is right, and that daemon and writer see the same file system"},
    Cause{"not_regular", "it is no regular file", "only regular files are announced"},
    Cause{"unreadable", "the daemon may not look into its directory",
          "give the daemon's user the right to read and enter it"},
    Cause{"too_small", "it is smaller than the watch's min_size, {min_size} bytes",
          "lower min_size, or let it grow"},
    Cause{"existing_ignored", "it was there before the watch was (existing = \"ignore\")",
          "written again, it is announced; existing = \"announce\" is for new watches"},
    Cause{"not_via_temporary",
          "it has not been renamed from a temporary name, as \"create-via-chunks\" wants",
          "let its writer do that, or use processor = \"completed\""},
    Cause{"not_published", "it is finished, but the watch does not publish file.completed",
          "add file.completed to the watch's `events`"},
};

const Cause* find_cause(std::string_view why) {
  const auto* found = std::find_if(std::begin(kCauses), std::end(kCauses),
                                   [why](const Cause& cause) { return cause.why == why; });
  return found == std::end(kCauses) ? nullptr : found;
}

std::string text_in(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value == nullptr || value->text() == nullptr ? std::string() : *value->text();
}

/// A sentence of the table with the fields of the answer.
std::string filled(std::string_view sentence, const Value& account, Nanos now) {
  std::string out;
  while (!sentence.empty()) {
    const auto open = sentence.find('{');
    out += sentence.substr(0, open);
    if (open == std::string_view::npos) break;
    const auto close = sentence.find('}', open);
    const std::string_view key = sentence.substr(open + 1, close - open - 1);
    const Value* value = account.find(key);
    if (key == "until" && value == nullptr) {
      out += "when something happens to it";
    } else {
      out += key == "since" || key == "until" ? ago(shown(value), now) : shown(value);
    }
    sentence.remove_prefix(close + 1);
  }
  return out;
}

bool holds(const Value& consumer, std::string_view key, std::string_view name) {
  const Value* list = consumer.find(key);
  if (list == nullptr || list->array() == nullptr || list->array()->empty()) return true;
  return std::any_of(list->array()->begin(), list->array()->end(), [name](const Value& each) {
    return each.text() != nullptr && *each.text() == name;
  });
}

/// Why the consumer failed on the event with this id; "" if it did not.
std::string failure_of(Requester& requester, const std::string& consumer, const std::string& id) {
  std::string after;
  while (true) {
    Value::Map request{{"consumer", consumer}};
    if (!after.empty()) request.emplace_back("after", after);
    const Value reply = requester.request("failed", request);
    const Value* failed = reply.find("failed");
    if (failed == nullptr || failed->array() == nullptr || failed->array()->empty()) return {};
    for (const Value& failure : *failed->array()) {
      const Value* event = failure.find("event");
      if (event != nullptr && text_in(*event, "id") == id) return shown(failure.find("reason"));
      after = text_in(failure, "position");
    }
    const Value* more = reply.find("more");
    if (more == nullptr || !(*more == Value(true))) return {};
  }
}

/// What became of an announced event at each consumer.
Value::Array at_consumers(Requester& requester, const Value& account) {
  Value::Array result;
  const std::string watch = text_in(account, "watch");
  const Value reply = requester.request("consumers");
  const Value* consumers = reply.find("consumers");
  if (consumers == nullptr || consumers->array() == nullptr) return result;
  for (const Value& consumer : *consumers->array()) {
    const std::string name = text_in(consumer, "name");
    Value::Map row{{"name", name}};
    const Value* behind = consumer.find("behind");
    if (!holds(consumer, "watches", watch) || !holds(consumer, "types", "file.completed")) {
      row.emplace_back("state", "not_wanted");
    } else if (const std::string reason = failure_of(requester, name, text_in(account, "id"));
               !reason.empty()) {
      row.emplace_back("state", "failed");
      row.emplace_back("reason", reason);
    } else {
      const bool all = behind != nullptr && *behind == Value(0);
      row.emplace_back("state", all ? "had" : "behind");
      if (!all && behind != nullptr) row.emplace_back("behind", *behind);
    }
    result.emplace_back(std::move(row));
  }
  return result;
}

Value::Array writers_value(const std::string& path) {
  Value::Array all;
  for (const FileWriter& writer : writers_of(path).found) {
    Value::Map row{{"pid", static_cast<std::int64_t>(writer.pid)},
                   {"command", to_utf8(writer.command)}};
    if (!writer.container.empty()) row.emplace_back("container", writer.container);
    all.emplace_back(std::move(row));
  }
  return all;
}

/// All that is to be said of one path.
Value explain(Requester& requester, const std::string& path) {
  Value reply = requester.request("explain", {{"path", path_value(path)}});
  Value::Map& fields = std::get<Value::Map>(reply.v);
  std::erase_if(fields, [](const auto& field) { return field.first == "ok"; });
  fields.emplace(fields.begin(), "path", to_utf8(path));
  Value::Array consumers;
  for (const Value& account : *reply.find("watches")->array()) {
    const std::string why = text_in(account, "why");
    if (why == "announced") consumers = at_consumers(requester, account);
  }
  fields.emplace_back("writers", writers_value(path));
  fields.emplace_back("consumers", std::move(consumers));
  return reply;
}

std::string about_disk(const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0) return error_text(errno);
  if (S_ISDIR(file.st_mode)) return "a directory";
  if (!S_ISREG(file.st_mode)) return "no regular file";
  return human_size(file.st_size);
}

std::string about_directory(const Value& account) {
  std::string out;
  const Value* waiting = account.find("waiting");
  if (waiting == nullptr || waiting->map() == nullptr) return out;
  if (waiting->map()->empty()) return "    nothing below it is waited for\n";
  for (const auto& [why, count] : *waiting->map()) {
    out += fmt::format("    {} waited for: {}\n", shown(&count), visible(why));
  }
  const Value* paths = account.find("paths");
  for (const Value& one : *paths->array()) {
    out += fmt::format("      {} ({})\n", shown(one.find("path")), shown(one.find("why")));
  }
  return out;
}

std::string about_consumers(const Value& reply) {
  std::string out;
  for (const Value& one : *reply.find("consumers")->array()) {
    const std::string state = text_in(one, "state");
    const std::string name = visible(text_in(one, "name"));
    if (state == "had") out += fmt::format("  consumer {}: had it\n", name);
    if (state == "not_wanted") {
      out += fmt::format(
          "  consumer {0}: did not ask for it: inotifier update {0} changes types and watches\n",
          name);
    }
    if (state == "failed") {
      out += fmt::format("  consumer {0}: failed on it ({1}): inotifier retry {0}\n", name,
                         shown(one.find("reason")));
    }
    if (state == "behind") {
      out += fmt::format("  consumer {}: {} events behind; it may be among them\n", name,
                         shown(one.find("behind")));
    }
  }
  return out;
}

std::string text_of(const Value& reply, const std::string& path) {
  const Nanos now = read_clocks().wall;
  std::string out = fmt::format("{}: {}\n", visible(path), about_disk(path));
  const Value::Array& accounts = *reply.find("watches")->array();
  if (*reply.find("blocked") == Value(true)) {
    out +=
        "  the journal has no room: nothing is announced until there is\n    free some on its "
        "file system\n";
  }
  if (accounts.empty()) {
    out +=
        "  it is below no watched directory\n    watch one (inotifier status lists those that "
        "are), or use the path that the daemon sees\n";
  }
  for (const Value& account : accounts) {
    const std::string why = text_in(account, "why");
    const Cause* cause = find_cause(why);
    out += fmt::format("  watch {} ({}): {}\n", shown(account.find("watch")),
                       shown(account.find("root")),
                       cause == nullptr ? visible(why) : filled(cause->cause, account, now));
    if (cause != nullptr && !cause->remedy.empty()) {
      out += fmt::format("    {}\n", filled(cause->remedy, account, now));
    }
    out += about_directory(account);
  }
  for (const Value& writer : *reply.find("writers")->array()) {
    const Value* container = writer.find("container");
    out += fmt::format("  open for writing: pid {} ({}){}\n", shown(writer.find("pid")),
                       shown(writer.find("command")),
                       container == nullptr ? "" : ", container " + shown(container));
  }
  return out + about_consumers(reply);
}

int run_explain(const ExplainArguments& arguments) {
  return ask_daemon(arguments.connection, [&](Requester& requester) {
    for (const std::string& given : arguments.paths) {
      const std::string path = absolute(std::filesystem::absolute(given).string());
      const Value reply = explain(requester, path);
      const std::string text = arguments.json ? to_json(reply) + '\n' : text_of(reply, path);
      std::fwrite(text.data(), 1, text.size(), stdout);
    }
    return 0;
  });
}

}  // namespace

Subcommand explain_command() {
  return subcommand<ExplainArguments>(
      "explain", "why a file was announced, or was not",
      [](Options& options, ExplainArguments& arguments) {
        options.connection(arguments.connection, kFetchEndpointHelp);
        options.words("PATH", arguments.paths, "a file or a directory", true);
        options.flag("--json", arguments.json, "as JSON, one object a path");
      },
      run_explain);
}

}  // namespace inotifier
