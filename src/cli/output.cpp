#include "cli/output.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "base/error.hpp"
#include "base/path.hpp"
#include "base/suggest.hpp"
#include "config/config.hpp"
#include "inotifier/wire.hpp"
#include "wire/event_types.hpp"

namespace inotifier {
namespace {

constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kBlue = "\x1b[34m";
constexpr std::string_view kCyan = "\x1b[36m";
constexpr std::string_view kNone = "\x1b[0m";

/// A part of --format: text as it is, or the name of a field.
struct Part {
  bool field;
  std::string text;
};

const std::vector<std::string>& known_fields() {
  static const std::vector<std::string> kFields{
      "path",      "relative_path", "name",      "specversion", "id",           "source",
      "type",      "subject",       "time",      "sequence",    "prevsequence", "data",
      "watch",     "root",          "size",      "mtime",       "inode",        "mode",
      "uid",       "gid",           "evidence",  "origin",      "from",         "first_seen",
      "rewritten", "reason",        "directory", "detail",      "found",        "announced",
      "recovered", "removed",       "seconds",   "directories", "files",        "mask",
      "cookie",    "is_dir"};
  return kFields;
}

/// What a processor of one's own adds to the data is asked for as {data.KEY}.
constexpr std::string_view kDataPrefix = "data.";

char escaped_character(char c) {
  switch (c) {
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case '0':
      return '\0';
    case '\\':
      return '\\';
    default:
      throw UsageError(fmt::format("--format: \\{} means nothing; write \\\\ for a backslash", c));
  }
}

std::vector<Part> parse_format(std::string_view format) {
  std::vector<Part> parts;
  std::string text;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    const char next = i + 1 < format.size() ? format[i + 1] : '\0';
    if (c == '\\') {
      if (i + 1 == format.size()) throw UsageError("--format: ends with a lone backslash");
      text += escaped_character(next);
      ++i;
    } else if ((c == '{' || c == '}') && next == c) {
      text += c;
      ++i;
    } else if (c == '{') {
      const std::size_t end = format.find('}', i);
      if (end == std::string_view::npos) {
        throw UsageError("--format: a { without its }; write {{ for a brace");
      }
      const std::string_view name = format.substr(i + 1, end - i - 1);
      if (name.empty()) throw UsageError("--format: {} names no field");
      const auto& known = known_fields();
      if (!name.starts_with(kDataPrefix) &&
          std::find(known.begin(), known.end(), name) == known.end()) {
        throw UsageError(
            fmt::format("--format: there is no field {{{}}}: {}; other keys of the "
                        "event's data are {{data.KEY}}",
                        visible(name), suggest(name, known)));
      }
      parts.push_back({false, std::move(text)});
      parts.push_back({true, std::string(name)});
      text.clear();
      i = end;
    } else {
      text += c;
    }
  }
  if (!text.ends_with('\n') && !text.ends_with('\0')) text += '\n';
  parts.push_back({false, std::move(text)});
  return parts;
}

std::string text_of(const Value& value) {
  if (const std::string* text = value.text()) return *text;
  if (const auto* bytes = std::get_if<Value::Bytes>(&value.v)) return bytes->data;
  return value.is_nil() ? std::string() : to_json(value);
}

std::string field(const Event& event, std::string_view name) {
  if (name == "path") return event.path();
  if (name == "relative_path") return event.relative_path();
  if (name == "name") {
    const std::string path = event.path();
    return path.substr(path.rfind('/') + 1);  // npos + 1 == 0
  }
  if (name == "specversion") return "1.0";
  if (name == "id") return event.id;
  if (name == "source") return event.source;
  if (name == "type") return event.type;
  if (name == "subject") return event.subject;
  if (name == "time") return event.time;
  if (name == "sequence") return event.sequence;
  if (name == "prevsequence") return event.prevsequence;
  if (name == "data") return to_json(event.data);
  if (name.starts_with(kDataPrefix)) name.remove_prefix(kDataPrefix.size());
  const Value* value = event.data.find(name);
  return value == nullptr ? std::string() : text_of(*value);
}

/// "2026-11-22T10:00:00.000000000Z" as HH:MM:SS.mmm of the local time zone; the text itself if it
/// is no such time.
std::string local_time(const std::string& text) {
  std::tm utc{};
  int millis = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &utc.tm_year, &utc.tm_mon,
                  &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &millis) < 6) {
    return visible(text);
  }
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  const std::time_t seconds = ::timegm(&utc);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{:02}:{:02}:{:02}.{:03}", local.tm_hour, local.tm_min, local.tm_sec, millis);
}

