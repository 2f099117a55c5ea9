// NATS JetStream, by libnats: asynchronous publishing, each message acked by the stream. What is
// sent is the CloudEvents NATS binding in its structured mode: the event as JSON, its envelope in
// headers as well, and Nats-Msg-Id = id, so that the stream's duplicate window folds what is sent
// again. The subject is PREFIX.WATCH.TYPE, and the dots of TYPE stay: in.file.completed.
//
// A thread of the library calls on_ack(); what it shares with the frame's thread is behind
// `mutex_`, and `ready_` wakes that. A lost connection is noticed by the next send or collect().
//
// An answer that concerns this message alone (too large) is a rejection; all others, a full stream
// among them, are tried again: the stream may have room later.
#include <fmt/core.h>
#include <nats/nats.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/event_fd.hpp"
#include "base/names.hpp"
#include "forward/brokers.hpp"
#include "inotifier/wire.hpp"

namespace inotifier::forward {
namespace {

constexpr std::int64_t kConnectTimeout = 3000;  // milliseconds
/// At the end, for the library's threads.
constexpr std::int64_t kFarewell = 1000;
/// Milliseconds for an ack of the stream; then the event is sent again.
constexpr std::int64_t kAckTimeout = 10'000;

template <typename T, void (*destroy)(T*)>
struct Destroyer {
  void operator()(T* object) const { destroy(object); }
};
using OptionsPtr = std::unique_ptr<natsOptions, Destroyer<natsOptions, natsOptions_Destroy>>;
using ConnectionPtr =
    std::unique_ptr<natsConnection, Destroyer<natsConnection, natsConnection_Destroy>>;
using JetStreamPtr = std::unique_ptr<jsCtx, Destroyer<jsCtx, jsCtx_Destroy>>;
using InfoPtr = std::unique_ptr<jsStreamInfo, Destroyer<jsStreamInfo, jsStreamInfo_Destroy>>;
using MessagePtr = std::unique_ptr<natsMsg, Destroyer<natsMsg, natsMsg_Destroy>>;

std::string reason(natsStatus status) {
  const char* last = ::nats_GetLastError(nullptr);
  const std::string text = ::natsStatus_GetText(status);
  return last == nullptr || *last == '\0' ? text : text + ": " + last;
}

void require(natsStatus status, const std::string& what) {
  if (status != NATS_OK) throw SetupError(what + ": " + reason(status));
}

/// One token of a subject or more: a dot ends one, blanks and wildcards must not be there.
bool is_subject(const std::string& text) {
  bool token = false;
  for (const char c : text) {
    if (c == '.' && !token) return false;
    if (c != '.' && c != '_' && c != '-' && !is_alphanumeric(c)) return false;
    token = c != '.';
  }
  return token;
}

/// Of "host:4222" or "[::1]:4222".
std::string host_of(const std::string& server) {
  if (server.starts_with('[')) return server.substr(1, server.find(']') - 1);
  return server.substr(0, server.find(':'));
}

class Nats : public Broker {
 public:
  explicit Nats(const Settings& settings) : settings_(settings) {
    if (settings.stream.empty()) throw UsageError("--stream: the name of a stream is needed");
    if (!is_subject(settings.prefix)) {
      throw UsageError(fmt::format(
          "--prefix {}: letters, digits, _, - and single dots are expected", settings.prefix));
    }
    take_apart(settings.to);
  }
  ~Nats() override {
    disconnect();
    ::nats_CloseAndWait(kFarewell);
  }
  Nats(const Nats&) = delete;
  Nats& operator=(const Nats&) = delete;

