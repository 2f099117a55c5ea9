// The ROUTER socket of the fetch service, where a request begins and its reply ends. Owned by the
// daemon; pipeline thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inotifier/time.hpp"
#include "serve/replies.hpp"

namespace zmq {
class context_t;
}  // namespace zmq

namespace inotifier {

class FetchService;
class Security;

class FetchSocket {
 public:
  /// Binds; see BoundSocket. `security` may be null: no keys. Throws SetupError with endpoint and
  /// remedy.
  FetchSocket(zmq::context_t& context, const std::vector<std::string>& endpoints,
              const Security* security);
  ~FetchSocket();
  FetchSocket(const FetchSocket&) = delete;
  FetchSocket& operator=(const FetchSocket&) = delete;

  /// After every turn of the pipeline: hands requests to the service as far as it has room, and
  /// lets it answer. Monotonic time when it wants to be called again at the latest.
  std::optional<Nanos> serve(FetchService& service, const Now& now);
  /// Becomes readable when serve() has something to do.
  int fd() const;
  /// What the service sends with. Never blocks. A peer that has gone gets nothing; one that does
  /// not read gets what fits into its queue of 8 replies, and small ones of together 1 MiB besides.
  void send(const Route& route, std::string_view body);

  /// What was bound, with the port that "tcp://127.0.0.1:*" became.
  const std::vector<std::string>& endpoints() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
