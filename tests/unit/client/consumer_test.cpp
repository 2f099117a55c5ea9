// Consumer and Requester against a daemon's outside that keeps to a script: a small model of the
// fetch service (clients/README.md) which a test can make misbehave. That the real daemon behaves
// as the model does is shown by tests/e2e/test_consume.py.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <zmq.hpp>

#include "base/unique_fd.hpp"
#include "client/reply.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"
#include "wire/codec.hpp"

using namespace inotifier;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Reason = ConnectionError::Reason;

namespace {

constexpr milliseconds kSoon{20'000};  // a deadline, never waited out in a test that passes
constexpr milliseconds kShort{200};    // for what must not happen

std::string text(const Value& map, std::string_view key) { return text_in(map, key); }

double number(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  if (value == nullptr) return 0;
  if (value->integer() != nullptr) return static_cast<double>(*value->integer());
  return std::get<double>(value->v);
}

/// The fetch service with one consumer, "c". Its thread owns the socket; everything else is under
/// the lock.
class Service {
 public:
  struct Failed {
    std::uint64_t position;
    std::string reason;
    std::int64_t tries;
  };

  Service() { endpoint = start("tcp://127.0.0.1:*"); }
  ~Service() { stop(); }

  void stop() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// The daemon is gone, and comes back at the same place. What is stored stays.
  void restart() {
    stop();
    start(endpoint);
  }

  void emit(int count, const std::string& type = "file.completed") {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < count; ++i) {
      Event event;
      event.id = "id" + std::to_string(events_.size());
      event.source = "//d/w";
      event.type = type;
      last_ += 10;
      event.sequence = position_text(last_);
      event.prevsequence = "0";
      event.data = Value::Map{{"watch", "w"}};
      events_[last_] = event;
    }
  }

  template <typename F>
  auto with(F&& f) {
    const std::lock_guard lock(mutex_);
    return f(*this);
  }
  std::uint64_t acked() {
    return with([](Service& s) { return s.acked_; });
  }
  std::string owner() {
    return with([](Service& s) { return s.owner_; });
  }
  int count(const std::string& op) {
    return with([&](Service& s) {
      int n = 0;
      for (const Value& request : s.requests) n += text(request, "op") == op ? 1 : 0;
      return n;
    });
  }

  // Under the lock, by with().
  std::vector<Value> requests;
  /// Answers instead of the model if it returns something: these bodies, or silence if none.
  std::function<std::optional<std::vector<std::string>>(const Value&)> instead;
  std::map<std::uint64_t, Event> events_;
  std::vector<Failed> failed_;
  std::string stream_ = "first";
  std::string owner_;
  std::string stored_types_;
  bool exists_ = false;
  std::uint64_t last_ = 1'000'000'000;
  std::uint64_t acked_ = 0;
  std::uint64_t delivered_ = 0;
  Value lost_;
  std::string endpoint;

  std::string error(const Value& request, const std::string& code) {
    return reply(request, {{"error", Value::Map{{"code", code}, {"message", "because " + code}}}},
                 false);
  }
  std::string reply(const Value& request, Value::Map more, bool ok = true) {
    Value::Map map{{"ok", ok}, {"protocol", 1}, {"stream", stream_}};
    if (const Value* id = request.find("request")) map.emplace_back("request", *id);
    for (auto& each : more) map.push_back(std::move(each));
    return encode_value(Value(std::move(map)));
  }

 private:
  struct Poll {
    std::string peer;
    Value request;
    Clock::time_point until;
  };

  /// Where it listens then.
  std::string start(const std::string& where) {
    over_ = false;
    std::promise<std::string> bound;
    auto future = bound.get_future();
    thread_ = std::thread([this, where, &bound] { run(where, bound); });
    return future.get();
  }

  void run(const std::string& where, std::promise<std::string>& bound) {
    zmq::context_t context;
    zmq::socket_t socket(context, zmq::socket_type::router);
    socket.set(zmq::sockopt::linger, 0);
    for (;;) {
      try {
        socket.bind(where);
        break;
      } catch (const zmq::error_t&) {  // the port is not free yet
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
    bound.set_value(socket.get(zmq::sockopt::last_endpoint));
    std::deque<Poll> polls;
    while (!over_) {
      zmq_pollitem_t item{socket.handle(), 0, ZMQ_POLLIN, 0};
      zmq_poll(&item, 1, 2);
      zmq::message_t peer;
      while (socket.recv(peer, zmq::recv_flags::dontwait)) {
        zmq::message_t body;
        while (socket.get(zmq::sockopt::rcvmore)) (void)socket.recv(body);
        polls.push_back({peer.to_string(), decode_value(body.to_string_view()), {}});
        Poll& poll = polls.back();
        poll.until =
            Clock::now() + milliseconds(static_cast<int>(number(poll.request, "wait") * 1000));
        const std::lock_guard lock(mutex_);
        requests.push_back(poll.request);
      }
      const std::lock_guard lock(mutex_);
      for (auto at = polls.begin(); at != polls.end();) {
        const auto bodies = answer(*at);
        if (!bodies) {
          ++at;
          continue;
        }
        for (const std::string& body : *bodies) {
          socket.send(zmq::buffer(at->peer), zmq::send_flags::sndmore);
          socket.send(zmq::buffer(body), zmq::send_flags::none);
        }
        at = polls.erase(at);
      }
    }
  }

  /// Nothing: not yet.
  std::optional<std::vector<std::string>> answer(const Poll& poll) {
    if (instead) {
      if (auto bodies = instead(poll.request)) return bodies;
    }
    const auto body = model(poll);
    if (!body) return std::nullopt;
    return std::vector<std::string>{*body};
  }

  std::optional<std::string> model(const Poll& poll) {
    const Value& request = poll.request;
    const std::string op = text(request, "op");
    const bool late = Clock::now() >= poll.until;
    if (op == "hello") return reply(request, {{"version", "0"}, {"access", "all"}});
    if (op == "consumers") {
      Value::Map consumer{{"name", "c"}, {"types", Value::Array{}}, {"watches", Value::Array{}}};
      if (!stored_types_.empty()) consumer[1].second = Value::Array{stored_types_};
      return reply(request, {{"consumers", Value::Array{Value(std::move(consumer))}}});
    }
    if (op == "fetch" && request.find("consumer") == nullptr) {
      if (text(request, "stream") != stream_) return error(request, "stream_changed");
      return events_after(request, *position_in(request, "after"), late, {});
    }
    const std::string client = text(request, "client");
    if (op == "fetch") {
      if (!exists_) {
        const Value* create = request.find("create");
        if (create != nullptr && !std::get<bool>(create->v))
          return error(request, "unknown_consumer");
        exists_ = true;
        if (const Value* types = request.find("types"))
          stored_types_ = *(*types->array())[0].text();
      }
      if (!owner_.empty() && owner_ != client) {
        if (request.find("ack") != nullptr) return error(request, "not_owner");
        if (!late) return std::nullopt;
        return reply(request, {{"standby", Value::Map{{"expires_in", 1.5}}}});
      }
      if (request.find("ack") != nullptr) {
        if (const auto refusal = ack(request)) return refusal;
      }
      if (owner_.empty()) delivered_ = 0;
      owner_ = client;
      return events_after(request, acked_, late, &delivered_);
    }
    if (!exists_) return error(request, "unknown_consumer");
    if (owner_ != client) return error(request, "not_owner");
    if (op == "ack") {
      if (const auto refusal = ack(request)) return refusal;
      return reply(request, {{"position", position_text(acked_)}});
    }
    if (op == "touch") return reply(request, {{"expires_in", 60}});
    if (op == "release") {
      owner_.clear();
      return reply(request, {});
    }
    if (op == "fail") {
      failed_.push_back({*position_in(request, "position"), text(request, "reason"),
                         *request.find("tries")->integer()});
      return reply(request, {{"failed", std::int64_t(failed_.size())}});
    }
    return error(request, "unknown_op");
  }

  std::optional<std::string> ack(const Value& request) {
    if (text(request, "stream") != stream_) return error(request, "stream_changed");
    const std::uint64_t position = *position_in(request, "ack");
    if (position > delivered_) return error(request, "bad_ack");
    acked_ = std::max(acked_, position);
    return std::nullopt;
  }

  std::optional<std::string> events_after(const Value& request, std::uint64_t after, bool late,
                                          std::uint64_t* delivered) {
    Value::Array events;
    std::uint64_t cursor = after;
    const auto limit = static_cast<std::size_t>(number(request, "limit"));
    for (auto at = events_.upper_bound(after); at != events_.end() && events.size() < limit; ++at) {
      cursor = at->first;
      if (stored_types_.empty() || at->second.type == stored_types_) {
        events.push_back(decode_value(encode(at->second)));
      }
    }
    if (events.empty() && cursor == after && !late) return std::nullopt;
    if (delivered != nullptr) *delivered = std::max(*delivered, cursor);
    const auto behind = std::distance(events_.upper_bound(cursor), events_.end());
    Value::Map more{{"events", std::move(events)},
                    {"cursor", position_text(cursor)},
                    {"behind", std::int64_t{behind}}};
    if (delivered != nullptr && !lost_.is_nil()) more.emplace_back("lost", lost_);
    return reply(request, std::move(more));
  }

  std::mutex mutex_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

/// A consumer and what it told.
struct Client {
  explicit Client(Service& service, const std::function<void(Consumer::Options&)>& change = {}) {
    Consumer::Options options;
    options.endpoint = service.endpoint;
    options.name = "c";
    options.on_state = [this](Consumer::State state) { states.push_back(state); };
    options.on_reset = [this](const Consumer::Reset& reset) { resets.push_back(reset.code); };
    options.on_lost = [this](const Consumer::Lost& lost) { losses.push_back(lost.last); };
    if (change) change(options);
    consumer = std::make_unique<Consumer>(std::move(options));
  }

  Event need() {
    auto event = consumer->next(kSoon);
    REQUIRE(event);
    return *event;
  }
  std::vector<std::string> ids(int count) {
    std::vector<std::string> out;
    for (int i = 0; i < count; ++i) out.push_back(need().id);
    return out;
  }
  /// Works until the condition holds.
  template <typename F>
  bool until(F&& condition) {
    const auto deadline = Clock::now() + kSoon;
    while (!condition()) {
      if (Clock::now() > deadline) return false;
      consumer->keep_alive(milliseconds(5));
    }
    return true;
  }

  std::vector<Consumer::State> states;
  std::vector<std::string> resets;
  std::vector<std::string> losses;
  std::unique_ptr<Consumer> consumer;
};

using Texts = std::vector<std::string>;
using State = Consumer::State;

constexpr std::uint64_t kFirst = 1'000'000'010;

}  // namespace

TEST_CASE("a consumer gets every event in order and acks what is done") {
  Service service;
  service.emit(5);
  {
    Client client(service);
    CHECK(client.ids(5) == Texts{"id0", "id1", "id2", "id3", "id4"});
    CHECK(service.acked() == 0);
    client.consumer->ack_all();
    CHECK(client.consumer->flush(kSoon));
    CHECK(service.acked() == kFirst + 40);
    service.emit(1);
    CHECK(client.need().id == "id5");
  }
  CHECK(service.owner().empty());
  Client next(service);
  CHECK(next.need().id == "id5");  // not acked
}

TEST_CASE("many events come in several fetches, each acking the one before") {
  Service service;
  service.emit(1000);
  Client client(service, [](Consumer::Options& options) { options.limit = 64; });
  for (int i = 0; i < 1000; ++i) {
    const Event event = client.need();
    CHECK(event.id == "id" + std::to_string(i));
    client.consumer->done(event);
  }
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 9990);
  CHECK(service.count("fetch") == 16);
}

TEST_CASE("events that do not match are passed over and acked") {
  Service service;
  service.emit(1);
  service.emit(20, "file.moved");
  Client client(service, [](Consumer::Options& options) {
    options.types = {"file.completed"};
    options.limit = 4;
  });
  client.consumer->done(client.need());
  CHECK_FALSE(client.consumer->next(kShort));
  CHECK(client.until([&] { return service.acked() >= kFirst; }));
  service.emit(1);
  CHECK(client.need().id == "id21");
}

TEST_CASE("only the unbroken prefix is acked, in whatever order events are done") {
  Service service;
  service.emit(4);
  Client client(service);
  std::vector<Event> events;
  for (int i = 0; i < 4; ++i) events.push_back(client.need());
  client.consumer->done(events[3]);
  client.consumer->done(events[1]);
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == 0);
  client.consumer->done(events[0]);
  client.consumer->done(events[0]);  // twice is once
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 10);
  client.consumer->done(events[2]);
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 30);
}

