#include "source/inotify_source.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <ctime>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "source/gathering.hpp"

namespace inotifier {
namespace {

// Holds about 400 records of usual names; read(2) gives as many as fit. Larger ones would make the
// pipeline's turns longer.
constexpr std::size_t kReadBytes = 16 * 1024;
// The longest record, inotify(7): what a read has left free beyond this held nothing back.
constexpr std::size_t kLongestRecord = sizeof(inotify_event) + NAME_MAX + 1;

}  // namespace

class InotifySource::Instance final : public Notifier {
 public:
  Instance(std::size_t number, UniqueFd fd, std::uint64_t position)
      : number_(number), fd_(std::move(fd)), read_(position) {}

  int add_watch(int handle, std::uint32_t mask) override {
    // By descriptor: what is watched is what was opened, whatever its name leads to by now.
    const auto path = fmt::format("/proc/self/fd/{}", handle);
    const int wd = inotify_add_watch(fd_.get(), path.c_str(), mask | IN_ONLYDIR);
    if (wd >= 0) return wd;
    const int error = errno;
    return error == ENOENT && access("/proc/self/fd", F_OK) != 0 ? -ENOSYS : -error;
  }

  void remove_watch(int wd) override { inotify_rm_watch(fd_.get(), wd); }

  std::uint64_t queued_bytes() const override {
    const std::lock_guard lock(mutex_);
    int waiting = 0;
    if (ioctl(fd_.get(), FIONREAD, &waiting) != 0) waiting = 0;
    return read_ + static_cast<std::uint64_t>(waiting);
  }

  /// Into an empty chunk, which stays so if nothing is there, or with an error.
  void read(Mailbox::Chunk& chunk) {
    std::array<std::byte, kReadBytes> bytes;  // NOLINT(*-init): read(2) fills it
    const std::lock_guard lock(mutex_);
    const ssize_t got = ::read(fd_.get(), bytes.data(), bytes.size());
    if (got > 0) chunk.bytes.assign(bytes.data(), bytes.data() + got);
    chunk.position = read_;
    read_ += chunk.bytes.size();
  }

  int fd() const { return fd_.get(); }
  std::size_t number() const { return number_; }

 private:
  const std::size_t number_;
  UniqueFd fd_;
  mutable std::mutex mutex_;  ///< so that "read" and "still queued" are seen at one moment
  std::uint64_t read_;
};

InotifySource::InotifySource(Mailbox& mailbox) : mailbox_(mailbox) {}

InotifySource::~InotifySource() { stop(); }

std::optional<InotifySource::Added> InotifySource::add_instance(std::uint64_t position,
                                                                int& error) {
  UniqueFd fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!fd) {
    error = errno;
    return std::nullopt;
  }
  const bool runs = reader_.joinable();
  stop();
  const std::size_t number = mailbox_.add_instance();
  instances_.push_back(std::make_unique<Instance>(number, std::move(fd), position));
  if (runs) start();
  return Added{number, *instances_.back()};
}

void InotifySource::remove_instance(std::size_t number) {
  std::erase_if(instances_, [number](const auto& one) { return one->number() == number; });
}

void InotifySource::start() {
  reader_ = std::thread([this] { run(); });
}

void InotifySource::stop() {
  if (!reader_.joinable()) return;
  stop_.raise();
  reader_.join();
  stop_.clear();
}

void InotifySource::run() {
  Gathering gathering;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{stop_.fd(), POLLIN, 0}, {mailbox_.room_fd(), POLLIN, 0}});
    for (const auto& instance : instances_) {
      const bool full = mailbox_.is_full(instance->number());
      polled.push_back({full ? -1 : instance->fd(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // EINTR
    if (polled[0].revents != 0) return;
    const bool was_full = polled[1].revents != 0;
    if (was_full) mailbox_.clear_room();
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      if (polled[i + 2].revents != 0) drain(*instances_[i]);
    }
    // A queue that had to wait for room is not made to wait for company.
    if (!was_full && !wait(gathering.on_emptied(read_clocks().mono))) return;
  }
}

/// False if it is to stop.
bool InotifySource::wait(Nanos pause) const {
  if (pause == 0) return true;
  const timespec time{pause / kSecond, pause % kSecond};
  pollfd stop{stop_.fd(), POLLIN, 0};
  return ppoll(&stop, 1, &time, nullptr) <= 0;
}

void InotifySource::drain(Instance& instance) {
  while (!mailbox_.is_full(instance.number())) {
    Mailbox::Chunk chunk = mailbox_.fresh();
    chunk.instance = instance.number();
    chunk.bytes.clear();
    instance.read(chunk);
    const std::size_t got = chunk.bytes.size();
    if (got > 0) mailbox_.push(std::move(chunk));
    if (got + kLongestRecord <= kReadBytes) return;  // the queue is empty
  }
}

}  // namespace inotifier
