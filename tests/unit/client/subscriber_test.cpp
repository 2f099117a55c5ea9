#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>
#include <zmq.hpp>

#include "base/unique_fd.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"
#include "serve/publisher.hpp"
#include "wire/codec.hpp"
#include "wire/heartbeat.hpp"

using namespace inotifier;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
using Reason = ConnectionError::Reason;

namespace {

constexpr milliseconds kSoon{10'000};  // a deadline, never waited out in a test that passes
constexpr milliseconds kNow{0};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/inotifier-subscriber-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path); }
  std::string path;
};

/// A daemon's outside: events of a stream with positions, and heartbeats.
class Daemon {
 public:
  explicit Daemon(const std::string& endpoint, std::string stream = "first",
                  std::uint64_t position = 0)
      : stream_(std::move(stream)),
        position_(position),
        publisher_(context_, {endpoint}, 100'000, nullptr) {}

  const std::string& endpoint() const { return publisher_.endpoints()[0]; }

  /// Makes an event; publishes it, unless it is to get lost. Returns its position.
  std::uint64_t emit(const std::string& type, const std::string& watch, bool lost = false) {
    const std::string topic = type + '/' + watch + '/';
    Report report;
    report.type = type;
    report.path = "f";
    Envelope envelope;
    envelope.daemon_name = "d";
    envelope.watch = watch;
    envelope.root = "/in";
    envelope.id = "0123456789abcdef0123456789abcdef";
    envelope.position = ++position_;
    envelope.previous = last_[topic];
    last_[topic] = position_;
    std::string body;
    encode_report(report, envelope, body);
    if (!lost) publisher_.publish(topic, body);
    return position_;
  }

  void lose(const std::string& type, const std::string& watch) { emit(type, watch, true); }

  void beat() { publisher_.publish(kHeartbeatTopic, encode_heartbeat(stream_, "0.0.0", 0, last_)); }

  void send(std::string_view topic, std::string_view body) { publisher_.publish(topic, body); }

 private:
  std::string stream_;
  std::uint64_t position_;
  std::map<std::string, std::uint64_t, std::less<>> last_;
  zmq::context_t context_;
  Publisher publisher_;
};

/// A subscriber and the gaps it told.
struct Listener {
  explicit Listener(const std::string& endpoint, std::vector<std::string> types = {},
                    std::vector<std::string> watches = {})
      : subscriber(options(endpoint, std::move(types), std::move(watches))) {}

  Subscriber::Options options(const std::string& endpoint, std::vector<std::string> types,
                              std::vector<std::string> watches) {
    Subscriber::Options out;
    out.endpoint = endpoint;
    if (!types.empty()) types.emplace_back("watch.ready");
    if (!watches.empty()) watches.emplace_back("sync");
    out.types = std::move(types);
    out.watches = std::move(watches);
    out.on_gap = [this](const Gap& gap) {
      gaps.push_back(gap.topic + ' ' + std::to_string(std::stoull(gap.after)) + ' ' +
                     std::to_string(std::stoull(gap.until)));
    };
    return out;
  }

  /// Comes back when what the daemon says arrives here: subscriptions take their time.
  void join(Daemon& daemon) {
    const auto deadline = Clock::now() + kSoon;
    do {
      REQUIRE(Clock::now() < deadline);
      daemon.emit("watch.ready", "sync");
    } while (!subscriber.next(milliseconds(20)));
    daemon.emit("end", "sync");  // not of a wanted type if types were given
    const std::uint64_t last = daemon.emit("watch.ready", "sync");
    for (;;) {
      const auto event = subscriber.next(kSoon);
      REQUIRE(event);
      if (event->sequence == position_text(last)) break;
    }
    gaps.clear();
  }

  /// The positions of what arrives until the daemon's next word about nothing.
  std::vector<std::uint64_t> heard(Daemon& daemon) {
    const std::string last = position_text(daemon.emit("watch.ready", "sync"));
    std::vector<std::uint64_t> out;
    for (;;) {
      const auto event = subscriber.next(kSoon);
      REQUIRE(event);
      if (event->sequence == last) return out;
      out.push_back(std::stoull(event->sequence));
    }
  }

