// Writes files the way receivers and tools do, and notes when. `writer help` lists the ways.
//
// The log is one JSON object a line: {"what", "mono", "real", "size", "mtime", "path"}. The times
// are nanoseconds of CLOCK_MONOTONIC and CLOCK_REALTIME; "<call>-before" is taken before the system
// call,
// "<call>-after" when it has returned, so that the call took effect between the two. The path is
// percent-encoded, relative to the writer's working directory if it was given so.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Nanos = std::int64_t;

Nanos now(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return Nanos{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

void sleep_for(Nanos nanos) {
  if (nanos <= 0) return;
  timespec t{nanos / 1'000'000'000, nanos % 1'000'000'000};
  while (nanosleep(&t, &t) != 0 && errno == EINTR) {
  }
}

constexpr Nanos kMillisecond = 1'000'000;
constexpr Nanos kMicrosecond = 1'000;

[[noreturn]] void fail(const std::string& call, const std::string& path) {
  throw std::runtime_error(call + " " + path + ": " + std::strerror(errno));
}

/// Kept in memory until the end, so that noting costs the writer's loop next to nothing.
class Log {
 public:
  void note(std::string_view what, std::string_view path, const struct stat* st = nullptr) {
    const Nanos mono = now(CLOCK_MONOTONIC);
    const Nanos real = now(CLOCK_REALTIME);
    text_ += "{\"what\":\"";
    text_ += what;
    text_ += "\",\"mono\":" + std::to_string(mono) + ",\"real\":" + std::to_string(real);
    if (st != nullptr) {
      text_ += ",\"size\":" + std::to_string(st->st_size) + ",\"mtime\":" +
               std::to_string(Nanos{st->st_mtim.tv_sec} * 1'000'000'000 + st->st_mtim.tv_nsec) +
               ",\"inode\":\"" + std::to_string(st->st_ino) + "\"";
    }
    text_ += ",\"path\":\"";
    for (const char c : path) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte <= 0x20 || byte >= 0x7f || c == '%' || c == '"' || c == '\\') {
        static constexpr char kHex[] = "0123456789ABCDEF";
        text_ += {'%', kHex[byte >> 4U], kHex[byte & 15U]};
      } else {
        text_ += c;
      }
    }
    text_ += "\"}\n";
  }

  /// Appends what was noted with one write(2), so that several processes can share the file.
  void flush() {
    const int fd =
        file.empty() ? 1 : open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) fail("open", file);
    for (std::string_view rest = text_; !rest.empty();) {
      const ssize_t n = write(fd, rest.data(), rest.size());
      if (n < 0) fail("write", file);
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    text_.clear();
    if (fd != 1) close(fd);
  }

  std::string file;

 private:
  std::string text_;
};

Log notes;

struct Settings {
  bool step = false;         // --step: wait for a line on standard input at every pause
  Nanos hold = 0;            // --hold: otherwise sleep so long there
  Nanos pause = 0;           // --pause: between chunks or rounds
  Nanos gap = 0;             // --gap: between the last two closes
  std::size_t bytes = 4096;  // --bytes: size of each file
};
Settings settings;

/// A point at which a test wants to look at what was announced.
void pause_at(const char* where) {
  if (!settings.step) {
    sleep_for(settings.hold);
    return;
  }
  std::printf("at %s\n", where);
  std::fflush(stdout);
  char line[16];
  if (std::fgets(line, sizeof line, stdin) == nullptr)
    throw std::runtime_error("standard input ended");
}

void make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir", path);
}

int open_file(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) fail("open", path);
  notes.note("open-after", path);
  return fd;
}

void write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = write(fd, data.data(), data.size());
    if (n < 0) fail("write", std::to_string(fd));
    data.remove_prefix(static_cast<std::size_t>(n));
  }
}

void fill(int fd, std::size_t bytes) {
  static const std::string kBlock(std::size_t{1} << 16U, 'x');
  while (bytes > 0) {
    const std::size_t part = std::min(bytes, kBlock.size());
    write_all(fd, std::string_view(kBlock).substr(0, part));
    bytes -= part;
  }
}

void close_file(int fd, const std::string& path) {
  struct stat st {};
  if (fstat(fd, &st) != 0) fail("fstat", path);
  notes.note("close-before", path, &st);
  close(fd);
  notes.note("close-after", path, &st);
}

