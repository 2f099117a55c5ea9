#include <algorithm>
#include <map>
#include <zmq.hpp>

#include "client/connection.hpp"
#include "client/reply.hpp"
#include "client/sockets.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"
#include "wire/event_types.hpp"
#include "wire/heartbeat.hpp"

namespace inotifier {
namespace {

using std::chrono::milliseconds;

/// "file.completed/incoming/" -> "incoming"; "" if it is no such topic.
std::string_view watch_of(std::string_view topic) {
  const std::size_t slash = topic.find('/');
  if (slash == std::string_view::npos || !topic.ends_with('/') || slash + 1 == topic.size())
    return {};
  return topic.substr(slash + 1, topic.size() - slash - 2);
}

}  // namespace

struct Subscriber::Impl {
  explicit Impl(Options given) : options(std::move(given)) {
    if (const std::string why = why_no_type(options.types); !why.empty()) {
      throw RequestError("bad_request", "types: " + why);
    }
    const bool found = options.endpoint.empty();
    if (found) options.endpoint = default_publish_endpoint();
    for (const std::string& type : options.types) {
      if (options.watches.empty()) prefixes.push_back(type + '/');
      for (const std::string& watch : options.watches) prefixes.push_back(type + '/' + watch + '/');
    }
    const ClientKeys keys = read_client_keys(options.server_key, options.key);
    has_keys = keys.any();
    zmq::socket_t& socket = sockets->socket.emplace(sockets->context, zmq::socket_type::sub);
    Monitor& monitor = sockets->monitor.emplace(sockets->context, socket);
    set_up_socket(socket, options.endpoint, keys);
    socket.set(zmq::sockopt::rcvhwm, 100'000);
    for (const std::string& prefix : prefixes) socket.set(zmq::sockopt::subscribe, prefix);
    if (prefixes.empty()) socket.set(zmq::sockopt::subscribe, "");
    // Last: the daemon reads subscriptions in order, so whoever gets a heartbeat gets the rest too.
    socket.set(zmq::sockopt::subscribe, kHeartbeatTopic);
    connect(socket, options.endpoint, Peer::kPublisher);
    try {
      wait_for_peer(monitor, options.endpoint, Peer::kPublisher, has_keys, options.connect_timeout);
    } catch (const ConnectionError& error) {
      throw found ? with_places(error, Peer::kPublisher) : error;
    }
  }

  bool wanted(std::string_view topic) const {
    if (prefixes.empty()) {
      return options.watches.empty() || std::find(options.watches.begin(), options.watches.end(),
                                                  watch_of(topic)) != options.watches.end();
    }
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](const std::string& prefix) { return topic.starts_with(prefix); });
  }

  /// One frame; false if there is none now.
  bool receive(zmq::message_t& frame) {
    if (zmq_msg_recv(frame.handle(), sockets->socket->handle(), ZMQ_DONTWAIT) >= 0) return true;
    if (zmq_errno() != EAGAIN && zmq_errno() != EINTR) throw zmq::error_t();
    return false;
  }

  /// News of the connection. After a refusal nothing more will come.
  void look() {
    try {
      while (const int event = sockets->monitor->next(Clock::now())) {
        throw_if_refused(event, options.endpoint, Peer::kPublisher, has_keys);
      }
    } catch (const ConnectionError& error) {
      refusal = error;
    }
  }

  /// The message that begins with `topic`: an event if it is one, and one that is wanted.
  std::optional<Event> take(zmq::message_t& topic_frame) {
    zmq::message_t body_frame;
    int frames = 1;
    bool more = topic_frame.more();
    while (more) {
      zmq::message_t extra;
      zmq::message_t& frame = frames == 1 ? body_frame : extra;
      if (!receive(frame)) continue;  // EINTR: the frames of a message arrive together
      more = frame.more();
      ++frames;
    }
    live = true;
    const std::string_view topic = topic_frame.to_string_view();
    const std::string_view body = body_frame.to_string_view();
    try {
      if (frames != 2) throw WireError("not two frames");
      if (topic == kHeartbeatTopic) {
        on_heartbeat(decode_value(body));
        return std::nullopt;
      }
      if (!wanted(topic)) return std::nullopt;
      Event event = decode(body);
      note(topic, event);
      return event;
    } catch (const WireError&) {
      ++malformed;
      return std::nullopt;
    }
  }

