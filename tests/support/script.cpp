#include "support/script.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "wire/event_types.hpp"

namespace inotifier::testing {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/// One escape at `at` (behind the backslash); moves past it.
std::string escape(std::string_view text, std::size_t& at) {
  if (at >= text.size()) throw std::runtime_error("a backslash at the end");
  const char c = text[at++];
  switch (c) {
    case 'n':
      return "\n";
    case 't':
      return "\t";
    case 's':
      return " ";
    case 'x': {
      unsigned value = 0;
      const auto* begin = text.data() + at;
      if (at + 2 > text.size() || std::from_chars(begin, begin + 2, value, 16).ptr != begin + 2) {
        throw std::runtime_error("\\x takes two hex digits");
      }
      at += 2;
      return std::string(1, static_cast<char>(value));
    }
    case '{': {  // \{255:a} is the letter a, 255 times
      const auto colon = text.find(':', at);
      const auto end = text.find('}', at);
      if (colon == std::string_view::npos || end == std::string_view::npos || colon > end) {
        throw std::runtime_error("\\{ takes NUMBER:TEXT}");
      }
      const std::int64_t times = parse_number(text.substr(at, colon - at));
      std::string result;
      for (std::int64_t i = 0; i < times; ++i) result += text.substr(colon + 1, end - colon - 1);
      at = end + 1;
      return result;
    }
    default:
      return std::string(1, c);
  }
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  return items;
}

const std::set<std::string>& verbs() {
  static const std::set<std::string> kVerbs{
      "mkdir",    "rmdir",  "write",   "touch",  "open",     "put",     "resize",  "stamp",
      "close",    "mmap",   "munmap",  "rename", "exchange", "link",    "linkat",  "unlink",
      "truncate", "utimes", "chmod",   "chown",  "setxattr", "symlink", "mkfifo",  "mknod",
      "fill",     "at",     "start",   "wait",   "expect",   "ignore",  "discard", "rescan",
      "overflow", "hold",   "release", "kill",   "save",     "rewind",  "read",    "copytimes"};
  return kVerbs;
}

const std::set<std::string>& fake_verbs() {
  static const std::set<std::string> kVerbs{
      "mount", "umount", "unreadable", "readable", "watches", "leases",  "record", "turns", "queue",
      "bind",  "clock",  "fault",      "hang",     "mend",    "journal", "during", "pass"};
  return kVerbs;
}

const std::set<std::string>& fake_options() {
  static const std::set<std::string> kOptions{
      "clock",         "step",        "leases", "watches",      "close_window",
      "create_window", "probes_fail", "local",  "keeps_inodes", "granularity",
      "instance",      "companion",   "births", "name_max"};
  return kOptions;
}

std::map<std::string, std::string> fake_line(std::string_view text) {
  std::map<std::string, std::string> options;
  const Command line = parse_command("fake " + std::string(text));
  if (!line.words.empty()) throw std::runtime_error("not key=value: " + line.words.front());
  for (const auto& [key, value] : line.values) {
    if (!fake_options().contains(key)) throw std::runtime_error("unknown option: " + key);
    options[key] = value;
  }
  return options;
}

}  // namespace

Command parse_command(std::string_view line) {
  Command command;
  std::size_t at = 0;
  std::vector<std::string> words;
  while (true) {
    while (at < line.size() && is_blank(line[at])) ++at;
    if (at >= line.size() || line[at] == '#') break;
    std::string word;
    std::size_t equals = std::string::npos;  // of the first plain '=' behind a plain key
    bool plain = true;
    bool quoted = false;
    while (at < line.size() && (quoted || !is_blank(line[at]))) {
      const char c = line[at++];
      if (c == '"') {
        quoted = !quoted;
      } else if (c == '\\') {
        word += escape(line, at);
        plain = false;
      } else {
        if (c == '=' && plain && equals == std::string::npos && !word.empty()) equals = word.size();
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') plain = false;
        word += c;
      }
    }
    if (quoted) throw std::runtime_error("a quotation mark is missing");
    if (equals == std::string::npos) {
      words.push_back(std::move(word));
    } else {
      command.values.emplace_back(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  if (words.empty() && command.values.empty()) return command;
  if (words.empty()) throw std::runtime_error("no command");
  command.verb = words.front();
  command.words.assign(words.begin() + 1, words.end());
  return command;
}

std::int64_t parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, number).ptr != end || text.empty()) {
    throw std::runtime_error("not a number: " + std::string(text));
  }
  return number;
}

Nanos parse_duration(std::string_view text) {
  const auto unit_at = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit = text.substr(unit_at);
  const Nanos number = parse_number(text.substr(0, unit_at));
  if (unit == "us") return number * 1'000;
  if (unit == "ms") return number * 1'000'000;
  if (unit == "s") return number * 1'000'000'000;
  if (unit == "m") return number * 60'000'000'000;
  if (unit == "h") return number * 3'600'000'000'000;
  if (unit.empty() && number == 0) return 0;
  throw std::runtime_error("not a duration: " + std::string(text));
}