void rename_file(const std::string& from, const std::string& to) {
  notes.note("rename-before", to);
  if (rename(from.c_str(), to.c_str()) != 0) fail("rename", to);
  notes.note("rename-after", to);
}

void write_file(const std::string& path, std::size_t bytes) {
  const int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  fill(fd, bytes);
  close_file(fd, path);
}

/// In four pieces with --pause between them.
void write_chunks(const std::string& path, std::size_t bytes) {
  const int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t part = std::min(bytes - done, bytes / 4 + 1);
    fill(fd, part);
    done += part;
    if (done < bytes) sleep_for(settings.pause);
  }
  close_file(fd, path);
}

std::string uid(int number) { return "1.2.826.0.1.3680043.9.7777.1." + std::to_string(number); }

using Arguments = std::vector<std::string>;

int number(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    throw std::runtime_error("not a number: " + text);
  }
  return value;
}

/// N.part; mkdir p_N, p_N/s; rename to p_N/s/N, as fast as it goes.
void nested_receiver(const Arguments& a) {
  const int count = number(a[0]);
  const std::string& root = a[1];
  for (int i = 0; i < count; ++i) {
    const std::string name = std::to_string(i);
    const std::string part = root + "/" + name + ".part";
    const std::string directory = root + "/p_" + name;
    write_file(part, settings.bytes);
    make_directory(directory);
    make_directory(directory + "/s");
    rename_file(part, directory + "/s/" + name);
  }
}

/// dcmrcv: <AE>/<uid>.part chunk by chunk, renamed in the same directory.
void dcmrcv(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    const std::string directory = a[1] + "/AE" + std::to_string(i % 3);
    make_directory(directory);
    const std::string final_name = directory + "/" + uid(i);
    write_chunks(final_name + ".part", settings.bytes);
    rename_file(final_name + ".part", final_name);
  }
}

/// Early builds of dcmrcv: straight to the final name.
void dcmrcv_early(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) write_chunks(a[1] + "/" + uid(i), settings.bytes);
}

/// What both dcm4che receivers do once the temporary is closed.
void dcm4che_store(const std::string& part, const std::string& root, int i) {
  const int fd = open(part.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("open", part);
  char head[132];
  if (read(fd, head, sizeof head) < 0) fail("read", part);
  close(fd);
  std::string directory = root + "/P" + std::to_string(i % 5);
  make_directory(directory);
  directory += "/S" + std::to_string(i % 11);
  make_directory(directory);
  directory += "/SE" + std::to_string(i % 23);
  make_directory(directory);
  const std::string target = directory + "/" + uid(i);
  if (unlink(target.c_str()) != 0 && errno != ENOENT) fail("unlink", target);
  rename_file(part, target);
}

/// dcm4che storescp: <root>/<uid>.part, close, re-opened to parse, renamed into new directories.
void dcm4che(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    const std::string part = a[1] + "/" + uid(i) + ".part";
    write_chunks(part, settings.bytes);
    dcm4che_store(part, a[1], i);
  }
}

/// Since 5.26.1: createTempFile(uid, ".part"), closed empty, then opened again and written.
void dcm4che_tempfile(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    const std::string digits = std::to_string(8'000'000'000'000'000'000U + unsigned(i) * 7919U);
    const std::string part = a[1] + "/" + uid(i) + digits + ".part";
    close_file(open_file(part, O_RDWR | O_CREAT | O_EXCL), part);
    write_chunks(part, settings.bytes);
    dcm4che_store(part, a[1], i);
  }
}

/// Opens a new file, then writes, then closes: the plain writer, to be looked at in between.
void held(const Arguments& a) {
  const int fd = open_file(a[0], O_WRONLY | O_CREAT | O_TRUNC);
  pause_at("opened");
  fill(fd, settings.bytes);
  pause_at("written");
  close_file(fd, a[0]);
}

/// O_TMPFILE, linked in with its content, closed later.
void tmpfile_link(const Arguments& a) {
  const std::string directory = a[0].substr(0, a[0].find_last_of('/'));
  const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
  if (fd < 0) fail("open O_TMPFILE", directory);
  fill(fd, settings.bytes / 2);
  notes.note("link-before", a[0]);
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  if (linkat(AT_FDCWD, link.c_str(), AT_FDCWD, a[0].c_str(), AT_SYMLINK_FOLLOW) != 0) {
    fail("linkat", a[0]);
  }
  notes.note("link-after", a[0]);
  pause_at("linked");
  fill(fd, settings.bytes - settings.bytes / 2);
  pause_at("written");
  close_file(fd, a[0]);
}