std::string_view colour_of(std::string_view type) {
  if (type == "file.completed" || type == "directory.completed" || type == "group.completed") {
    return kGreen;
  }
  if (type == "file.rejected" || type == "watch.lost" || type == "in_q_overflow") return kRed;
  if (type == "file.stalled" || type == "watch.degraded" || type == "watch.rescan") return kYellow;
  if (type.starts_with("watch.")) return kBlue;
  return kCyan;
}

/// What follows the path of a raw event: only what is not zero.
std::string raw_details(const Event& event) {
  const Value* cookie = event.data.find("cookie");
  if (cookie == nullptr || cookie->integer() == nullptr || *cookie->integer() == 0) return {};
  return fmt::format("cookie {}", *cookie->integer());
}

/// "reason overflow, recovered 3": whatever data says beyond where it happened, in its order.
std::string details(const Event& event) {
  std::string out;
  const Value::Map* data = event.data.map();
  if (data == nullptr) return out;
  for (const auto& [key, value] : *data) {
    if (value.is_nil() || key == "watch" || key == "root" || key == "path" || key == "path_bytes") {
      continue;
    }
    if (!out.empty()) out += ", ";
    out += visible(key) + ' ' + visible(text_of(value));
  }
  return out;
}

bool is_true(const Value* value) {
  const bool* held = value == nullptr ? nullptr : std::get_if<bool>(&value->v);
  return held != nullptr && *held;
}

}  // namespace

namespace {

// Less than a stream's buffer, and than what a pipe that can be written to takes (pipe(7)).
constexpr std::size_t kPart = 4000;

}  // namespace

struct Printer::Impl {
  enum class Mode { kTerminal, kJson, kNul, kFormat };

  std::FILE* out;
  Mode mode;
  bool colour = false;
  int stop_fd = -1;
  std::size_t held = 0;  ///< bytes in the stream's buffer
  std::vector<Part> format;

  /// False if the reader has gone, or a signal came while it did not read, which is no error of the
  /// stream. Throws for others.
  bool written(bool well) {
    if (well) return true;
    if (errno != EPIPE && errno != EINTR) throw SetupError(why_not_written(errno));
    drop();
    return false;
  }

  void drop() {
    std::clearerr(out);
    ::__fpurge(out);
    held = 0;
  }

  /// Waits until the next write does not. False: asked to stop meanwhile.
  bool is_writable() {
    if (stop_fd < 0) return true;
    std::array<pollfd, 2> items{pollfd{::fileno(out), POLLOUT, 0}, pollfd{stop_fd, POLLIN, 0}};
    while (::poll(items.data(), items.size(), -1) < 0 && errno == EINTR) {
    }
    if (items[0].revents != 0) return true;
    drop();
    return false;
  }

  bool flush() {
    if (held > 0 && !is_writable()) return false;
    held = 0;
    return written(std::fflush(out) == 0);
  }

  bool add(std::string_view text) {
    while (!text.empty()) {
      const std::string_view part = text.substr(0, kPart);
      if (held + part.size() > kPart && !flush()) return false;
      if (!written(std::fwrite(part.data(), 1, part.size(), out) == part.size())) return false;
      held += part.size();
      text.remove_prefix(part.size());
    }
    return true;
  }

  std::string_view style(std::string_view code) const { return colour ? code : ""; }

  std::string terminal_line(const Event& event) const {
    const bool raw = event.type.starts_with("in_");
    std::string size;
    if (!raw && event.size() >= 0) size = human_size(event.size());
    std::string line = fmt::format(
        "{}{}{}  {}{:<16}{}  {:>10}  ", style(kDim), local_time(event.time), style(kNone),
        style(colour_of(event.type)), visible(event.type), style(kNone), size);
    std::string path = visible(event.path());
    std::string note;
    if (event.type.starts_with("watch.")) {
      // Of the watch: its name, then what became of it.
      line += fmt::format("{}{}{}", style(kBold), visible(event.watch()), style(kNone));
      note = details(event);
      if (!path.empty()) line += "  " + path;
      if (!note.empty()) line += "  " + note;
      return line + '\n';
    }
    if (raw && is_true(event.data.find("is_dir")) && !path.ends_with('/')) path += '/';
    line += path;
    if (raw) {
      note = raw_details(event);
    } else if (const Value* evidence = event.data.find("evidence")) {
      note = visible(text_of(*evidence));
    }
    if (is_true(event.data.find("rewritten"))) note += note.empty() ? "rewritten" : ", rewritten";
    if (const Value* from = event.data.find("from")) {
      note += (note.empty() ? "← " : "  ← ") + visible(text_of(*from));
    }
    if (!note.empty()) line += fmt::format("  {}{}{}", style(kDim), note, style(kNone));
    return line + '\n';
  }