TEST_CASE("ack finishes everything up to an event") {
  Service service;
  service.emit(4);
  Client client(service);
  std::vector<Event> events;
  for (int i = 0; i < 4; ++i) events.push_back(client.need());
  client.consumer->ack(events[2]);
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 20);
}

TEST_CASE("an unfinished event does not hold the others back, up to the window") {
  Service service;
  service.emit(10);
  Client client(service, [](Consumer::Options& options) {
    options.limit = 3;
    options.window = 8;
  });
  const Event stuck = client.need();
  for (int i = 1; i < 8; ++i) {
    const Event event = client.need();
    CHECK(event.id == "id" + std::to_string(i));
    client.consumer->done(event);
  }
  CHECK_FALSE(client.consumer->next(kShort));  // eight are out
  CHECK(service.acked() == 0);
  client.consumer->done(stuck);
  CHECK(client.ids(2) == Texts{"id8", "id9"});
  CHECK_FALSE(client.consumer->next(kShort));  // and none a second time
  client.consumer->ack_all();
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 90);
  CHECK(client.resets.empty());  // nothing was acked that had not been delivered
}

TEST_CASE("what is read ahead has the filters that are stored with the consumer") {
  Service service;
  service.emit(2);
  service.with([](Service& s) {
    s.exists_ = true;
    s.stored_types_ = "file.completed";
  });
  Client client(service);
  const auto stuck = client.ids(2);
  service.emit(2, "file.moved");
  service.emit(1);
  CHECK(client.need().id == "id4");
  const auto requests = service.with([](Service& s) { return s.requests; });
  const Value* types = requests.back().find("types");
  REQUIRE(types != nullptr);
  CHECK(*types == Value(Value::Array{"file.completed"}));
}