WatchConfig watch_config(const Command& watch) {
  WatchConfig config;
  config.name = "watch";
  config.path = ".";
  config.exclude = kDefaultExclude;
  config.temporary = kDefaultTemporary;
  bool exclude_given = false;
  const auto one_of = [](const std::string& value, const std::string& first,
                         const std::string& second) {
    if (value != first && value != second) {
      throw std::runtime_error(value + " is neither " + first + " nor " + second);
    }
    return value == second;
  };
  for (const auto& [key, value] : watch.values) {
    if (key == "name") {
      config.name = value;
    } else if (key == "path") {
      config.path = value;
    } else if (key == "processor") {
      config.processor = value;
    } else if (key == "recursive") {
      config.recursive = one_of(value, "false", "true");
    } else if (key == "events") {
      config.events = split_list(value);
    } else if (key == "include") {
      config.include = split_list(value);
    } else if (key == "exclude") {
      config.exclude = split_list(value);
      exclude_given = true;
    } else if (key == "temporary") {
      config.temporary = split_list(value);
    } else if (key == "temporary_add") {
      for (const std::string& item : split_list(value)) config.temporary.push_back(item);
    } else if (key == "existing") {
      config.existing = one_of(value, "announce", "ignore") ? WatchConfig::Existing::kIgnore
                                                            : WatchConfig::Existing::kAnnounce;
    } else if (key == "backend") {
      config.backend = value == "auto"                    ? WatchConfig::Backend::kAuto
                       : one_of(value, "inotify", "poll") ? WatchConfig::Backend::kPoll
                                                          : WatchConfig::Backend::kInotify;
    } else if (key == "poll_interval") {
      config.poll_interval = parse_duration(value);
    } else if (key == "settle") {
      config.settle = parse_duration(value);
    } else if (key == "writer_check") {
      config.writer_check = one_of(value, "lease", "off") ? WatchConfig::WriterCheck::kOff
                                                          : WatchConfig::WriterCheck::kLease;
    } else if (key == "stalled_after") {
      config.stalled_after = parse_duration(value);
    } else if (key == "min_size") {
      config.min_size = parse_number(value);
    } else if (key == "renamed") {
      config.renamed = one_of(value, "announce", "moved") ? WatchConfig::Renamed::kMoved
                                                          : WatchConfig::Renamed::kAnnounce;
    } else {
      throw std::runtime_error("unknown option: " + key);
    }
  }
  if (config.processor == "all-events" && !exclude_given) config.exclude.clear();
  if (config.events.empty()) {
    config.events = default_events(config.processor);
  } else {
    config.events.insert(config.events.end(), watch_types().begin(), watch_types().end());
  }
  return config;
}

namespace {

/// A line that says how it is played; false if it is another one.
bool parse_header(std::string_view line, Script& script) {
  constexpr std::string_view kFakeOnly = "fake-only:";
  constexpr std::string_view kFake = "fake:";
  if (line.starts_with(kFakeOnly)) {
    script.fake_only = line.substr(std::min(kFakeOnly.size() + 1, line.size()));
    if (script.fake_only.empty()) throw std::runtime_error("fake-only needs a reason");
    return true;
  }
  if (!line.starts_with(kFake)) return false;
  script.fake = fake_line(line.substr(kFake.size()));
  return true;
}

void parse_audit(const Command& command, Script& script) {
  if (script.fake_only.empty()) throw std::runtime_error("audit needs a `fake-only:` line above");
  script.audit = true;
  for (const std::string& word : command.words) {
    if (word == "strict") script.strict = true;
    if (word == "progress") script.progress = true;
  }
}

/// `time`: of the last `at`.
void add_command(Command command, Nanos& time, Script& script) {
  if (command.verb == "watch") {
    (void)watch_config(command);
    script.watches.push_back(std::move(command));
    return;
  }
  if (fake_verbs().contains(command.verb)) {
    if (script.fake_only.empty()) {
      throw std::runtime_error(command.verb + " needs a `fake-only:` line above");
    }
  } else if (!verbs().contains(command.verb)) {
    throw std::runtime_error("unknown command: " + command.verb);
  }
  if (command.verb == "at") {
    if (command.words.size() != 1) throw std::runtime_error("at takes one time");
    const Nanos next = parse_duration(command.words[0]);
    if (next < time) throw std::runtime_error("time goes back");
    time = next;
  }
  script.commands.push_back(std::move(command));
}

}  // namespace

Script parse_script(const std::string& file, std::string_view text) {
  Script script;
  script.file = file;
  script.text = text;
  script.name = std::filesystem::path(file).stem().string();
  int number = 0;
  Nanos time = 0;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const auto end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    while (!line.empty() && is_blank(line.front())) line.remove_prefix(1);
    while (!line.empty() && is_blank(line.back())) line.remove_suffix(1);
    try {
      if (parse_header(line, script)) continue;
      Command command = parse_command(line);
      command.line = number;
      command.text = line;
      if (command.verb == "audit") {
        parse_audit(command, script);
      } else if (!command.verb.empty()) {
        add_command(std::move(command), time, script);
      }
    } catch (const std::runtime_error& error) {
      throw ScriptError(file + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  if (script.watches.empty()) throw ScriptError(file + ":1: no watch");
  return script;
}

std::vector<Script> read_scripts(const std::string& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".script") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<Script> scripts;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    std::stringstream text;
    text << stream.rdbuf();
    scripts.push_back(parse_script(file.string(), text.str()));
  }
  return scripts;
}

void fail(const Script& script, const Command& command, const std::string& reason) {
  throw ScriptError(script.file + ":" + std::to_string(command.line) + ": " + command.text +
                    "\n  " + reason);
}

}  // namespace inotifier::testing