  std::string text(const Event& event) const {
    switch (mode) {
      case Mode::kTerminal:
        return terminal_line(event);
      case Mode::kJson:
        return to_json(event) + '\n';
      case Mode::kNul:
        return event.path() + '\0';
      case Mode::kFormat:
        break;
    }
    std::string line;
    for (const Part& part : format) line += part.field ? field(event, part.text) : part.text;
    return line;
  }
};

Printer::Printer(const OutputOptions& options, std::FILE* out) : impl_(std::make_unique<Impl>()) {
  if ((options.json ? 1 : 0) + (options.nul ? 1 : 0) + (options.format.empty() ? 0 : 1) > 1) {
    throw UsageError("--json, -0 and --format exclude each other: give one of them");
  }
  impl_->out = out;
  if (!options.format.empty()) {
    impl_->mode = Impl::Mode::kFormat;
    impl_->format = parse_format(options.format);
  } else if (options.nul) {
    impl_->mode = Impl::Mode::kNul;
  } else if (options.json || ::isatty(::fileno(out)) == 0) {
    impl_->mode = Impl::Mode::kJson;
  } else {
    impl_->mode = Impl::Mode::kTerminal;
    const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org
    const char* terminal = std::getenv("TERM");
    impl_->colour = (no_color == nullptr || *no_color == '\0') &&
                    (terminal == nullptr || std::string_view(terminal) != "dumb");
  }
}

Printer::~Printer() = default;

bool Printer::shows(const Event& event) const {
  return impl_->mode != Impl::Mode::kNul || !event.path().empty();
}

bool Printer::reader_is_gone() const {
  pollfd item{::fileno(impl_->out), 0, 0};
  return ::poll(&item, 1, 0) > 0 && (item.revents & (POLLERR | POLLHUP)) != 0;
}

bool Printer::print(const Event& event) {
  if (!shows(event)) return true;
  return add(event) && flush();
}

bool Printer::add(const Event& event) {
  if (!shows(event)) return true;
  return impl_->add(impl_->text(event));
}

bool Printer::flush() { return impl_->flush(); }

void Printer::stop_by(int fd) { impl_->stop_fd = fd; }

std::string Table::text() const {
  // Characters, not bytes: what is shown is UTF-8.
  const auto width = [](const std::string& cell) {
    return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    }));
  };
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width(row[i]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

void check_types(const std::vector<std::string>& types) {
  if (const std::string why = why_no_type(types); !why.empty()) throw UsageError(visible(why));
}

std::string why_not_written(int error) {
  std::string text = describe("write", "standard output", error);
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) text += ": make room for it";
  if (error == EBADF) text += ": it is closed; to print nothing, send it to /dev/null";
  return text;
}

std::string human_size(std::int64_t bytes) {
  constexpr std::array<std::string_view, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                      "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto number = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  for (; number >= 1023.95 && unit + 1 < kUnits.size(); ++unit) number /= 1024;
  return fmt::format("{:.1f} {}", number, kUnits[unit]);
}

std::string visible(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  const auto escape = [&](std::string_view piece) {
    for (const char c : piece) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  };
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    const std::string_view piece = bytes.substr(0, length == 0 ? 1 : length);
    const auto first = static_cast<unsigned char>(piece[0]);
    // U+0080 to U+009F are control characters too: some terminals take U+009B for ESC [.
    const bool control =
        length == 1 ? first < 0x20 || first == 0x7f
                    : length == 2 && first == 0xc2 && static_cast<unsigned char>(piece[1]) < 0xa0;
    if (length == 0 || control) {
      escape(piece);
    } else if (first == '\\') {
      out += "\\\\";
    } else {
      out += piece;
    }
    bytes.remove_prefix(piece.size());
  }
  return out;
}

}  // namespace inotifier
