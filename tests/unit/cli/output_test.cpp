#include "cli/output.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "inotifier/wire.hpp"

using namespace inotifier;
using namespace std::string_literals;

namespace {

Event completed() {
  Event out;
  out.id = "0123456789abcdef0123456789abcdef";
  out.source = "//pacs-1/incoming";
  out.type = "file.completed";
  out.subject = "a/b.dcm";
  out.time = "2026-11-22T10:00:00.123456789Z";
  out.sequence = "00000000000000000002";
  out.prevsequence = "0";
  out.data =
      Value::Map{{"watch", "incoming"},       {"root", "/srv/in"},    {"path", "/srv/in/a/b.dcm"},
                 {"size", 1'572'864},         {"evidence", "rename"}, {"from", "a/b.dcm.part"},
                 {"rewritten", false},        {"ratio", 0.5},         {"nothing", Value()},
                 {"list", Value::Array{1, 2}}};
  return out;
}

Event ready() {
  Event out = completed();
  out.type = "watch.ready";
  out.subject.clear();
  out.data =
      Value::Map{{"watch", "incoming"}, {"root", "/srv/in"}, {"directories", 12}, {"files", 345}};
  return out;
}

/// What a Printer writes into a file.
std::string printed(const OutputOptions& options, const Event& event) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK(Printer(options, file).print(event));
  const auto size = static_cast<std::size_t>(std::ftell(file));
  std::string out(size, '\0');
  std::rewind(file);
  CHECK(std::fread(out.data(), 1, size, file) == size);
  std::fclose(file);
  return out;
}

std::string formatted(const std::string& format, const Event& event = completed()) {
  OutputOptions options;
  options.format = format;
  return printed(options, event);
}

/// What a Printer writes on a terminal.
std::string on_terminal(const Event& event) {
  const UniqueFd controller(::posix_openpt(O_RDWR | O_NOCTTY));
  REQUIRE(controller);
  REQUIRE(::grantpt(controller.get()) == 0);
  REQUIRE(::unlockpt(controller.get()) == 0);
  std::FILE* terminal = std::fopen(::ptsname(controller.get()), "w");
  REQUIRE(terminal != nullptr);
  CHECK(Printer({}, terminal).print(event));
  char text[4096];
  const ssize_t size = ::read(controller.get(), text, sizeof text);
  std::fclose(terminal);
  REQUIRE(size > 0);
  return {text, static_cast<std::size_t>(size)};
}