TEST_CASE("an event for this consumer alone is not lost behind what was read ahead") {
  Service service;
  service.emit(2);
  Client client(service);
  const Event stuck = client.need();
  client.consumer->done(client.need());
  service.emit(1);
  client.consumer->done(client.need());  // read ahead: beyond what comes next
  service.with([](Service& s) {
    Event retried = s.events_.begin()->second;
    retried.id = "retried";
    retried.sequence = position_text(kFirst + 15);
    s.events_[kFirst + 15] = retried;
  });
  client.consumer->done(stuck);
  const Event retried = client.need();
  CHECK(retried.id == "retried");
  CHECK(service.acked() < kFirst + 15);
  client.consumer->done(retried);
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 20);
}

TEST_CASE("a failure is told with reason and tries, and passed over") {
  Service service;
  service.emit(3);
  Client client(service);
  const Event first = client.need();
  client.consumer->ack(client.need());
  client.consumer->fail(first, "exit 3", 10);
  client.consumer->fail(first, "again", 11);  // it is done
  const Event third = client.need();
  client.consumer->fail(third, std::string(100'000, 'x'), 1);
  client.consumer->done(third);
  CHECK(client.consumer->flush(kSoon));
  const auto failed = service.with([](Service& s) { return s.failed_; });
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].position == kFirst + 20);
  CHECK(failed[0].reason.size() < 60'000);
  CHECK(service.acked() == kFirst + 20);
}

TEST_CASE("an unfinished failure holds the ack back") {
  Service service;
  service.emit(2);
  Client client(service);
  const Event first = client.need();
  client.consumer->done(client.need());
  bool refuse = true;
  service.with([&](Service& s) {
    s.instead = [&](const Value& request) -> std::optional<Texts> {
      if (text(request, "op") != "fail" || !refuse) return std::nullopt;
      refuse = false;
      return Texts{s.error(request, "busy")};
    };
  });
  client.consumer->fail(first, "exit 1", 3);
  CHECK(client.consumer->flush(kSoon));  // after a second attempt
  CHECK(service.count("fail") == 2);
  const auto failed = service.with([](Service& s) { return s.failed_; });
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].reason == "exit 1");
  CHECK(failed[0].tries == 3);
  CHECK(service.acked() == kFirst + 10);
}

