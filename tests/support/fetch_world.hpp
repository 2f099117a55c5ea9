// A journal on the disk, the fetch service over it, clients and a clock of one's own. For tests and
// the fuzzer. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "inotifier/wire.hpp"
#include "journal/journal.hpp"
#include "serve/fetch_service.hpp"

namespace inotifier::testing {

class FetchWorld {
 public:
  /// Opens the journal at `path`.
  explicit FetchWorld(std::string path) { start(std::move(path)); }

  struct Reply {
    Route peer;
    Value body;
  };

  void start(std::string path) {
    options.path = std::move(path);
    start();
  }
  void start() {
    options.daemon_name = "test";
    journal = std::make_unique<Journal>(options, now);
    start_service();
  }
  void start_service() {
    service = std::make_unique<FetchService>(*journal, "1.2.3", now,
                                             [this](const Route& peer, std::string_view body) {
                                               sizes.push_back(body.size());
                                               replies.push_back({peer, decode_value(body)});
                                             });
  }
  void stop() {
    service.reset();
    journal.reset();
  }
  void restart(Nanos after = 10 * kSecond) {
    stop();
    pass_silently(after);
    start();
  }

  /// One turn of the pipeline that says so many events; the position of the last one.
  std::uint64_t emit(std::string_view type = "file.completed", std::string_view watch = "in",
                     int count = 1, std::string_view more = "") {
    std::vector<WatchReport> turn;
    for (int i = 0; i < count; ++i) {
      WatchReport said{watch, "/srv/in", {}};
      said.report.type = type;
      said.report.path = "f" + std::to_string(++reports_);
      if (!more.empty()) said.report.data.emplace_back("more", more);
      turn.push_back(std::move(said));
    }
    journal->commit(turn, now.wall, {}, [](std::string_view, std::string_view) {});
    return journal->events().last_position();
  }
  void turn() { service->after_turn(now); }
  void pass_silently(Nanos time) {
    now.mono += time;
    now.wall += time;
  }
  /// Time passes, and the service is called when it wants to be.
  void pass(Nanos time) {
    const Nanos end = now.mono + time;
    turn();
    while (service->deadline() && *service->deadline() <= end) {
      pass_silently(std::max<Nanos>(0, *service->deadline() - now.mono));
      turn();
    }
    pass_silently(end - now.mono);
    turn();
  }
  /// Until nothing is left to be read.
  void settle() {
    do {
      turn();
    } while (service->deadline() && *service->deadline() <= now.mono);
  }

  void send(std::string_view peer, Value::Map request, bool may_change = true) {
    service->on_request({std::string(peer)}, encode_value(Value(std::move(request))), may_change,
                        now);
  }
  /// The oldest reply to `peer` that was not taken yet.
  std::optional<Value> take(std::string_view peer) {
    for (auto reply = replies.begin(); reply != replies.end(); ++reply) {
      if (reply->peer.front() != peer) continue;
      Value body = std::move(reply->body);
      replies.erase(reply);
      return body;
    }
    return std::nullopt;
  }
  /// Sends, and takes the reply, which must come at once; nil if it does not.
  Value ask(Value::Map request, bool may_change = true) {
    send("asker", std::move(request), may_change);
    settle();
    return take("asker").value_or(Value());
  }

  JournalOptions options;
  Now now{1'000'000 * kSecond, 1'800'000'000 * kSecond};
  std::unique_ptr<Journal> journal;
  std::unique_ptr<FetchService> service;
  std::vector<Reply> replies;
  std::vector<std::size_t> sizes;  ///< of all replies

 private:
  int reports_ = 0;
};

}  // namespace inotifier::testing