/// Sets an environment variable for its life.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    had_ = std::getenv(name) != nullptr;
    ::setenv(name, value, 1);
  }
  ~Variable() {
    if (had_) {
      ::setenv(name_, before_.c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::string before_;
  bool had_ = false;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("human_size has one decimal beyond bytes") {
  CHECK(human_size(0) == "0 B");
  CHECK(human_size(1023) == "1023 B");
  CHECK(human_size(1024) == "1.0 KiB");
  CHECK(human_size(1536) == "1.5 KiB");
  CHECK(human_size(1024 * 1024 - 1) == "1.0 MiB");
  CHECK(human_size(5'000'000'000) == "4.7 GiB");
  CHECK(human_size(9'223'372'036'854'775'807) == "8.0 EiB");
}

TEST_CASE("visible leaves nothing a terminal would obey") {
  CHECK(visible("plain ä 日.txt") == "plain ä 日.txt");
  CHECK(visible("a\nb\x1b[31m\x7f\t") == "a\\x0ab\\x1b[31m\\x7f\\x09");
  CHECK(visible("caf\xe9") == "caf\\xe9");
  CHECK(visible("\xc2") == "\\xc2");
  CHECK(visible("\xc2\x9b"
                "31m") == "\\xc2\\x9b31m");
  CHECK(visible("\xc2\xa0") == "\xc2\xa0");
  CHECK(visible("a\\b") == "a\\\\b");
  CHECK(visible("a\0b"s) == "a\\x00b");
}

TEST_CASE("into a pipe an event is a line of JSON, with or without --json") {
  OutputOptions json;
  json.json = true;
  CHECK(printed({}, completed()) == to_json(completed()) + '\n');
  CHECK(printed(json, completed()) == to_json(completed()) + '\n');
}

TEST_CASE("-0 prints the exact bytes of the path, and nothing where there is none") {
  OutputOptions options;
  options.nul = true;
  CHECK(printed(options, completed()) == "/srv/in/a/b.dcm\0"s);
  Event odd = completed();
  odd.data = Value::Map{{"path", "/in/\xef\xbf\xbd"}, {"path_bytes", Value::Bytes{"/in/\n\xff"}}};
  CHECK(printed(options, odd) == "/in/\n\xff\0"s);
  CHECK(printed(options, ready()).empty());
  const Printer printer(options, stdout);
  CHECK(printer.shows(odd));
  CHECK_FALSE(printer.shows(ready()));
}

TEST_CASE("--format takes fields of the envelope and of data") {
  CHECK(formatted("{path}\\t{size}") == "/srv/in/a/b.dcm\t1572864\n");
  CHECK(
      formatted("{type} {id} {time} {sequence} {prevsequence} {source} {subject} {specversion}") ==
      "file.completed 0123456789abcdef0123456789abcdef 2026-11-22T10:00:00.123456789Z "
      "00000000000000000002 0 //pacs-1/incoming a/b.dcm 1.0\n");
  CHECK(formatted("{watch}|{evidence}|{from}|{rewritten}|{data.ratio}|{data.list}") ==
        "incoming|rename|a/b.dcm.part|false|0.5|[1,2]\n");
  CHECK(formatted("{relative_path} {name}") == "a/b.dcm b.dcm\n");
  CHECK(formatted("{data.nothing}{reason}") == "\n");
  CHECK(formatted("{path}{size}", ready()) == "\n");
  CHECK(formatted("{data}", ready()) ==
        R"({"watch":"incoming","root":"/srv/in","directories":12,"files":345})" + "\n"s);
}

TEST_CASE("--format prints a path's bytes as they are") {
  Event odd = completed();
  odd.data = Value::Map{{"path", "/in/\xef\xbf\xbd"}, {"path_bytes", Value::Bytes{"/in/\n\xff"}}};
  CHECK(formatted("{path}", odd) == "/in/\n\xff\n");
  CHECK(formatted("{name}", odd) == "\n\xff\n");
}

TEST_CASE("--format knows escapes, braces, and whether a line end is wanted") {
  CHECK(formatted("a\\tb\\\\n\\r") == "a\tb\\n\r\n");
  CHECK(formatted("{{{type}}}") == "{file.completed}\n");
  CHECK(formatted("a } b") == "a } b\n");
  CHECK(formatted("{type}\\n") == "file.completed\n");
  CHECK(formatted("{type}\\0") == "file.completed\0"s);
  CHECK(formatted("x") == "x\n");
}

TEST_CASE("a format that cannot be read is bad usage") {
  for (const auto* format :
       {"{", "{path", "{}", "{pth}", "a {} b", "{pa th}", "{path\\t}", "{a.b}", "\\", "\\x"}) {
    OutputOptions options;
    options.format = format;
    CHECK_THROWS_AS_MESSAGE(Printer(options, stdout), UsageError, format);
  }
}

TEST_CASE("two formats at once are bad usage") {
  OutputOptions options;
  options.json = true;
  options.nul = true;
  CHECK_THROWS_AS(Printer(options, stdout), UsageError);
  options.nul = false;
  options.format = "x";
  CHECK_THROWS_AS(Printer(options, stdout), UsageError);
  options.json = false;
  CHECK_NOTHROW(Printer(options, stdout));
}

TEST_CASE("a reader that has gone ends printing quietly") {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);
  std::FILE* file = ::fdopen(ends[1], "w");
  CHECK_FALSE(Printer({}, file).print(completed()));
  std::fclose(file);
}

TEST_CASE("a full disk is told") {
  std::FILE* full = std::fopen("/dev/full", "w");
  REQUIRE(full != nullptr);
  CHECK_THROWS_AS(Printer({}, full).print(completed()), SetupError);
  std::fclose(full);
}

TEST_CASE("on a terminal an event is a line for a person") {
  const Variable zone("TZ", "UTC-2");
  const Variable colourless("NO_COLOR", "1");
  ::tzset();
  CHECK(on_terminal(completed()) ==
        "12:00:00.123  file.completed       1.5 MiB  /srv/in/a/b.dcm  rename  ← a/b.dcm.part\r\n");
  CHECK(on_terminal(ready()) ==
        "12:00:00.123  watch.ready                   incoming  directories 12, files 345\r\n");

  Event degraded = ready();
  degraded.type = "watch.degraded";
  degraded.data = Value::Map{{"watch", "incoming"},
                             {"root", "/srv/in"},
                             {"path", "/srv/in/x\n"},
                             {"reason", "unreadable"},
                             {"detail", "open: Permission denied"}};
  CHECK(contains(
      on_terminal(degraded),
      "  incoming  /srv/in/x\\x0a  reason unreadable, detail open: Permission denied\r\n"));

  Event raw = completed();
  raw.type = "in_create";
  raw.data = Value::Map{{"watch", "incoming"}, {"path", "/srv/in/d"}, {"mask", 0x40000100},
                        {"cookie", 0},         {"name", "d"},         {"is_dir", true}};
  CHECK(contains(on_terminal(raw), "  in_create                     /srv/in/d/\r\n"));
  raw.data = Value::Map{{"watch", "incoming"}, {"path", "/srv/in/f"}, {"mask", 0x80},
                        {"cookie", 77},        {"name", "f"},         {"is_dir", false}};
  CHECK(contains(on_terminal(raw), "  /srv/in/f  cookie 77\r\n"));
}

TEST_CASE("names cannot play with the terminal, and odd times are shown as they are") {
  const Variable colourless("NO_COLOR", "1");
  Event odd = completed();
  odd.time = "yesterday\x1b[2J";
  odd.type = "file.\x1b[2J";
  odd.data = Value::Map{{"path", "/in/\x1b[2J\xff"}, {"from", "\x1b[2J"}, {"evidence", "\x1b"}};
  const std::string line = on_terminal(odd);
  CHECK_FALSE(contains(line, "\x1b"));
  CHECK(contains(line, "yesterday\\x1b[2J"));
}

TEST_CASE("colour is for terminals that have it, unless NO_COLOR says otherwise") {
  {
    const Variable colourful("NO_COLOR", "");
    const Variable terminal("TERM", "xterm");
    CHECK(contains(on_terminal(completed()), "\x1b[32mfile.completed"));
    CHECK(contains(on_terminal(completed()), "\x1b[2mrename"));
  }
  {
    const Variable colourful("NO_COLOR", "");
    const Variable terminal("TERM", "dumb");
    CHECK_FALSE(contains(on_terminal(completed()), "\x1b"));
  }
  const Variable colourless("NO_COLOR", "1");
  CHECK_FALSE(contains(on_terminal(completed()), "\x1b"));
}
