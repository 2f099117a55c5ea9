// The ROUTER socket of the fetch service: takes requests apart, puts replies together. Owned by the
// daemon; pipeline thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace zmq {
class context_t;
}  // namespace zmq

namespace inotifier {

class Security;

class FetchSocket {
 public:
  struct Request {
    std::vector<std::string> peer;  ///< the frames before the body; the first one names the peer
    std::string body;
    bool may_change = false;  ///< the sender has all rights, not only that to read
  };

  /// Binds; see BoundSocket. `security` may be null: no keys. Throws SetupError with endpoint and
  /// remedy.
  FetchSocket(zmq::context_t& context, const std::vector<std::string>& endpoints,
              const Security* security);
  ~FetchSocket();
  FetchSocket(const FetchSocket&) = delete;
  FetchSocket& operator=(const FetchSocket&) = delete;

  /// The next request that has arrived; false: there is none.
  bool receive(Request& request);
  /// Whether one has arrived. To be asked after every use of the socket: fd() tells changes only.
  bool has_request() const;
  /// Becomes readable when something may have arrived.
  int fd() const;
  /// Never blocks. A peer that has gone gets nothing; one that does not read gets what fits into
  /// its queue of 8 replies, and small ones of together 1 MiB besides.
  void send(const std::vector<std::string>& peer, std::string_view body);
  /// After every turn: what did not fit, as far as it fits now. True if something is left.
  bool send_rest();

  /// What was bound, with the port that "tcp://127.0.0.1:*" became.
  const std::vector<std::string>& endpoints() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace inotifier