TEST_CASE("acks are told during long work, and the lease is kept") {
  Service service;
  service.emit(2);
  Client client(service,
                [](Consumer::Options& options) { options.lease = std::chrono::seconds(1); });
  client.consumer->done(client.need());
  const Event second = client.need();
  CHECK(client.until([&] { return service.acked() == kFirst; }));
  CHECK(client.until([&] { return service.count("touch") >= 3; }));
  client.consumer->done(second);
}

TEST_CASE("who stands by says so, and takes over") {
  Service service;
  service.emit(2);
  service.with([](Service& s) {
    s.exists_ = true;
    s.owner_ = "another";
  });
  Client client(service, [](Consumer::Options& options) { options.wait = milliseconds(50); });
  CHECK_FALSE(client.consumer->next(kShort));
  CHECK(client.consumer->state() == State::kStandby);
  CHECK(client.states == std::vector<State>{State::kStandby});
  service.with([](Service& s) { s.owner_.clear(); });
  CHECK(client.need().id == "id0");
  CHECK(client.states == std::vector<State>{State::kStandby, State::kOwner});
}

TEST_CASE("with no wait a stand-by is told at once") {
  Service service;
  service.emit(2);
  service.with([](Service& s) {
    s.exists_ = true;
    s.owner_ = "another";
  });
  Client client(service, [](Consumer::Options& options) { options.wait = milliseconds(0); });
  const auto start = Clock::now();
  CHECK_FALSE(client.consumer->next(kSoon));
  CHECK(Clock::now() - start < kSoon);
  CHECK(client.consumer->state() == State::kStandby);
  CHECK_FALSE(client.consumer->caught_up());
}

