// Keys, the directory of clients, and who gets through a socket that asks for them.
#include "endpoint/security.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <zmq.hpp>

#include "base/curve_keys.hpp"
#include "base/error.hpp"
#include "endpoint/binding.hpp"
#include "serve/publisher.hpp"

using namespace inotifier;

namespace {

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/inotifier-security-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
    std::filesystem::create_directory(path_ + "/clients");
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

  std::string write(const std::string& name, const std::string& text, ::mode_t mode = 0644) const {
    const auto path = *this / name;
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }

  /// A client's keys; the public one lies among the clients.
  CurveKeys client(const std::string& name, const std::string& access) const {
    auto keys = make_curve_keys();
    if (!access.empty()) keys.metadata["access"] = access;
    write("clients/" + name + ".key", public_file_text(keys));
    return keys;
  }

  Config::Security config() const {
    Config::Security security;
    security.server_key = write("server.key_secret", secret_file_text(make_curve_keys()), 0600);
    security.clients = *this / "clients";
    return security;
  }

 private:
  std::string path_;
};

template <typename F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const SetupError& error) {
    return error.what();
  }
  return {};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// A ROUTER that asks for keys on tcp and not on ipc, as the fetch service's.
struct Server {
  explicit Server(const Directory& directory, const Config::Security& config)
      : security(context, config),
        bound(socket, {"tcp://127.0.0.1:*", "ipc://" + (directory / "fetch")}, "fetch", &security) {
    socket.set(zmq::sockopt::linger, 0);
  }

  /// Connects; the access that its message comes with, or nothing if none came.
  struct Got {
    bool came = false;
    std::optional<Access> access;
    std::string name;
    int refused_with = 0;  ///< ZAP's status code, if it was told
  };
  Got ask(const CurveKeys& keys, bool over_ipc = false, const std::string& server_key = {}) {
    zmq::context_t own;
    zmq::socket_t dealer(own, zmq::socket_type::dealer);
    dealer.set(zmq::sockopt::linger, 0);
    if (!keys.secret_key.empty()) {
      dealer.set(zmq::sockopt::curve_serverkey,
                 server_key.empty() ? security.public_key() : server_key);
      dealer.set(zmq::sockopt::curve_publickey, keys.public_key);
      dealer.set(zmq::sockopt::curve_secretkey, keys.secret_key);
    }
    REQUIRE(zmq_socket_monitor(dealer.handle(), "inproc://m", ZMQ_EVENT_ALL) == 0);
    zmq::socket_t monitor(own, zmq::socket_type::pair);
    monitor.connect("inproc://m");
    dealer.connect(bound.endpoints()[over_ipc ? 1 : 0]);
    dealer.send(zmq::str_buffer("hello"), zmq::send_flags::none);
    Got got;
    for (;;) {
      zmq_pollitem_t items[] = {{socket.handle(), 0, ZMQ_POLLIN, 0},
                                {monitor.handle(), 0, ZMQ_POLLIN, 0}};
      if (zmq_poll(items, 2, 10'000) <= 0) break;
      if (items[0].revents != 0) {
        zmq::message_t id;
        zmq::message_t body;
        REQUIRE(socket.recv(id));
        REQUIRE(socket.recv(body));
        got.came = true;
        got.access = access_of(body);
        got.name = client_of(body);
        break;
      }
      zmq::message_t event;
      zmq::message_t address;
      REQUIRE(monitor.recv(event));
      REQUIRE(monitor.recv(address));
      std::uint16_t number = 0;
      std::uint32_t value = 0;
      std::memcpy(&number, event.data(), sizeof number);
      std::memcpy(&value, static_cast<char*>(event.data()) + 2, sizeof value);
      if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) got.refused_with = static_cast<int>(value);
      if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || number == ZMQ_EVENT_DISCONNECTED) break;
    }
    zmq_socket_monitor(dealer.handle(), nullptr, 0);
    return got;
  }

  zmq::context_t context;
  Security security;
  zmq::socket_t socket{context, zmq::socket_type::router};
  BoundSocket bound;
};

}  // namespace