  std::vector<std::string> gaps;
  Subscriber subscriber;
};

using Positions = std::vector<std::uint64_t>;
using Gaps = std::vector<std::string>;

/// A TCP server that is no ZeroMQ: says `greeting` to whoever comes, and hangs up if told to.
class Stranger {
 public:
  explicit Stranger(std::string greeting, bool hang_up) {
    listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener_.get(), 10) == 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this, greeting = std::move(greeting), hang_up] {
      std::vector<UniqueFd> peers;
      for (;;) {
        UniqueFd peer(::accept(listener_.get(), nullptr, nullptr));
        if (!peer) return;
        (void)::send(peer.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
        if (!hang_up) peers.push_back(std::move(peer));
      }
    });
  }
  ~Stranger() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string endpoint;

 private:
  UniqueFd listener_;
  std::thread thread_;
};

struct Refusal {
  Reason reason;
  std::string text;
  milliseconds took;
};

Refusal refused(const std::string& endpoint, milliseconds timeout = milliseconds(300)) {
  Subscriber::Options options;
  options.endpoint = endpoint;
  options.connect_timeout = timeout;
  const auto start = Clock::now();
  try {
    const Subscriber subscriber(options);
  } catch (const ConnectionError& error) {
    return {error.reason, error.what(),
            std::chrono::duration_cast<milliseconds>(Clock::now() - start)};
  }
  FAIL("connected to ", endpoint);
  return {};
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("events arrive over ipc and over tcp as they were published") {
  const TemporaryDirectory directory;
  for (const auto& endpoint :
       {"ipc://" + directory.path + "/publish", std::string("tcp://127.0.0.1:*")}) {
    Daemon daemon(endpoint);
    Listener listener(daemon.endpoint());
    listener.join(daemon);
    const auto position = daemon.emit("file.completed", "w");
    const auto event = listener.subscriber.next(kSoon);
    REQUIRE(event);
    CHECK(event->type == "file.completed");
    CHECK(event->path() == "/in/f");
    CHECK(event->watch() == "w");
    CHECK(event->sequence == position_text(position));
    CHECK(listener.subscriber.malformed() == 0);
    CHECK(listener.gaps.empty());
  }
}

TEST_CASE("types and watches choose, whole names only") {
  Daemon daemon("tcp://127.0.0.1:*");
  const auto chosen = [&](std::vector<std::string> types, std::vector<std::string> watches) {
    Listener listener(daemon.endpoint(), std::move(types), std::move(watches));
    listener.join(daemon);
    const std::uint64_t before = daemon.emit("watch.ready", "sync");
    for (const char* type : {"file.completed", "file.completed.too", "file.moved"}) {
      for (const char* watch : {"in", "in2", "out"}) daemon.emit(type, watch);
    }
    Positions heard = listener.heard(daemon);
    CHECK(heard.front() == before);
    heard.erase(heard.begin());
    for (auto& position : heard) position -= before;
    CHECK(listener.gaps.empty());
    return heard;
  };
  CHECK(chosen({}, {}) == Positions{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(chosen({"file.completed"}, {}) == Positions{1, 2, 3});
  CHECK(chosen({}, {"in"}) == Positions{1, 4, 7});
  CHECK(chosen({"file.completed", "file.moved"}, {"in", "out"}) == Positions{1, 3, 7, 9});
}

TEST_CASE("a type that is none is refused: it would be waited for in vain") {
  Subscriber::Options options;
  options.endpoint = "tcp://127.0.0.1:1";
  options.types = {"file.completed", "file.complet"};
  try {
    Subscriber subscriber(options);
    FAIL("no exception");
  } catch (const RequestError& error) {
    CHECK(error.code == "bad_request");
    CHECK(std::string(error.what()).find("did you mean \"file.completed\"?") != std::string::npos);
  }
}

TEST_CASE("a missing event shows when the next one of its topic comes") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  const auto first = daemon.emit("file.completed", "w");
  daemon.lose("file.completed", "w");
  daemon.lose("file.completed", "w");
  daemon.emit("file.completed", "other");
  daemon.emit("file.completed", "w");
  CHECK(listener.heard(daemon).size() == 3);
  CHECK(listener.gaps ==
        Gaps{"file.completed/w/ " + std::to_string(first) + ' ' + std::to_string(first + 2)});
  daemon.emit("file.completed", "w");
  daemon.beat();
  listener.heard(daemon);
  CHECK(listener.gaps.size() == 1);
}

TEST_CASE("a lost last event shows by the heartbeat, once") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  const auto first = daemon.emit("file.completed", "w");
  daemon.beat();
  daemon.lose("file.completed", "w");
  daemon.beat();
  daemon.beat();
  daemon.emit("file.completed", "w");
  daemon.beat();
  listener.heard(daemon);
  CHECK(listener.gaps ==
        Gaps{"file.completed/w/ " + std::to_string(first) + ' ' + std::to_string(first + 1)});
}

TEST_CASE("what was said before anyone listened is no gap") {
  Daemon daemon("tcp://127.0.0.1:*");
  daemon.lose("file.completed", "w");
  daemon.lose("file.moved", "w");
  SUBCASE("an event comes first") {
    Listener listener(daemon.endpoint());
    listener.join(daemon);
    daemon.emit("file.completed", "w");
    daemon.beat();
    daemon.emit("file.moved", "w");
    daemon.beat();
    listener.heard(daemon);
    CHECK(listener.gaps.empty());
  }
  SUBCASE("a heartbeat comes first") {
    Listener listener(daemon.endpoint());
    listener.join(daemon);
    daemon.beat();
    daemon.emit("file.completed", "w");
    daemon.emit("file.moved", "w");
    daemon.beat();
    listener.heard(daemon);
    CHECK(listener.gaps.empty());
  }
}

TEST_CASE("after a heartbeat a topic's very first event is missed too") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  daemon.beat();
  daemon.lose("file.completed", "w");
  SUBCASE("told by the next event") {
    daemon.emit("file.completed", "w");
    listener.heard(daemon);
    CHECK(listener.gaps.size() == 1);
  }
  SUBCASE("told by the next heartbeat") {
    daemon.beat();
    daemon.beat();
    listener.heard(daemon);
    CHECK(listener.gaps.size() == 1);
  }
}