  void connect() override {
    disconnect();
    const OptionsPtr options = connection_options();
    natsConnection* connection = nullptr;
    const natsStatus status = ::natsConnection_Connect(&connection, options.get());
    if (status != NATS_OK) throw BrokerError(reason(status));
    connection_.reset(connection);
    jsOptions js{};
    ::jsOptions_Init(&js);
    js.Wait = kConnectTimeout;
    js.PublishAsync.AckHandler = &Nats::on_ack;
    js.PublishAsync.AckHandlerClosure = this;
    jsCtx* context = nullptr;
    if (const auto made = ::natsConnection_JetStream(&context, connection, &js); made != NATS_OK) {
      throw BrokerError(reason(made));
    }
    js_.reset(context);
    find_stream();
  }

  bool send(std::uint64_t number, const Event& event) override {
    const std::string watch = event.watch();
    const std::string subject =
        fmt::format("{}.{}.{}", settings_.prefix, watch.empty() ? "_" : watch, event.type);
    const std::string body = to_json(event);
    natsMsg* made = nullptr;
    natsStatus status = ::natsMsg_Create(&made, subject.c_str(), nullptr, body.data(),
                                         static_cast<int>(body.size()));
    MessagePtr message(made);
    const auto header = [&](const char* name, const std::string& value) {
      if (status == NATS_OK) status = ::natsMsgHeader_Set(made, name, value.c_str());
    };
    header("Content-Type", "application/cloudevents+json");
    header("Nats-Msg-Id", event.id);
    header("ce-specversion", "1.0");
    header("ce-id", event.id);
    header("ce-source", event.source);
    header("ce-type", event.type);
    if (!event.subject.empty()) header("ce-subject", event.subject);
    header("ce-time", event.time);
    header("ce-sequence", event.sequence);
    {
      const std::lock_guard lock(mutex_);
      numbers_[event.id] = number;
    }
    jsPubOptions publish{};
    ::jsPubOptions_Init(&publish);
    publish.MaxWait = kAckTimeout;
    publish.ExpectStream = settings_.stream.c_str();
    natsMsg* given = message.release();
    if (status == NATS_OK) status = ::js_PublishMsgAsync(js_.get(), &given, &publish);
    message.reset(given);  // it is still ours if it was not taken
    if (status == NATS_OK) return true;
    if (status != NATS_MAX_PAYLOAD) throw BrokerError(reason(status));
    const std::lock_guard lock(mutex_);
    numbers_.erase(event.id);
    add({number, Outcome::What::kRejected, reason(status)});
    return true;
  }

  void flush() override {}  // the library writes by itself

  std::vector<Outcome> collect() override {
    const std::lock_guard lock(mutex_);
    ready_.clear();
    if (outcomes_.empty() && ::natsConnection_IsClosed(connection_.get())) {
      throw BrokerError("the connection was closed");
    }
    return std::exchange(outcomes_, {});
  }

  int fd() const override { return ready_.fd(); }

 private:
  OptionsPtr connection_options() {
    natsOptions* made = nullptr;
    require(::natsOptions_Create(&made), "natsOptions_Create");
    OptionsPtr options(made);
    const std::string server = servers_[next_server_++ % servers_.size()];
    require(::natsOptions_SetURL(made, (scheme_ + server).c_str()), "--to " + settings_.to);
    ::natsOptions_SetName(made, "inotifier-forward");
    ::natsOptions_SetTimeout(made, kConnectTimeout);
    // The frame connects again, and sends again what has no answer.
    ::natsOptions_SetAllowReconnect(made, false);
    if (scheme_ == "tls://") {
      require(::natsOptions_SetSecure(made, true), "TLS");
      require(::natsOptions_SetExpectedHostname(made, host_of(server).c_str()), "TLS");
    }
    if (!settings_.ca_file.empty()) {
      require(::natsOptions_LoadCATrustedCertificates(made, settings_.ca_file.c_str()),
              "--ca-file " + settings_.ca_file);
    }
    if (!settings_.token.empty()) ::natsOptions_SetToken(made, settings_.token.c_str());
    if (!user_.empty()) {
      ::natsOptions_SetUserInfo(made, user_.c_str(), settings_.password.c_str());
    }
    return options;
  }