TEST_CASE("with no wait the end is told at once") {
  Service service;
  service.emit(3);
  service.emit(30, "file.moved");
  Client client(service, [](Consumer::Options& options) {
    options.wait = milliseconds(0);
    options.types = {"file.completed"};
    options.limit = 2;
  });
  for (int i = 0; i < 3; ++i) client.consumer->done(client.need());
  CHECK_FALSE(client.consumer->caught_up());
  CHECK_FALSE(client.consumer->next(kSoon));
  CHECK(client.consumer->caught_up());
  service.emit(1);
  const Event event = client.need();
  CHECK_FALSE(client.consumer->caught_up());
  client.consumer->done(event);
  CHECK_FALSE(client.consumer->next(kSoon));
  CHECK(client.consumer->caught_up());
}

TEST_CASE("an answer to what was asked earlier does not tell the end") {
  Service service;
  Client client(service, [](Consumer::Options& options) { options.wait = milliseconds(0); });
  CHECK_FALSE(client.consumer->next(kSoon));
  for (int i = 0; i < 20; ++i) {
    const int before = service.count("fetch");
    CHECK_FALSE(client.consumer->next(milliseconds(0)));  // asks, and has no time for the answer
    while (service.count("fetch") == before) std::this_thread::yield();
    service.emit(1);
    client.consumer->done(client.need());
    CHECK_FALSE(client.consumer->next(kSoon));
  }
}