TEST_CASE("only topics that were asked for have gaps") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener by_type(daemon.endpoint(), {"file.completed"});
  Listener by_watch(daemon.endpoint(), {}, {"w"});
  by_type.join(daemon);
  by_watch.join(daemon);
  daemon.beat();
  daemon.lose("file.moved", "v");
  daemon.beat();
  by_type.heard(daemon);
  by_watch.heard(daemon);
  CHECK(by_type.gaps.empty());
  CHECK(by_watch.gaps.empty());
}

TEST_CASE("a connection renews itself, and what was missed shows") {
  // Another stream, with positions below and above those before.
  for (const std::uint64_t start : {0U, 1'000'000U}) {
    const TemporaryDirectory directory;
    const std::string endpoint = "ipc://" + directory.path + "/publish";
    std::optional<Daemon> daemon(std::in_place, endpoint, "first", 1000);
    Listener listener(endpoint);
    listener.join(*daemon);
    daemon->beat();
    const auto last = daemon->emit("file.completed", "w");
    daemon->emit("file.moved", "w");
    listener.heard(*daemon);

    daemon.reset();
    daemon.emplace(endpoint, "second", start);
    daemon->lose("file.completed", "w");
    listener.join(*daemon);
    daemon->emit("file.moved", "w");
    daemon->beat();
    daemon->beat();
    listener.heard(*daemon);
    CHECK(listener.gaps == Gaps{"file.completed/w/ " + std::to_string(start == 0 ? 0 : last) + ' ' +
                                std::to_string(start + 1)});
    daemon->emit("file.completed", "w");
    daemon->emit("file.moved", "w");
    daemon->beat();
    listener.heard(*daemon);
    CHECK(listener.gaps.size() == 1);
  }
}

TEST_CASE("messages that are no events are counted and passed over") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  daemon.send("file.completed/w/", "\xc1");
  daemon.send("file.completed/w/", "");
  daemon.send("file.completed/w/", encode_value(Value(Value::Map{{"id", "x"}})));
  daemon.send(kHeartbeatTopic, "\xc0");
  daemon.send(kHeartbeatTopic, encode_value(Value(Value::Map{{"stream", "x"}, {"last", 1}})));
  daemon.emit("file.completed", "w");
  CHECK(listener.heard(daemon).size() == 1);
  CHECK(listener.subscriber.malformed() == 5);
  CHECK(listener.gaps.empty());
}

TEST_CASE("next waits as long as it is told") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  const auto start = Clock::now();
  CHECK_FALSE(listener.subscriber.next(kNow));
  CHECK_FALSE(listener.subscriber.next(milliseconds(60)));
  const auto took = Clock::now() - start;
  CHECK(took >= milliseconds(60));
  CHECK(took < milliseconds(5000));
}

