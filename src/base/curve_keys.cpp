#include "base/curve_keys.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kKeyBytes = 32;
constexpr std::size_t kKeyText = 40;
// A file of ours has some 300 bytes; the rest is room for remarks.
constexpr std::size_t kLargestFile = 64U << 10U;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string_view unquoted(std::string_view text) {
  const bool is_quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                         text.front() == text.back();
  return is_quoted ? text.substr(1, text.size() - 2) : text;
}

bool is_key(const std::string& text) {
  std::array<std::uint8_t, kKeyBytes> bytes{};
  return text.size() == kKeyText && zmq_z85_decode(bytes.data(), text.c_str()) != nullptr;
}

std::string public_of(const std::string& secret) {
  std::array<char, kKeyText + 1> text{};
  if (zmq_curve_public(text.data(), secret.c_str()) != 0) return {};
  return text.data();
}

UniqueFd open_file(const std::string& path, struct stat& stat) {
  // O_NONBLOCK: a FIFO that lies there must not hold us up.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    const int error = errno;
    const auto remedy = error == ENOENT   ? ": inotifier keygen makes key files"
                        : error == EACCES ? ": it must belong to the user who uses it"
                                          : "";
    throw SetupError(describe("open", path, error) + remedy);
  }
  if (::fstat(fd.get(), &stat) != 0) throw SetupError(describe("fstat", path, errno));
  if (!S_ISREG(stat.st_mode)) throw SetupError(fmt::format("{} is no regular file", path));
  return fd;
}

std::string read_all(int fd, const std::string& path) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (text.size() <= kLargestFile) {
    const auto count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SetupError(describe("read", path, errno));
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  throw SetupError(
      fmt::format("{} is larger than {} bytes: it is no key file", path, kLargestFile));
}

std::string file_text(const CurveKeys& keys, std::string_view title, bool with_secret) {
  std::string text = fmt::format("{}\nmetadata\n", title);
  for (const auto& [name, value] : keys.metadata) {
    text += fmt::format("    {} = \"{}\"\n", name, value);
  }
  text += fmt::format("curve\n    public-key = \"{}\"\n", keys.public_key);
  if (with_secret) text += fmt::format("    secret-key = \"{}\"\n", keys.secret_key);
  return text;
}

}  // namespace

CurveKeys make_curve_keys() {
  std::array<char, kKeyText + 1> public_key{};
  std::array<char, kKeyText + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    throw SetupError(
        "this libzmq was built without CURVE (libsodium): install one that has it, as Debian's "
        "libzmq5");
  }
  return {public_key.data(), secret_key.data(), {}};
}

std::string public_file_text(const CurveKeys& keys) {
  return file_text(keys,
                   "# ZeroMQ CURVE public key, made by inotifier keygen. May be given to others.\n",
                   false);
}

std::string secret_file_text(const CurveKeys& keys) {
  return file_text(keys,
                   "# ZeroMQ CURVE SECRET key, made by inotifier keygen. Give it to nobody, and\n"
                   "# leave its mode at 0600.\n",
                   true);
}

CurveKeys parse_curve_keys(std::string_view text, std::string_view name) {
  CurveKeys keys;
  int number = 0;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    const auto equals = line.find('=');
    // The rest is headings: "metadata", "curve".
    if (line.empty() || line.front() == '#' || equals == std::string_view::npos) continue;
    const auto key = trim(line.substr(0, equals));
    const std::string value(unquoted(trim(line.substr(equals + 1))));
    const bool is_public = key == "public-key";
    if (!is_public && key != "secret-key") {
      keys.metadata.emplace(key, value);
    } else if (!is_key(value)) {
      // Not the value: it may be a secret with a slip in it.
      throw SetupError(
          fmt::format("{}:{}: the {} is none: it has {} characters, 40 of Z85 make one", name,
                      number, key, value.size()));
    } else {
      (is_public ? keys.public_key : keys.secret_key) = value;
    }
  }
  if (keys.public_key.empty()) {
    throw SetupError(fmt::format(
        "{} has no line public-key = \"...\": it is no key file (inotifier keygen makes them)",
        name));
  }
  if (!keys.secret_key.empty() && public_of(keys.secret_key) != keys.public_key) {
    throw SetupError(fmt::format("{}: public-key and secret-key are of two pairs", name));
  }
  return keys;
}

CurveKeys read_keys(const std::string& path) {
  struct stat stat {};
  const UniqueFd fd = open_file(path, stat);
  return parse_curve_keys(read_all(fd.get(), path), path);
}

CurveKeys read_secret_keys(const std::string& path) {
  struct stat stat {};
  const UniqueFd fd = open_file(path, stat);
  // First: a file with the public key is to be read by others.
  auto keys = parse_curve_keys(read_all(fd.get(), path), path);
  if (keys.secret_key.empty()) {
    throw SetupError(
        fmt::format("{} has a public key only: give the file with the secret one (inotifier keygen "
                    "calls it NAME.key_secret)",
                    path));
  }
  if (stat.st_uid != ::geteuid() && stat.st_uid != 0) {
    throw SetupError(
        fmt::format("{} belongs to uid {}, who could put another key there: chown {} {}", path,
                    stat.st_uid, ::geteuid(), path));
  }
  if ((stat.st_mode & 077U) != 0) {
    throw SetupError(fmt::format(
        "{} has mode {:04o}, so others could read or change the secret key: chmod 600 {} (and make "
        "new keys if they may have read it)",
        path, stat.st_mode & 07777U, path));
  }
  return keys;
}

std::string z85(std::string_view bytes) {
  if (bytes.size() != kKeyBytes) return {};
  std::array<char, kKeyText + 1> text{};
  zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  return text.data();
}

}  // namespace inotifier