TEST_CASE("what another client took over is forgotten") {
  Service service;
  service.emit(3);
  Client client(service);
  const Event first = client.need();
  service.with([](Service& s) { s.owner_ = "another"; });
  client.consumer->done(first);
  SUBCASE("shown by an ack") { CHECK_FALSE(client.consumer->flush(kShort)); }
  SUBCASE("shown by a fetch") {
    client.consumer->ack_all();
    while (client.consumer->next(kShort)) client.consumer->ack_all();
  }
  CHECK(client.until([&] { return !client.resets.empty(); }));
  CHECK(client.resets == Texts{"not_owner"});
  CHECK(client.consumer->in_hand() == 0);
  service.with([](Service& s) { s.owner_.clear(); });
  CHECK(client.need().id == "id0");
  client.consumer->done(first);  // of before: the same event, so it is done
  CHECK(service.acked() == 0);
}

TEST_CASE("a refused ack drops what is in hand and fetches again") {
  Service service;
  service.emit(2);
  Client client(service);
  client.ids(2);
  service.with([](Service& s) { s.delivered_ = 0; });
  client.consumer->ack_all();
  CHECK(client.ids(2) == Texts{"id0", "id1"});
  CHECK(client.resets == Texts{"bad_ack"});
}

TEST_CASE("a new journal is begun from its beginning") {
  Service service;
  service.emit(2);
  Client client(service);
  client.ids(2);
  const auto begin_anew = [](Service& s) {
    s.stream_ = "second";
    s.events_.clear();
    s.exists_ = false;
    s.owner_.clear();
    s.acked_ = s.delivered_ = 0;
  };
  SUBCASE("shown by the ack") {
    service.with(begin_anew);
    service.emit(1);
    client.consumer->ack_all();
  }
  SUBCASE("shown by a touch or by reading ahead") {
    CHECK_FALSE(client.consumer->next(kShort));
    service.with(begin_anew);
    service.emit(1);
  }
  CHECK(client.need().id == "id0");
  CHECK(client.resets == Texts{"stream_changed"});
  client.consumer->ack_all();
  CHECK(client.consumer->flush(kSoon));
  CHECK(service.acked() == kFirst + 20);
}

TEST_CASE("busy is waited out") {
  Service service;
  service.emit(1);
  int refusals = 0;
  service.with([&](Service& s) {
    s.instead = [&](const Value& request) -> std::optional<Texts> {
      if (text(request, "op") != "fetch" || refusals == 1) return std::nullopt;
      ++refusals;
      return Texts{s.error(request, "busy")};
    };
  });
  Client client(service);
  const auto start = Clock::now();
  CHECK(client.need().id == "id0");
  CHECK(Clock::now() - start >= milliseconds(900));
  CHECK(service.count("fetch") == 2);
}

TEST_CASE("what the daemon will not do is thrown") {
  for (const std::string code : {"bad_request", "unknown_op", "too_large", "unknown_consumer",
                                 "not_allowed", "no_such_code"}) {
    Service service;
    service.with([&](Service& s) {
      s.instead = [&](const Value& request) -> std::optional<Texts> {
        if (text(request, "op") != "fetch") return std::nullopt;
        return Texts{s.error(request, code)};
      };
    });
    Client client(service);
    try {
      client.consumer->next(kSoon);
      FAIL("no error");
    } catch (const RequestError& error) {
      CHECK(error.code == code);
      CHECK(std::string(error.what()) == "because " + code);
    }
  }
}

TEST_CASE("a consumer that is forgotten while it is used does not begin anew") {
  Service service;
  service.emit(1);
  Client client(service);
  client.consumer->done(client.need());
  CHECK(client.consumer->flush(kSoon));
  service.with([](Service& s) {
    s.exists_ = false;
    s.owner_.clear();
  });
  service.emit(1);
  CHECK_THROWS_AS(
      [&] {
        const auto deadline = Clock::now() + kSoon;
        while (Clock::now() < deadline) client.consumer->next(kShort);
      }(),
      RequestError);
}

TEST_CASE("lost events are told once") {
  Service service;
  service.emit(2);
  service.with([](Service& s) {
    s.lost_ = Value::Map{{"first", position_text(5)}, {"last", position_text(7)}};
  });
  Client client(service, [](Consumer::Options& options) { options.limit = 1; });
  client.consumer->done(client.need());
  client.consumer->done(client.need());
  CHECK(client.losses == Texts{position_text(7)});
}