TEST_CASE("heartbeats do not lengthen the wait") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  std::atomic<bool> over = false;
  std::thread beating([&] {
    while (!over) {
      daemon.beat();
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  const auto start = Clock::now();
  CHECK_FALSE(listener.subscriber.next(milliseconds(100)));
  CHECK(Clock::now() - start < milliseconds(5000));
  over = true;
  beating.join();
}

TEST_CASE("a signal ends a wait that has no end") {
  Daemon daemon("tcp://127.0.0.1:*");
  Listener listener(daemon.endpoint());
  listener.join(daemon);
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGUSR2, &action, &before);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> over = false;
  std::thread knocking([&] {
    while (!over) {
      ::pthread_kill(self, SIGUSR2);
      std::this_thread::sleep_for(milliseconds(10));
    }
  });
  CHECK_FALSE(listener.subscriber.next(milliseconds(-1)));
  over = true;
  knocking.join();
  ::sigaction(SIGUSR2, &before, nullptr);
}

TEST_CASE("a subscriber can be moved") {
  Daemon daemon("tcp://127.0.0.1:*");
  Subscriber::Options options;
  options.endpoint = daemon.endpoint();
  Subscriber first(options);
  Subscriber second = std::move(first);
  const auto deadline = Clock::now() + kSoon;
  bool heard = false;
  while (!heard && Clock::now() < deadline) {
    daemon.emit("t", "w");
    heard = second.next(milliseconds(20)).has_value();
  }
  CHECK(heard);
}

TEST_CASE("a daemon that starts a little later is waited for") {
  const TemporaryDirectory directory;
  const std::string endpoint = "ipc://" + directory.path + "/publish";
  std::promise<void> connected;
  std::thread starting([&] {
    std::this_thread::sleep_for(milliseconds(200));  // nothing is there meanwhile
    Daemon daemon(endpoint);
    connected.get_future().wait();
  });
  Subscriber::Options options;
  options.endpoint = endpoint;
  options.connect_timeout = kSoon;
  CHECK_NOTHROW(Subscriber{options});
  connected.set_value();
  starting.join();
}

TEST_CASE("nothing that listens is told") {
  const TemporaryDirectory directory;
  SUBCASE("no socket there") {
    const Refusal refusal = refused("ipc://" + directory.path + "/none");
    CHECK(refusal.reason == Reason::kNothingListens);
    CHECK(contains(refusal.text, directory.path + "/none"));
    CHECK(contains(refusal.text, "is the daemon running"));
  }
  SUBCASE("a socket of a daemon that was killed") {
    const std::string path = directory.path + "/publish";
    {
      const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      std::memcpy(address.sun_path, path.data(), path.size());
      REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    CHECK(refused("ipc://" + path).reason == Reason::kNothingListens);
  }
  SUBCASE("a closed port") {
    std::string endpoint;
    {
      const Daemon daemon("tcp://127.0.0.1:*");
      endpoint = daemon.endpoint();
    }
    const Refusal refusal = refused(endpoint);
    CHECK(refusal.reason == Reason::kNothingListens);
    CHECK(contains(refusal.text, endpoint));
  }
}

TEST_CASE("something that is no inotifier is told") {
  SUBCASE("silent") {
    const Stranger stranger("", false);
    CHECK(refused(stranger.endpoint).reason == Reason::kNoInotifier);
  }
  SUBCASE("an SSH server") {
    const Stranger stranger("SSH-2.0-OpenSSH_9.2p1\r\n", false);
    CHECK(refused(stranger.endpoint).reason == Reason::kNoInotifier);
  }
  SUBCASE("an HTTP server") {
    const Stranger stranger("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", true);
    const Refusal refusal = refused(stranger.endpoint, milliseconds(3000));
    CHECK(refusal.reason == Reason::kNoInotifier);
    CHECK(contains(refusal.text, "does not speak ZeroMQ"));
    CHECK(refusal.took < milliseconds(3000));
  }
  SUBCASE("much that looks like nothing") {
    const Stranger stranger(std::string(100'000, 'x'), false);
    CHECK(refused(stranger.endpoint).reason == Reason::kNoInotifier);
  }
  SUBCASE("hangs up") {
    const Stranger stranger("", true);
    CHECK(refused(stranger.endpoint).reason == Reason::kNoInotifier);
  }
  SUBCASE("a ZeroMQ socket that publishes nothing") {
    zmq::context_t context;
    for (const auto type :
         {zmq::socket_type::rep, zmq::socket_type::router, zmq::socket_type::pull}) {
      zmq::socket_t socket(context, type);
      socket.bind("tcp://127.0.0.1:*");
      CHECK(refused(socket.get(zmq::sockopt::last_endpoint)).reason == Reason::kNoInotifier);
    }
  }
}

TEST_CASE("a publisher that wants keys is told") {
  zmq::context_t context;
  zmq::socket_t socket(context, zmq::socket_type::pub);
  SUBCASE("CURVE") {
    char public_key[41];
    char secret_key[41];
    if (zmq_curve_keypair(public_key, secret_key) != 0) return;
    socket.set(zmq::sockopt::curve_server, true);
    socket.set(zmq::sockopt::curve_secretkey, secret_key);
  }
  SUBCASE("PLAIN") { socket.set(zmq::sockopt::plain_server, true); }
  socket.bind("tcp://127.0.0.1:*");
  const Refusal refusal = refused(socket.get(zmq::sockopt::last_endpoint), milliseconds(3000));
  CHECK(refusal.reason == Reason::kHandshakeRefused);
  CHECK(contains(refusal.text, "keys"));
  CHECK(refusal.took < milliseconds(3000));
}

TEST_CASE("a socket of another group is told") {
  if (::geteuid() == 0) {
    MESSAGE("skipped: root may open every socket");
    return;
  }
  const TemporaryDirectory directory;
  const Daemon daemon("ipc://" + directory.path + "/publish");
  REQUIRE(::chmod((directory.path + "/publish").c_str(), 0) == 0);
  CHECK(refused(daemon.endpoint()).reason == Reason::kHandshakeRefused);
}

TEST_CASE("an endpoint that is none is told at once") {
  for (const auto& endpoint :
       {"nonsense", "/run/inotifier/publish", "bar://x", "inproc://x", "tcp://127.0.0.1",
        "tcp://:1", "tcp://no-such-host.invalid:1", "ipc://"}) {
    CHECK_MESSAGE(refused(endpoint).reason == Reason::kBadEndpoint, endpoint);
  }
  CHECK(refused("ipc://" + std::string(200, 'x')).reason == Reason::kBadEndpoint);
  CHECK(refused("nonsense", milliseconds(60'000)).took < milliseconds(2000));
}

TEST_CASE("the endpoint is found where the daemon puts it") {
  const TemporaryDirectory directory;
  const char* before = std::getenv("XDG_RUNTIME_DIR");
  const std::string runtime = before == nullptr ? "" : before;
  ::unsetenv("INOTIFIER_PUBLISH_ENDPOINT");
  ::setenv("XDG_RUNTIME_DIR", directory.path.c_str(), 1);
  CHECK(default_publish_endpoint() == "ipc:///run/inotifier/publish");
  {
    zmq::context_t context;
    const Publisher publisher(context, {"ipc://" + directory.path + "/inotifier/publish"}, 10,
                              nullptr);
    CHECK(default_publish_endpoint() == "ipc://" + directory.path + "/inotifier/publish");
  }
  ::setenv("INOTIFIER_PUBLISH_ENDPOINT", "tcp://127.0.0.1:7556", 1);
  CHECK(default_publish_endpoint() == "tcp://127.0.0.1:7556");
  // The daemon's own list: the ipc socket if it is there, and addresses to connect to.
  const std::string socket = directory.path + "/listed";
  const std::string list = "['tcp://0.0.0.0:7556', \"ipc://" + socket + "\"]";
  ::setenv("INOTIFIER_PUBLISH_ENDPOINT", list.c_str(), 1);
  CHECK(default_publish_endpoint() == "tcp://127.0.0.1:7556");
  std::ofstream(socket).close();
  CHECK(default_publish_endpoint() == "ipc://" + socket);
  ::setenv("INOTIFIER_PUBLISH_ENDPOINT", ("tcp://127.0.0.1:1, ipc://" + socket).c_str(), 1);
  CHECK(default_publish_endpoint() == "ipc://" + socket);
  ::setenv("INOTIFIER_PUBLISH_ENDPOINT", "tcp://[::]:7556", 1);
  CHECK(default_publish_endpoint() == "tcp://[::1]:7556");
  ::unsetenv("INOTIFIER_PUBLISH_ENDPOINT");
  // Nothing there: every place is named.
  try {
    Subscriber::Options options;
    options.connect_timeout = milliseconds(10);
    Subscriber subscriber(options);
    FAIL("no exception");
  } catch (const ConnectionError& error) {
    const std::string what = error.what();
    for (const auto& place :
         {directory.path + "/inotifier/publish", std::string("/tmp/inotifier-"),
          std::string("/run/inotifier/publish"), std::string("INOTIFIER_PUBLISH_ENDPOINT")}) {
      CHECK_MESSAGE(what.find(place) != std::string::npos, what);
    }
  }
  if (before == nullptr) {
    ::unsetenv("XDG_RUNTIME_DIR");
  } else {
    ::setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
  }
}