  /// USER@HOST:PORT,HOST:PORT,... after the scheme.
  void take_apart(const std::string& url) {
    std::size_t start = url.find("://") + 3;
    scheme_ = url.substr(0, start);
    if (const std::size_t at = url.find('@', start); at != std::string::npos) {
      user_ = url.substr(start, at - start);
      start = at + 1;
    }
    for (std::size_t comma = 0; comma != std::string::npos; start = comma + 1) {
      comma = url.find(',', start);
      servers_.push_back(url.substr(start, comma == std::string::npos ? comma : comma - start));
      if (servers_.back().empty()) {
        throw UsageError("--to " + url + ": nats://HOST:PORT is expected, or nats://HOST,HOST");
      }
    }
    if (!settings_.password.empty() && user_.empty()) {
      throw UsageError("--to " + url + ": a password goes with a user: nats://USER@HOST");
    }
  }

  void find_stream() {
    jsStreamInfo* info = nullptr;
    jsErrCode error{};
    natsStatus status =
        ::js_GetStreamInfo(&info, js_.get(), settings_.stream.c_str(), nullptr, &error);
    if (status == NATS_NOT_FOUND && settings_.create_stream) {
      const std::string subjects = settings_.prefix + ".>";
      const char* subject = subjects.c_str();
      jsStreamConfig config{};
      ::jsStreamConfig_Init(&config);
      config.Name = settings_.stream.c_str();
      config.Subjects = &subject;
      config.SubjectsLen = 1;
      config.Storage = js_FileStorage;
      config.Replicas = settings_.replicas;
      status = ::js_AddStream(&info, js_.get(), &config, nullptr, &error);
    }
    const InfoPtr owner(info);
    if (status == NATS_OK) return;
    const std::string text = fmt::format("stream {}: {}", settings_.stream, reason(status));
    if (status == NATS_NOT_FOUND) {
      throw SetupError(text + ": make it, or let it be made by --create-stream");
    }
    throw BrokerError(text);
  }

  void disconnect() {
    if (connection_) ::natsConnection_Close(connection_.get());
    js_.reset();
    connection_.reset();
    const std::lock_guard lock(mutex_);
    outcomes_.clear();
    numbers_.clear();
    ready_.clear();
  }

  /// Under the lock.
  void add(Outcome outcome) {
    outcomes_.push_back(std::move(outcome));
    if (outcomes_.size() == 1) ready_.raise();
  }

  static void on_ack(jsCtx*, natsMsg* message, jsPubAck* ack, jsPubAckErr* error, void* closure) {
    const MessagePtr owner(message);
    Nats& self = *static_cast<Nats*>(closure);
    const char* id = nullptr;
    if (::natsMsgHeader_Get(message, "Nats-Msg-Id", &id) != NATS_OK) return;
    const std::lock_guard lock(self.mutex_);
    const auto found = self.numbers_.find(id);
    if (found == self.numbers_.end()) return;
    Outcome outcome{found->second};
    self.numbers_.erase(found);
    if (ack == nullptr) {
      outcome.what = error->ErrCode == JSStreamMessageExceedsMaximumErr ? Outcome::What::kRejected
                                                                        : Outcome::What::kAgain;
      outcome.words = error->ErrText != nullptr && *error->ErrText != '\0'
                          ? error->ErrText
                          : ::natsStatus_GetText(error->Err);
    }
    self.add(std::move(outcome));
  }

  const Settings settings_;
  std::string scheme_;
  std::string user_;
  std::vector<std::string> servers_;  // one cluster; tried in turn
  std::size_t next_server_ = 0;
  EventFd ready_;
  std::mutex mutex_;
  std::vector<Outcome> outcomes_;
  std::unordered_map<std::string, std::uint64_t> numbers_;  // of what has no answer, by id
  ConnectionPtr connection_;
  JetStreamPtr js_;
};

}  // namespace

std::unique_ptr<Broker> make_nats(const Settings& settings) {
  return std::make_unique<Nats>(settings);
}

}  // namespace inotifier::forward