/// A finished file elsewhere on the file system gets a second name here.
void hard_link(const Arguments& a) {
  write_file(a[0], settings.bytes);
  notes.note("link-before", a[1]);
  if (link(a[0].c_str(), a[1].c_str()) != 0) fail("link", a[1]);
  notes.note("link-after", a[1]);
}

/// The same while it is still being written: the watched directory never sees the close.
void link_open(const Arguments& a) {
  const int fd = open_file(a[0], O_WRONLY | O_CREAT | O_TRUNC);
  fill(fd, settings.bytes / 2);
  notes.note("link-before", a[1]);
  if (link(a[0].c_str(), a[1].c_str()) != 0) fail("link", a[1]);
  notes.note("link-after", a[1]);
  pause_at("linked");
  fill(fd, settings.bytes - settings.bytes / 2);
  pause_at("written");
  close_file(fd, a[1]);
}

/// Two descriptors on one file; the second closes --gap after the first (0: one merged record).
void two_writers(const Arguments& a) {
  const int first = open_file(a[0], O_WRONLY | O_CREAT | O_TRUNC);
  const int second = open_file(a[0], O_WRONLY | O_APPEND);
  fill(first, settings.bytes / 2);
  pause_at("half");
  notes.note("first-close-before", a[0]);
  if (settings.gap == 0 && !settings.step) {
    fill(second, settings.bytes - settings.bytes / 2);
    close(first);
    close_file(second, a[0]);
    return;
  }
  close(first);
  pause_at("one-left");
  sleep_for(settings.gap);
  fill(second, settings.bytes - settings.bytes / 2);
  close_file(second, a[0]);
}

/// Stores through a shared mapping that outlives the descriptor.
void mapped(const Arguments& a) {
  const int fd = open_file(a[0], O_RDWR | O_CREAT | O_TRUNC);
  if (ftruncate(fd, static_cast<off_t>(settings.bytes)) != 0) fail("ftruncate", a[0]);
  void* memory = mmap(nullptr, settings.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) fail("mmap", a[0]);
  notes.note("descriptor-close-before", a[0]);
  close(fd);
  pause_at("mapped");
  std::memset(memory, 'm', settings.bytes);
  pause_at("written");
  notes.note("close-before", a[0]);
  munmap(memory, settings.bytes);
  notes.note("close-after", a[0]);
}

/// Truncates and rewrites one file; the generation stands in its last 16 bytes.
void rewrite_loop(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    const int fd = open_file(a[1], O_WRONLY | O_CREAT | O_TRUNC);
    fill(fd, settings.bytes - 16);
    char trailer[17];
    std::snprintf(trailer, sizeof trailer, "%016d", i);
    write_all(fd, std::string_view(trailer, 16));
    close_file(fd, a[1]);
    sleep_for(settings.pause);
  }
}

/// Always one writer at least: the next descriptor is opened before the last one is closed.
void relay(const Arguments& a) {
  const int count = number(a[0]);
  int fd = open_file(a[1], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  for (int i = 1; i < count; ++i) {
    write_all(fd, "0123456789abcdef");
    const int next = open(a[1].c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (next < 0) fail("open", a[1]);
    close(fd);
    fd = next;
    sleep_for(settings.pause);
  }
  write_all(fd, "0123456789abcdef");
  close_file(fd, a[1]);
}

/// Many creates in a tight loop; some hesitate between open and the first byte.
void slow_creator(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    const std::string path = a[1] + "/c" + std::to_string(i);
    const int fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
    if (i % 3 == 0) sleep_for((i % 7) * 300 * kMicrosecond);
    fill(fd, settings.bytes);
    close_file(fd, path);
  }
}

/// Processes that append to one file and finish one after the other; all have it open before any
/// has closed it.
void many_writers(const Arguments& a) {
  const int count = number(a[0]);
  notes.flush();
  std::vector<pid_t> children;
  int gate[2];
  int opened[2];
  if (pipe2(gate, O_CLOEXEC) != 0 || pipe2(opened, O_CLOEXEC) != 0) fail("pipe2", "");
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child < 0) fail("fork", "");
    if (child == 0) {
      close(gate[1]);
      const int fd = open_file(a[1], O_WRONLY | O_CREAT | O_APPEND);
      write_all(opened[1], "o");
      char byte = 0;
      if (read(gate[0], &byte, 1) < 0) _exit(1);  // ends when the parent closes its end
      for (int round = 0; round <= i; ++round) {
        fill(fd, 1000);
        sleep_for(3 * kMillisecond);
      }
      close_file(fd, a[1]);
      notes.flush();
      _exit(0);
    }
    children.push_back(child);
  }
  char byte = 0;
  for (int i = 0; i < count; ++i) {
    if (read(opened[0], &byte, 1) != 1) fail("read", "pipe");
  }
  close(gate[1]);
  for (const pid_t child : children) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0)
      throw std::runtime_error("a writer failed");
  }
}