  void tell_gap(std::string_view topic, std::uint64_t after, std::uint64_t until) {
    if (!options.on_gap) return;
    options.on_gap(
        {std::string(topic), after == 0 ? "0" : position_text(after), position_text(until)});
  }

  void note(std::string_view topic, const Event& event) {
    const auto position = position_of(event.sequence);
    const auto previous = position_of(event.prevsequence);
    if (!position || !previous) return;
    auto known = last.find(topic);
    if (known == last.end()) {
      known = last.emplace(std::string(topic), 0).first;
      // Before the first heartbeat nobody knows what was there when we came.
      if (stream.empty()) known->second = *previous;
    }
    // A previous one that is older than what we have is that of another stream, which began since.
    if (*previous > known->second) tell_gap(topic, known->second, *previous);
    known->second = *position;
  }

  /// Everything in `last` was published before this heartbeat, and what reached us came before it
  /// too. So a position that we do not have is a loss, save in the first heartbeat: there it tells
  /// where we came in. After a restart with another stream no such excuse holds: we were there all
  /// the time, only not connected.
  void on_heartbeat(const Value& heartbeat) {
    const Value* told = heartbeat.find("stream");
    const Value* positions = heartbeat.find("last");
    if (told == nullptr || told->text() == nullptr || positions == nullptr ||
        positions->map() == nullptr) {
      throw WireError("no heartbeat");
    }
    const bool first = stream.empty();
    const bool restarted = !first && stream != *told->text();
    stream = *told->text();
    for (const auto& [topic, value] : *positions->map()) {
      const auto position = value.text() == nullptr ? std::nullopt : position_of(*value.text());
      if (!position || !wanted(topic)) continue;
      const auto [known, added] = last.try_emplace(topic, 0);
      const bool missing = restarted ? *position != known->second : *position > known->second;
      if (missing && !(first && added)) {
        tell_gap(topic, known->second < *position ? known->second : 0, *position);
      }
      if (missing) known->second = *position;
    }
  }

  Options options;
  std::vector<std::string> prefixes;  // empty = all
  OwnSockets sockets;
  bool has_keys = false;
  std::optional<ConnectionError> refusal;  // thrown when what came before it is given out
  bool live = false;
  std::uint64_t malformed = 0;
  std::string stream;                                      // "" before the first heartbeat
  std::map<std::string, std::uint64_t, std::less<>> last;  // by topic
};

Subscriber::Subscriber(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Subscriber::~Subscriber() = default;
Subscriber::Subscriber(Subscriber&&) noexcept = default;
Subscriber& Subscriber::operator=(Subscriber&&) noexcept = default;

std::optional<Event> Subscriber::next(std::chrono::milliseconds timeout) {
  const bool for_ever = timeout < milliseconds(0);
  const auto deadline = Clock::now() + (for_ever ? milliseconds(0) : timeout);
  zmq::message_t topic;
  for (;;) {
    while (impl_->receive(topic)) {
      if (auto event = impl_->take(topic)) return event;
      if (!for_ever && Clock::now() >= deadline) return std::nullopt;
    }
    if (impl_->refusal) throw *impl_->refusal;
    zmq_pollitem_t items[] = {{impl_->sockets->socket->handle(), 0, ZMQ_POLLIN, 0},
                              {impl_->sockets->monitor->handle(), 0, ZMQ_POLLIN, 0}};
    const int count = zmq_poll(items, 2, for_ever ? -1 : milliseconds_until(deadline));
    if (count < 0 && zmq_errno() != EINTR) throw zmq::error_t();
    if (count < 0 || (count == 0 && Clock::now() >= deadline)) return std::nullopt;
    if (items[1].revents != 0) impl_->look();
  }
}

bool Subscriber::live() const { return impl_->live; }

std::uint64_t Subscriber::malformed() const { return impl_->malformed; }

}  // namespace inotifier