TEST_CASE("a daemon that is restarted is found again") {
  Service service;
  service.emit(1);
  Client client(service);
  const Event first = client.need();
  service.stop();
  client.consumer->done(first);
  CHECK(client.until([&] { return client.consumer->state() == State::kDisconnected; }));
  service.emit(1);
  service.restart();
  CHECK(client.need().id == "id1");
  CHECK(service.acked() == kFirst);
  CHECK(client.states == std::vector<State>{State::kOwner, State::kDisconnected, State::kOwner});
  CHECK(client.resets.empty());
}

TEST_CASE("replies that are none are counted and passed over") {
  Service service;
  service.emit(2);
  service.with([&](Service& s) {
    s.instead = [&s](const Value& request) -> std::optional<Texts> {
      if (text(request, "op") != "fetch") return std::nullopt;
      Value stranger = Value::Map{{"request", 999}};
      Texts bodies{"",
                   "\xc1",
                   "\x81\xa1",
                   std::string(1000, '\xdd'),
                   "\x92\x01\x02",
                   std::string("\x81\xa6"
                               "events"
                               "\xdd\xff\xff\xff\xff",
                               13),
                   s.reply(stranger, {})};
      Value::Array events{"no event", Value::Map{{"id", 5}}, 7};
      for (const auto& [position, event] : s.events_) {
        events.push_back(decode_value(encode(event)));
      }
      Event odd = s.events_.begin()->second;
      odd.sequence = "somewhere";
      events.push_back(decode_value(encode(odd)));
      bodies.push_back(s.reply(
          request, {{"events", std::move(events)}, {"cursor", position_text(kFirst + 10)}}));
      s.exists_ = true;
      s.owner_ = text(request, "client");
      s.delivered_ = kFirst + 10;
      s.instead = {};
      return bodies;
    };
  });
  Client client(service);
  CHECK(client.ids(2) == Texts{"id0", "id1"});
  service.emit(1);
  client.consumer->ack_all();
  CHECK(client.need().id == "id2");
  CHECK(client.consumer->malformed() == 6 + 4);
}

