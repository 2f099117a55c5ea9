#include "journal/journal.hpp"

#include <sys/random.h>

#include <array>
#include <cstring>
#include <utility>

#include "base/clock.hpp"
#include "base/hash.hpp"
#include "publish/codec.hpp"

namespace inotifier {
namespace {

constexpr int kPositionBitsPerSecond = 20;

std::string random_uuid() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    const Now now = read_clocks();
    std::memcpy(bytes.data(), &now, sizeof now);
  }
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0FU) | 0x40U);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3FU) | 0x80U);
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

template <typename Number>
void append_raw(std::string& key, Number number) {
  std::array<char, sizeof number> bytes;
  std::memcpy(bytes.data(), &number, sizeof number);
  key.append(bytes.data(), bytes.size());
}

}  // namespace

Journal::Journal(std::string daemon_name, Nanos start)
    : daemon_name_(std::move(daemon_name)),
      stream_(random_uuid()),
      position_(static_cast<std::uint64_t>(start / kSecond) << kPositionBitsPerSecond) {}

/// What is said of a file: of the fact alone, so that the same fact has the same id however often
/// it is found. All else: of its place in this stream.
void Journal::make_id(const Said& said, std::uint64_t position) {
  const Report& report = said.report;
  key_.clear();
  if (report.file) {
    const FileFacts& file = *report.file;
    key_ += report.type;
    key_ += '\0';
    key_ += said.watch;
    key_ += '\0';
    key_ += report.path;
    key_ += '\0';
    append_raw(key_, file.stat.inode);
    append_raw(key_, file.stat.size);
    append_raw(key_, file.stat.mtime);
    append_raw(key_, file.tie);
  } else {
    key_ += stream_;
    append_raw(key_, position);
  }
  id_ = hash128_hex(key_);
}

void Journal::commit(const std::vector<Said>& turn, Nanos time, const Publish& publish) {
  for (const Said& said : turn) {
    topic_ = said.report.type;
    topic_ += '/';
    topic_ += said.watch;
    topic_ += '/';
    auto last = last_.find(topic_);
    if (last == last_.end()) last = last_.emplace(topic_, 0).first;
    const std::uint64_t position = ++position_;
    make_id(said, position);
    Envelope envelope;
    envelope.daemon_name = daemon_name_;
    envelope.watch = said.watch;
    envelope.root = said.root;
    envelope.id = id_;
    envelope.time = time;
    envelope.position = position;
    envelope.previous = last->second;
    encode_report(said.report, envelope, body_);
    last->second = position;
    publish(topic_, body_);
  }
}

}  // namespace inotifier
