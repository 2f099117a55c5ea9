// inotifier keygen: a pair of CURVE keys in two files.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/unique_fd.hpp"
#include "cli/arguments.hpp"
#include "config/rules.hpp"

namespace inotifier {
namespace {

/// A file that is not there yet. Removed again unless keep() is called: half a pair is of no use.
class NewFile {
 public:
  NewFile(std::string path, mode_t mode) : path_(std::move(path)) {
    fd_ = UniqueFd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd_ && errno == EEXIST) {
      throw SetupError(fmt::format(
          "{} is there already, and may be in use: choose another name, or remove it", path_));
    }
    if (!fd_) throw SetupError(describe("open", path_, errno) + remedy(errno));
    if (::fchmod(fd_.get(), mode) != 0) fail("fchmod");
  }
  ~NewFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  void write(std::string_view text) {
    while (!text.empty()) {
      const auto count = ::write(fd_.get(), text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail("write");
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    if (::fsync(fd_.get()) != 0) fail("fsync");
  }
  void keep() { path_.clear(); }

 private:
  static std::string remedy(int error) {
    if (error == ENOENT || error == ENOTDIR) return ": make the directory first";
    if (error == EACCES || error == EROFS) return ": choose a directory with --dir";
    return "";
  }

  [[noreturn]] void fail(std::string_view call) {
    const int error = errno;
    const auto text = describe(call, path_, error);
    ::unlink(path_.c_str());
    throw SetupError(text);
  }

  std::string path_;
  UniqueFd fd_;
};

struct KeygenArguments {
  std::string name;
  std::string directory = ".";
  std::string access = "read";  ///< or "all"
};

int run_keygen(const KeygenArguments& arguments) {
  if (const auto error = config::check_watch_name(arguments.name)) {
    throw UsageError(fmt::format("keygen {}: {}", arguments.name, error->reason));
  }
  auto keys = make_curve_keys();
  keys.metadata["access"] = arguments.access;
  const auto base = join(absolute(arguments.directory), arguments.name);
  const auto public_path = base + ".key";
  const auto secret_path = base + ".key_secret";
  {
    NewFile public_file(public_path, 0644);
    NewFile secret_file(secret_path, 0600);
    secret_file.write(secret_file_text(keys));
    public_file.write(public_file_text(keys));
    secret_file.keep();
    public_file.keep();
  }
  fmt::print(
      "made {public} (public: {key})\n"
      "made {secret} (secret: it stays where it is used, mode 0600)\n"
      "\n"
      "As the key of a client that may {access}:\n"
      "  copy {name}.key into the directory that the daemon has as [security] clients;\n"
      "  the client connects with its secret file and the daemon's public one:\n"
      "  inotifier sub --endpoint tcp://HOST:7556 --key {name}.key_secret --server-key server.key\n"
      "As the key of a daemon:\n"
      "  [security]\n"
      "  server_key = \"{secret}\"\n"
      "  clients = \"/etc/inotifier/clients\"\n"
      "  chown the secret file to the daemon's user; give {name}.key to every client.\n",
      fmt::arg("public", public_path), fmt::arg("secret", secret_path),
      fmt::arg("key", keys.public_key), fmt::arg("name", arguments.name),
      fmt::arg("access", arguments.access == "all"
                             ? "do everything (access = \"all\")"
                             : "subscribe and read (access = \"read\"; --access all for more)"));
  return 0;
}

}  // namespace

Subcommand keygen_command() {
  return subcommand<KeygenArguments>(
      "keygen",
      "make a pair of keys for tcp endpoints: NAME.key, to give away, and NAME.key_secret, to keep",
      [](Options& options, KeygenArguments& arguments) {
        options.required("NAME", arguments.name, "of the client, or of the daemon");
        options.text("--dir", arguments.directory, "where to put them (the current directory)");
        options.one_of("--access", arguments.access,
                       "what a client with this key may do: read, or all (also make, move and "
                       "forget consumers, and acknowledge)",
                       {"read", "all"});
      },
      run_keygen);
}

}  // namespace inotifier