TEST_SUITE("security") {
  TEST_CASE("key files are written and read back") {
    auto keys = make_curve_keys();
    keys.metadata["access"] = "all";
    const auto secret = parse_curve_keys(secret_file_text(keys), "f");
    CHECK(secret.public_key == keys.public_key);
    CHECK(secret.secret_key == keys.secret_key);
    const auto given = parse_curve_keys(public_file_text(keys), "f");
    CHECK(given.public_key == keys.public_key);
    CHECK(given.secret_key.empty());
    CHECK(given.metadata == keys.metadata);
    CHECK_FALSE(has(public_file_text(keys), keys.secret_key));
  }

  TEST_CASE("key files of other programs are read") {
    // As pyzmq and czmq write them; the keys are those of ZeroMQ's own tests.
    const auto keys = parse_curve_keys(
        "#   ****  Generated by pyzmq  ****\r\n\r\nmetadata\r\n    access = all\r\ncurve\r\n"
        "    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\"\r\n"
        "    secret-key = \"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs\"",
        "f");
    CHECK(keys.public_key == "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
    CHECK(keys.secret_key == "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs");
    CHECK(keys.metadata.at("access") == "all");
  }

  TEST_CASE("what is no key file is told, without its secret") {
    const auto error = [](const std::string& text) {
      return error_of([&] { parse_curve_keys(text, "f"); });
    };
    CHECK(has(error(""), "f has no line public-key"));
    CHECK(has(error("curve\n  public-key = \"short\"\n"), "f:2: the public-key is none: it has 5"));
    const std::string odd(40, '~');
    CHECK(has(error("secret-key = \"" + odd + "\"\n"), "f:1: the secret-key is none"));
    CHECK_FALSE(has(error("secret-key = \"" + odd + "\"\n"), odd));
    const auto one = make_curve_keys();
    auto mixed = make_curve_keys();
    mixed.secret_key = one.secret_key;
    CHECK(has(error(secret_file_text(mixed)), "of two pairs"));
  }

  TEST_CASE("a secret that others could read or change is refused") {
    const Directory directory;
    const auto text = secret_file_text(make_curve_keys());
    const auto error = [&](const std::string& path) {
      return error_of([&] { read_secret_keys(path); });
    };
    for (const ::mode_t mode : {0644U, 0640U, 0604U, 0620U, 0601U}) {
      const auto path = directory.write("s", text, mode);
      CAPTURE(mode);
      CHECK(has(error(path), "chmod 600 " + path));
    }
    CHECK(error(directory.write("s", text, 0600)) == "");
    CHECK(error(directory.write("s2", text, 0400)) == "");
    CHECK(has(error(directory / "missing"), "No such file"));
    CHECK(has(error(directory / "missing"), "inotifier keygen"));
    CHECK(has(error(directory / "clients"), "is no regular file"));
    const auto other = directory.write("p", public_file_text(make_curve_keys()), 0600);
    CHECK(has(error(other), "NAME.key_secret"));
    CHECK(has(error(directory.write("big", std::string(100'000, '\n'), 0600)), "no key file"));
    if (::geteuid() != 0) {
      MESSAGE("skipped: only root can make a file of another owner");
      return;
    }
    const auto path = directory.write("s3", text, 0600);
    REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
    CHECK(has(error(path), "belongs to uid 12345"));
    CHECK(has(error(path), "chown 0 " + path));
  }

  TEST_CASE("a FIFO for a key file holds nobody up") {
    const Directory directory;
    const auto path = directory / "fifo";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(has(error_of([&] { read_secret_keys(path); }), "is no regular file"));
  }

  TEST_CASE("the directory of clients is looked at anew") {
    const Directory directory;
    const auto first = directory.client("first", "");
    AllowList list(directory / "clients");
    CHECK(list.size() == 1);
    REQUIRE(list.find(first.public_key));
    CHECK(list.find(first.public_key)->name == "first");
    CHECK(list.find(first.public_key)->access == Access::kRead);

    const auto second = directory.client("second", "all");
    REQUIRE(list.find(second.public_key));
    CHECK(list.find(second.public_key)->access == Access::kAll);

    // In place and of the same length, within one tick of the clock.
    auto third = make_curve_keys();
    third.metadata["access"] = "all";
    directory.write("clients/second.key", public_file_text(third));
    CHECK(list.find(third.public_key));
    CHECK_FALSE(list.find(second.public_key));

    std::filesystem::remove(directory / "clients/first.key");
    CHECK_FALSE(list.find(first.public_key));
    CHECK(list.size() == 1);

    std::filesystem::rename(directory / "clients", directory / "away");
    CHECK_FALSE(list.find(third.public_key));
    REQUIRE(list.problems().size() == 1);
    CHECK(has(list.problems()[0], "No such file"));
    std::filesystem::rename(directory / "away", directory / "clients");
    CHECK(list.find(third.public_key));
    CHECK(list.problems().empty());
  }

  TEST_CASE("a bad file refuses its own client only, and is named") {
    const Directory directory;
    const auto good = directory.client("good", "all");
    const auto odd = directory.client("odd", "write");
    directory.write("clients/broken.key", "nonsense");
    directory.write("clients/README", "no key");
    directory.write("clients/.hidden.key", "no key");
    AllowList list(directory / "clients");
    CHECK(list.size() == 1);
    CHECK(list.find(good.public_key));
    CHECK_FALSE(list.find(odd.public_key));
    REQUIRE(list.problems().size() == 2);
    CHECK(has(list.problems()[0], "broken.key has no line public-key"));
    CHECK(has(list.problems()[1], "odd.key: access = \"write\" is not known"));
  }

  TEST_CASE("one key in two files has the lesser access") {
    const Directory directory;
    auto keys = directory.client("a", "all");
    keys.metadata["access"] = "read";
    directory.write("clients/b.key", public_file_text(keys));
    AllowList list(directory / "clients");
    CHECK(list.find(keys.public_key)->access == Access::kRead);
    REQUIRE(list.problems().size() == 1);
    CHECK(has(list.problems()[0], "a.key has the same key"));
  }

  TEST_CASE("a directory of clients that everybody could add to is refused") {
    const Directory directory;
    REQUIRE(::chmod((directory / "clients").c_str(), 0777) == 0);
    CHECK(has(error_of([&] { AllowList list(directory / "clients"); }), "chmod o-w"));
    CHECK(has(error_of([&] { AllowList list(directory / "nowhere"); }), "[security] clients"));
  }

  TEST_CASE("what is wrong with the keys is told at the start") {
    const Directory directory;
    zmq::context_t context;
    auto config = directory.config();
    REQUIRE(::chmod(config.server_key.c_str(), 0644) == 0);
    CHECK(has(error_of([&] { Security security(context, config); }),
              "[security] server_key: " + config.server_key + " has mode 0644"));
    // What failed leaves nothing behind.
    REQUIRE(::chmod(config.server_key.c_str(), 0600) == 0);
    const Security security(context, config);
    CHECK(security.has_keys());
    CHECK(security.public_key().size() == 40);
    const Security none(context, {});
    CHECK_FALSE(none.has_keys());
  }

  TEST_CASE("over tcp a known key is let in with its access, over ipc everybody") {
    const Directory directory;
    const auto worker = directory.client("worker", "all");
    const auto reader = directory.client("reader", "read");
    Server server(directory, directory.config());

    auto got = server.ask(worker);
    CHECK(got.came);
    CHECK(got.access == Access::kAll);
    CHECK(got.name == "worker");

    got = server.ask(reader);
    CHECK(got.came);
    CHECK(got.access == Access::kRead);
    CHECK(got.name == "reader");

    got = server.ask({}, true);
    CHECK(got.came);
    CHECK(got.access == Access::kAll);
    CHECK(got.name.empty());
    CHECK(server.security.refused() == 0);
  }

  TEST_CASE("strangers are refused and counted, and the others go on") {
    const Directory directory;
    const auto worker = directory.client("worker", "all");
    Server server(directory, directory.config());

    auto got = server.ask(make_curve_keys());
    CHECK_FALSE(got.came);
    CHECK(got.refused_with == 400);
    CHECK(server.security.refused() == 1);

    got = server.ask({});  // no keys at all
    CHECK_FALSE(got.came);
    got = server.ask(worker, false, make_curve_keys().public_key);  // another server's
    CHECK_FALSE(got.came);
    CHECK(server.security.refused() == 1);  // these did not come so far

    CHECK(server.ask(worker).came);
    std::filesystem::remove(directory / "clients/worker.key");
    CHECK_FALSE(server.ask(worker).came);
    CHECK(server.security.refused() == 2);
    const auto late = directory.client("late", "read");
    CHECK(server.ask(late).access == Access::kRead);
  }

  TEST_CASE("a subscriber with a key receives, also with access to read only") {
    const Directory directory;
    const auto reader = directory.client("reader", "read");
    zmq::context_t context;
    const Security security(context, directory.config());
    Publisher publisher(context, {"tcp://127.0.0.1:*"}, 10, &security);
    zmq::context_t own;
    zmq::socket_t sub(own, zmq::socket_type::sub);
    sub.set(zmq::sockopt::linger, 0);
    sub.set(zmq::sockopt::subscribe, "");
    sub.set(zmq::sockopt::curve_serverkey, security.public_key());
    sub.set(zmq::sockopt::curve_publickey, reader.public_key);
    sub.set(zmq::sockopt::curve_secretkey, reader.secret_key);
    sub.connect(publisher.endpoints()[0]);
    zmq_pollitem_t item{sub.handle(), 0, ZMQ_POLLIN, 0};
    int got = 0;
    for (int i = 0; i < 500 && got == 0; ++i) {
      publisher.publish("t/w/", "x");
      got = zmq_poll(&item, 1, 20);
    }
    CHECK(got == 1);
  }

  TEST_CASE("an ipc socket is given to the group, and is ours alone to remove") {
    if (::geteuid() != 0) {
      MESSAGE("skipped: only root can give a socket to any group");
      return;
    }
    const Directory directory;
    zmq::context_t context;
    Config::Security config;
    config.group = "daemon";
    const Security security(context, config);
    zmq::socket_t socket(context, zmq::socket_type::router);
    const auto path = directory / "fetch";
    {
      const BoundSocket bound(socket, {"ipc://" + path}, "fetch", &security);
      struct stat there {};
      REQUIRE(::lstat(path.c_str(), &there) == 0);
      CHECK(there.st_gid == 1);
      CHECK((there.st_mode & 07777U) == 0660);
      // Somebody else's by now.
      REQUIRE(::unlink(path.c_str()) == 0);
      std::ofstream(path) << "x";
    }
    CHECK(std::filesystem::exists(path));

    config.group = "no-such-group";
    const Security other(context, config);
    zmq::socket_t second(context, zmq::socket_type::router);
    const auto error = error_of(
        [&] { const BoundSocket bound(second, {"ipc://" + (directory / "b")}, "fetch", &other); });
    CHECK(has(error, "there is no group \"no-such-group\""));
    CHECK(has(error, "groupadd"));
    CHECK_FALSE(std::filesystem::exists(directory / "b"));
  }

  TEST_CASE("a socket is gone when its owner is, and the next one can have the path at once") {
    const Directory directory;
    const auto path = directory / "fetch";
    zmq::context_t context;
    zmq::socket_t first(context, zmq::socket_type::router);
    zmq::socket_t second(context, zmq::socket_type::router);
    {
      const BoundSocket bound(first, {"ipc://" + path}, "fetch", nullptr);
      CHECK(has(error_of([&] { const BoundSocket b(second, {"ipc://" + path}, "fetch", nullptr); }),
                "another inotifier listens on ipc://" + path));
      CHECK(std::filesystem::exists(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
    const BoundSocket bound(second, {"ipc://" + path}, "fetch", nullptr);
    first.close();
    zmq::socket_t client(context, zmq::socket_type::dealer);
    client.set(zmq::sockopt::linger, 0);
    client.connect("ipc://" + path);
    client.send(zmq::str_buffer("x"), zmq::send_flags::none);
    zmq_pollitem_t item{second.handle(), 0, ZMQ_POLLIN, 0};
    CHECK(zmq_poll(&item, 1, 10'000) == 1);
    CHECK(std::filesystem::exists(path));
  }
}
