#include "endpoint/security.hpp"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <iterator>
#include <thread>
#include <utility>
#include <vector>
#include <zmq.hpp>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "base/event_fd.hpp"
#include "base/log.hpp"

namespace inotifier {
namespace {

using Clock = std::chrono::steady_clock;

// RFC 27 fixes the address, and one context has one handler.
constexpr const char* kHandler = "inproc://zeromq.zap.01";
constexpr std::string_view kDomain = "inotifier";
constexpr std::string_view kAll = "all ";
constexpr std::string_view kRead = "read ";
// RFC 27: a user id holds at most 255 bytes.
constexpr std::size_t kLongestName = 200;
// Strangers decide how many refusals there are, not how large the log is.
constexpr auto kBetweenWarnings = std::chrono::seconds(1);

/// The frames of a request (RFC 27): version, request id, domain, address, identity, mechanism,
/// credentials.
struct Question {
  std::string version, id, domain, address, identity, mechanism, key;
};

}  // namespace

struct Security::Impl {
  Impl(zmq::context_t& context, const Config::Security& config) : group(config.group) {
    if (config.server_key.empty()) return;
    if (zmq_has("curve") == 0) {
      throw SetupError(
          "[security] server_key is set, but this libzmq was built without CURVE: install one that "
          "has it, as Debian's libzmq5");
    }
    try {
      keys = read_secret_keys(config.server_key);
    } catch (const SetupError& error) {
      throw SetupError(fmt::format("[security] server_key: {}", error.what()));
    }
    allowed = std::make_unique<AllowList>(config.clients);
    tell_problems();
    if (allowed->size() == 0) {
      log::warning("{} holds no client's key yet: nobody can connect to the tcp endpoints",
                   config.clients);
    }
    stop.emplace();
    handler = zmq::socket_t(context, zmq::socket_type::rep);
    handler.set(zmq::sockopt::linger, 0);
    handler.bind(kHandler);
    // Signals are for the thread that reads them (daemon/runner).
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    thread = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Impl() {
    if (!thread.joinable()) return;
    stop->raise();
    thread.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run() {
    for (;;) {
      zmq_pollitem_t items[] = {{handler.handle(), 0, ZMQ_POLLIN, 0},
                                {nullptr, stop->fd(), ZMQ_POLLIN, 0}};
      if (zmq_poll(items, 2, -1) < 0 && zmq_errno() != EINTR) return;  // ETERM: nobody asks now
      if (items[1].revents != 0) return;
      if (items[0].revents == 0) continue;
      try {
        answer();
      } catch (const std::exception& error) {
        // To go on is to refuse: a question without an answer is a connection that times out.
        log::error("cannot answer who may connect: {}", error.what());
      }
    }
  }

  void answer() {
    std::vector<std::string> frames;
    for (bool more = true; more;) {
      zmq::message_t frame;
      if (!handler.recv(frame, zmq::recv_flags::dontwait)) return;
      frames.push_back(frame.to_string());
      more = frame.more();
    }
    frames.resize(7);
    const Question question{frames[0], frames[1], frames[2],     frames[3],
                            frames[4], frames[5], z85(frames[6])};
    std::optional<Client> client;
    if (question.domain == kDomain && question.mechanism == "CURVE" && !question.key.empty()) {
      try {
        client = allowed->find(question.key);
        tell_problems();
      } catch (const std::exception& error) {
        log::error("cannot look for the key of {}: {}", question.address, error.what());
      }
    }
    if (client) {
      log::debug("{} connects as {}", question.address, client->name);
      reply(question, "200", "OK",
            fmt::format("{}{}", client->access == Access::kAll ? kAll : kRead,
                        client->name.substr(0, kLongestName)));
    } else {
      count_refused(question);
      reply(question, "400", "the key is not known", "");
    }
  }

  void reply(const Question& question, const char* status, const char* text,
             const std::string& user) {
    const std::string frames[] = {"1.0", question.id, status, text, user, ""};
    for (std::size_t i = 0; i < std::size(frames); ++i) {
      const auto flags =
          i + 1 < std::size(frames) ? zmq::send_flags::sndmore : zmq::send_flags::none;
      handler.send(zmq::buffer(frames[i]), flags | zmq::send_flags::dontwait);
    }
  }

  void tell_problems() {
    for (const auto& problem : allowed->new_problems()) log::warning("{}", problem);
  }

  void count_refused(const Question& question) {
    ++refused;
    ++untold;
    const auto now = Clock::now();
    if (last_warning && now - *last_warning < kBetweenWarnings) return;
    log::warning("refused {}: its key {} is not in the directory of clients{}", question.address,
                 question.key, untold > 1 ? fmt::format(" ({} refusals)", untold) : "");
    last_warning = now;
    untold = 0;
  }

  std::string group;
  CurveKeys keys;
  std::atomic<std::uint64_t> refused = 0;
  std::optional<EventFd> stop;
  // Of the thread, once it runs.
  zmq::socket_t handler;
  std::unique_ptr<AllowList> allowed;
  std::optional<Clock::time_point> last_warning;
  std::uint64_t untold = 0;
  std::thread thread;
};

Security::Security(zmq::context_t& context, const Config::Security& config)
    : impl_(std::make_unique<Impl>(context, config)) {}
Security::~Security() = default;

bool Security::has_keys() const { return !impl_->keys.secret_key.empty(); }
const std::string& Security::group() const { return impl_->group; }
const std::string& Security::public_key() const { return impl_->keys.public_key; }
std::uint64_t Security::refused() const { return impl_->refused; }

void Security::ask_for_keys(zmq::socket_t& socket) const {
  if (!has_keys()) return;
  // A listener keeps the options that its socket had when it was bound.
  socket.set(zmq::sockopt::curve_server, true);
  socket.set(zmq::sockopt::curve_secretkey, impl_->keys.secret_key);
  socket.set(zmq::sockopt::zap_domain, kDomain);
}

std::optional<Access> access_of(zmq::message_t& message) {
  const char* user = zmq_msg_gets(message.handle(), "User-Id");
  if (user == nullptr) return Access::kAll;
  const std::string_view text = user;
  if (text.starts_with(kAll)) return Access::kAll;
  if (text.starts_with(kRead)) return Access::kRead;
  return std::nullopt;
}

std::string client_of(zmq::message_t& message) {
  const char* user = zmq_msg_gets(message.handle(), "User-Id");
  const std::string_view text = user == nullptr ? "" : user;
  const auto space = text.find(' ');
  return space == std::string_view::npos ? "" : std::string(text.substr(space + 1));
}

}  // namespace inotifier