TEST_CASE("a reply is taken apart without its events") {
  const auto parse = [](const std::string& bytes) {
    return parse_reply(zmq::message_t(bytes.data(), bytes.size()));
  };
  const Value first = Value::Map{{"a", Value::Array{1, 2.5, "x", Value::Bytes{"y"}, Value()}}};
  const Value second = std::string(70'000, 'z');
  const Value third = std::int64_t{1} << 40;
  const Reply reply = parse(encode_value(
      Value::Map{{"ok", true}, {"events", Value::Array{first, second, third}}, {"cursor", "7"}}));
  REQUIRE(reply.events.size() == 3);
  CHECK(decode_value(reply.events[0]) == first);
  CHECK(decode_value(reply.events[1]) == second);
  CHECK(decode_value(reply.events[2]) == third);
  CHECK(reply.head == Value(Value::Map{{"ok", true}, {"cursor", "7"}}));
  CHECK(parse(encode_value(Value::Map{{"events", Value()}})).events.empty());
  CHECK_THROWS_AS(parse(encode_value(Value::Map{{"events", 5}})), WireError);
  CHECK_THROWS_AS(parse(encode_value(Value::Array{})), WireError);
  CHECK_THROWS_AS(parse(encode_value(Value::Map{{"a", 5}}) + "x"), WireError);
  // Cut off anywhere it is no reply, and never more is read than is there.
  const std::string whole = encode_value(Value::Map{{"events", Value::Array{first, third}}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_THROWS_AS(parse(whole.substr(0, size)), WireError);
  }
}

TEST_CASE("a signal descriptor ends a wait") {
  Service service;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Client client(service, [&](Consumer::Options& options) { options.wake_fd = ends[0]; });
  REQUIRE(::write(ends[1], "x", 1) == 1);
  const auto start = Clock::now();
  CHECK_FALSE(client.consumer->next(milliseconds(-1)));
  client.consumer->keep_alive(kSoon);
  CHECK(Clock::now() - start < kSoon);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("no fetch service is told apart, within three seconds") {
  const auto refusal = [](const std::string& endpoint) {
    Consumer::Options options;
    options.endpoint = endpoint;
    options.name = "c";
    const auto start = Clock::now();
    try {
      const Consumer consumer(options);
    } catch (const ConnectionError& error) {
      CHECK(Clock::now() - start < milliseconds(4000));
      CHECK(std::string(error.what()).find(endpoint) != std::string::npos);
      return error.reason;
    }
    FAIL("connected to ", endpoint);
    return Reason::kBadEndpoint;
  };
  CHECK(refusal("ipc:///tmp/inotifier-no-such-socket") == Reason::kNothingListens);
  CHECK(refusal("nonsense") == Reason::kBadEndpoint);
  zmq::context_t context;
  for (const auto type : {zmq::socket_type::pub, zmq::socket_type::pull}) {
    zmq::socket_t socket(context, type);
    socket.bind("tcp://127.0.0.1:*");
    CHECK(refusal(socket.get(zmq::sockopt::last_endpoint)) == Reason::kNoInotifier);
  }
  {
    zmq::socket_t silent(context, zmq::socket_type::router);
    silent.bind("tcp://127.0.0.1:*");
    CHECK(refusal(silent.get(zmq::sockopt::last_endpoint)) == Reason::kNoInotifier);
  }
  {
    zmq::socket_t keyed(context, zmq::socket_type::router);
    keyed.set(zmq::sockopt::plain_server, true);
    keyed.bind("tcp://127.0.0.1:*");
    CHECK(refusal(keyed.get(zmq::sockopt::last_endpoint)) == Reason::kHandshakeRefused);
  }
  for (const std::string body : {"", "hello", "\x81\xa2ok\xc3"}) {
    Service service;
    service.with([&](Service& s) {
      s.instead = [&](const Value&) -> std::optional<Texts> { return Texts{body}; };
    });
    CHECK(refusal(service.endpoint) == Reason::kNoInotifier);
  }
}

TEST_CASE("a daemon that is killed in mid-handshake is waited for") {
  Service service;
  service.emit(1);
  service.stop();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(
      static_cast<in_port_t>(std::stoi(service.endpoint.substr(service.endpoint.rfind(':') + 1))));
  UniqueFd dying(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int yes = 1;
  ::setsockopt(dying.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  REQUIRE(::bind(dying.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(dying.get(), 1) == 0);
  const std::jthread daemon([&] {
    UniqueFd peer(::accept(dying.get(), nullptr, nullptr));
    dying.reset();
    peer.reset();
    std::this_thread::sleep_for(kShort);  // the client finds nothing meanwhile
    service.restart();
  });
  Client client(service, [](Consumer::Options& options) { options.connect_timeout = kSoon; });
  CHECK(client.need().id == "id0");
}

TEST_CASE("a requester asks, and throws what is refused") {
  Service service;
  service.emit(3);
  Connection connection;
  connection.endpoint = service.endpoint;
  Requester requester(connection);
  CHECK(text(requester.hello(), "stream") == "first");
  const Value reply = requester.request("consumers");
  CHECK(reply.find("consumers")->array()->size() == 1);
  CHECK_THROWS_AS(requester.request("nonsense", {{"consumer", "c"}}), RequestError);
  const auto page = requester.read({{"after", "0"}, {"stream", "first"}, {"limit", 2}});
  REQUIRE(page.events.size() == 2);
  CHECK(page.events[1].id == "id1");
  CHECK(page.cursor == position_text(kFirst + 10));
  CHECK(page.behind == 1);
  service.with(
      [](Service& s) { s.instead = [](const Value&) -> std::optional<Texts> { return Texts{}; }; });
  try {
    requester.request("consumers", {}, kShort);
    FAIL("answered");
  } catch (const ConnectionError& error) {
    CHECK(error.reason == Reason::kNoAnswer);
  }
  service.with([](Service& s) { s.instead = {}; });
  CHECK_NOTHROW(requester.request("consumers"));
}