/// N files spread over M directories.
void bulk(const Arguments& a) {
  const int files = number(a[0]);
  const int directories = number(a[1]);
  for (int i = 0; i < directories; ++i) make_directory(a[2] + "/b" + std::to_string(i));
  for (int i = 0; i < files; ++i) {
    write_file(a[2] + "/b" + std::to_string(i % directories) + "/f" + std::to_string(i),
               settings.bytes);
  }
}

/// Files one after the other with --pause between: for measuring latency.
void paced(const Arguments& a) {
  for (int i = 0; i < number(a[0]); ++i) {
    write_file(a[1] + "/f" + std::to_string(i), settings.bytes);
    sleep_for(settings.pause);
  }
}

struct Command {
  std::size_t arguments;
  const char* usage;
  std::function<void(const Arguments&)> run;
};

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> kCommands = {
      {"nested-receiver", {2, "COUNT ROOT", nested_receiver}},
      {"dcmrcv", {2, "COUNT ROOT", dcmrcv}},
      {"dcmrcv-early", {2, "COUNT ROOT", dcmrcv_early}},
      {"dcm4che", {2, "COUNT ROOT", dcm4che}},
      {"dcm4che-tempfile", {2, "COUNT ROOT", dcm4che_tempfile}},
      {"held", {1, "PATH", held}},
      {"tmpfile", {1, "PATH", tmpfile_link}},
      {"link", {2, "OUTSIDE PATH", hard_link}},
      {"link-open", {2, "OUTSIDE PATH", link_open}},
      {"two-writers", {1, "PATH", two_writers}},
      {"mapped", {1, "PATH", mapped}},
      {"rewrite-loop", {2, "COUNT PATH", rewrite_loop}},
      {"relay", {2, "COUNT PATH", relay}},
      {"slow-creator", {2, "COUNT ROOT", slow_creator}},
      {"many-writers", {2, "COUNT PATH", many_writers}},
      {"bulk", {3, "FILES DIRECTORIES ROOT", bulk}},
      {"paced", {2, "COUNT ROOT", paced}},
  };
  return kCommands;
}

int help() {
  std::puts(
      "writer COMMAND [--log FILE] [--step] [--hold MS] [--pause MS] [--gap MS] [--bytes N] ...");
  for (const auto& [name, command] : commands()) {
    std::printf("  %-18s %s\n", name.c_str(), command.usage);
  }
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) return help();
    const auto found = commands().find(argv[1]);
    if (found == commands().end()) return help();
    Arguments arguments;
    for (int i = 2; i < argc; ++i) {
      const std::string_view word = argv[i];
      const auto value = [&]() -> std::string {
        if (++i == argc) throw std::runtime_error("missing value");
        return argv[i];
      };
      if (word == "--log") {
        notes.file = value();
      } else if (word == "--step") {
        settings.step = true;
      } else if (word == "--hold") {
        settings.hold = number(value()) * kMillisecond;
      } else if (word == "--pause") {
        settings.pause = number(value()) * kMillisecond;
      } else if (word == "--gap") {
        settings.gap = number(value()) * kMillisecond;
      } else if (word == "--bytes") {
        settings.bytes = static_cast<std::size_t>(number(value()));
      } else {
        arguments.emplace_back(word);
      }
    }
    if (arguments.size() != found->second.arguments) return help();
    found->second.run(arguments);
    notes.flush();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "writer: %s\n", error.what());
    return 1;
  }
}
