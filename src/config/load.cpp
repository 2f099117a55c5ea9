#include "config/load.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <sstream>
#include <toml.hpp>
#include <tuple>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/unique_fd.hpp"
#include "config/keys.hpp"

namespace inotifier {
namespace config {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 20;

Node to_node(const toml::value& value) {
  Node node;
  const auto line = value.location().line();
  node.line = line > 0 ? line - 1 : 0;
  switch (value.type()) {
    case toml::value_t::boolean:
      node.value = value.as_boolean();
      break;
    case toml::value_t::integer:
      // toml11 gives this one for all that do not fit.
      if (value.as_integer() == std::numeric_limits<std::int64_t>::max() ||
          value.as_integer() == std::numeric_limits<std::int64_t>::min()) {
        node.value = Node::Other{"a number too large"};
      } else {
        node.value = value.as_integer();
      }
      break;
    case toml::value_t::string:
      node.value = value.as_string().str;
      break;
    case toml::value_t::floating:
      node.value = Node::Other{"a number with a fraction"};
      break;
    case toml::value_t::array: {
      Node::List list;
      for (const auto& element : value.as_array()) list.push_back(to_node(element));
      node.value = std::move(list);
      break;
    }
    case toml::value_t::table: {
      Node::Table table;
      for (const auto& [key, element] : value.as_table()) table.push_back({key, to_node(element)});
      // toml11's table has no order; errors and watches shall have that of the file.
      std::sort(table.begin(), table.end(), [](const TableEntry& a, const TableEntry& b) {
        return std::tie(a.node.line, a.key) < std::tie(b.node.line, b.key);
      });
      node.value = std::move(table);
      break;
    }
    default:
      node.value = Node::Other{"a date or time"};
      break;
  }
  return node;
}

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// What toml11 3 calls the errors that people make, the reason, and what to write instead.
constexpr std::array<std::array<std::string_view, 3>, 11> kSyntaxErrors{{
    {"unknown value appeared", "the value is none that TOML knows",
     "a text stands in quotes: \"...\""},
    {"separator `=`", "\"=\" is missing", "write key = value, or [section]"},
    {"missing value", "the value is missing", ""},
    {"invalid line format", "something follows the value",
     "one key = value a line; a text stands in quotes"},
    {"not a valid string", "the text has no end, or a backslash that means nothing",
     "write \"\\\\\" for a backslash, or the text in single quotes"},
    {"string:", "the text has no end, or a backslash that means nothing",
     "write \"\\\\\" for a backslash, or the text in single quotes"},
    {"array separator", "the list has no end, or an element no comma", "as in [\"a\", \"b\"]"},
    {"parse_array", "the list has no end, or an element no comma", "as in [\"a\", \"b\"]"},
    {"invalid key", "this is neither key = value nor [section]", ""},
    {"invalid table key", "this is neither key = value nor [section]", ""},
    {"unknown line", "this is neither key = value nor [section]", ""},
}};

/// toml11 explains in several lines with a drawing; this is the one that says what is wrong.
ValidationError reduce(const std::string& message, std::string_view line) {
  const auto has = [&](std::string_view part) { return message.find(part) != std::string::npos; };
  if (has("already exists") || has("defined twice")) {
    // "[error] toml::insert_value: table ("a") already exists.\n --> f\n | \n 12 | ..."
    const auto open = message.find("(\"");
    const auto close = message.find("\")");
    std::string key;
    if (open != std::string::npos && close != std::string::npos && open + 2 < close) {
      key = printable(message.substr(open + 2, close - open - 2));
    }
    const auto bar = message.find(" | ", message.find('\n'));
    const auto first = bar == std::string::npos ? 0 : std::atoi(&message[message.rfind('\n', bar)]);
    return {fmt::format("\"{}\" is there twice{}", key,
                        first > 0 ? fmt::format(", the first time in line {}", first) : ""),
            key == "watch" ? "write [[watch]] with two brackets, each time" : ""};
  }
  for (const auto* word : {"True", "TRUE", "False", "FALSE", "yes", "no", "on", "off"}) {
    if (has("unknown value appeared") && line.find(word) != std::string_view::npos) {
      return {"the value is none that TOML knows", "write true or false, or a text in quotes"};
    }
  }
  for (const auto& [part, reason, suggestion] : kSyntaxErrors) {
    if (has(part)) return {std::string(reason), std::string(suggestion)};
  }
  auto reason = message.substr(0, message.find('\n'));
  for (const std::string_view prefix : {"[error] ", "toml::"}) {
    if (reason.starts_with(prefix)) reason.erase(0, prefix.size());
  }
  if (const auto colon = reason.find(": "); colon != std::string::npos) reason.erase(0, colon + 2);
  return {printable(reason), ""};
}

std::optional<toml::value> parse(std::string_view text, std::size_t& line, std::string& message) {
  std::istringstream stream{std::string(text)};
  try {
    return toml::parse(stream, "configuration");
  } catch (const toml::exception& error) {
    line = error.location().line() > 0 ? error.location().line() - 1 : 0;
    message = error.what();
  } catch (const std::exception& error) {
    message = error.what();
  }
  return std::nullopt;
}

std::string read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw ConfigError(describe("open", path, errno));
  std::string text;
  while (text.size() <= kLargestFile) {
    char buffer[16384];
    const auto count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw ConfigError(describe("read", path, errno));
    if (count == 0) break;
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

/// Those that depend on who runs it, and where.
void set_defaults(Draft& draft, const LoadOptions& options, const Environment& environment,
                  const Source& variables, Problems& problems) {
  auto& config = draft.config;
  config.daemon_name_given = draft.given.contains("daemon.name");
  if (config.daemon_name.empty()) config.daemon_name = default_daemon_name();
  if (config.journal.path.empty()) config.journal.path = default_journal(environment);
  if (!draft.given.contains("security.group")) config.security.group = default_group();
  for (const auto& [section, endpoints] :
       {std::pair{"publish", &config.publish.endpoints}, {"fetch", &config.fetch.endpoints}}) {
    const auto key = fmt::format("{}.endpoint", section);
    if (draft.given.contains(key)) continue;
    endpoints->push_back(default_endpoint(environment, section));
    const auto error = check_endpoint(endpoints->back());
    if (!error || options.only_directories) continue;
    problems.add(variables, variables.lines.size(), endpoints->back(), error->reason,
                 fmt::format("set {}, or endpoint below [{}]", variable_name(key), section));
  }
}

/// `text` is the file's; `file_name` "" if there is none.
Config assemble(std::string_view text, const std::string& file_name, const LoadOptions& options,
                const Environment& environment) {
  Problems problems;
  Draft draft;
  WatchDraft watch_defaults;
  Source file{file_name, {}, true, 0};
  Source variables{"environment", {}, false, 1};
  Source arguments{"arguments", {}, false, 2};
  if (!file_name.empty()) {
    if (const auto root = parse_toml(text, file, problems)) apply(*root, file, draft, problems);
    draft.config.file = file_name;
  }
  apply(environment, options, variables, draft, watch_defaults, problems);
  apply(options, watch_defaults, arguments, draft, problems);
  set_defaults(draft, options, environment, variables, problems);
  finish(draft, problems);
  problems.throw_if_any();
  return std::move(draft.config);
}

}  // namespace

std::optional<Node> parse_toml(std::string_view text, Source& source, Problems& problems) {
  if (text.size() > kLargestFile) {
    problems.add(source, 0, "", fmt::format("is larger than {} bytes", kLargestFile));
    return std::nullopt;
  }
  source.lines = split_lines(text);
  for (std::size_t i = 0; i < source.lines.size(); ++i) {
    if (is_utf8(source.lines[i]) && source.lines[i].find('\0') == std::string::npos) continue;
    problems.add(source, i, "", "the line is no UTF-8 text", "save the file as UTF-8");
    return std::nullopt;
  }
  std::size_t line = 0;
  if (const auto reason = too_deep(text, line); !reason.empty()) {
    problems.add(source, line, "", reason);
    return std::nullopt;
  }
  std::string message;
  line = 0;
  const auto value = parse(text, line, message);
  if (!value) {
    const auto shown = line < source.lines.size() ? std::string_view(source.lines[line]) : "";
    const auto error = reduce(message, shown);
    problems.add(source, line, "", error.reason, error.suggestion);
    return std::nullopt;
  }
  return to_node(*value);
}

std::optional<Node> parse_value(std::string_view text, std::size_t line) {
  const bool is_list = text.starts_with('[') && text.ends_with(']');
  const bool is_text = text.size() >= 2 && text[0] == '"' && text.ends_with('"');
  if (!is_list && !is_text) return Node{std::string(text), line, true};
  std::size_t ignored = 0;
  std::string message;
  if (text.find('\n') != std::string_view::npos || text.size() > kLargestFile ||
      !too_deep(text, ignored).empty()) {
    return std::nullopt;
  }
  const auto value = parse(fmt::format("v = {}", text), ignored, message);
  if (!value || !value->contains("v")) return std::nullopt;
  auto node = to_node(value->at("v"));
  node.line = line;
  if (auto* list = std::get_if<Node::List>(&node.value)) {
    for (auto& element : *list) element.line = line;
  }
  return node;
}

}  // namespace config

Config load_config(const LoadOptions& options, const Environment& environment) {
  std::string file;
  if (!options.only_directories) {
    file = options.file;
    const auto variable = environment.find("INOTIFIER_CONFIG");
    if (file.empty() && variable != environment.end()) file = variable->second;
    if (file.empty() && ::access("/etc/inotifier/inotifier.toml", F_OK) == 0) {
      file = "/etc/inotifier/inotifier.toml";
    }
  }
  return config::assemble(file.empty() ? "" : config::read_file(file), file, options, environment);
}

Config parse_config(std::string_view text, const std::string& name,
                    const Environment& environment) {
  auto config = config::assemble(text, name, {}, environment);
  return config;
}

}  // namespace inotifier
