// Replies that were handed to ZeroMQ and that their clients have not read: counted, so that
// together they are bounded. Owned by the FetchSocket; pipeline thread, and libzmq's, which gives
// them back.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

struct zmq_msg_t;

namespace inotifier {

class Unread {
 public:
  Unread();
  ~Unread();
  Unread(const Unread&) = delete;
  Unread& operator=(const Unread&) = delete;

  /// Makes a message with a copy of `body`, which counts until it has left or its connection is
  /// gone. False: there is no memory for it.
  bool make(zmq_msg_t& message, std::string_view peer, std::string_view body);
  /// Of all.
  std::size_t bytes() const;
  /// Whether the peer has one.
  bool has(std::string_view peer) const;

 private:
  struct Count;
  std::shared_ptr<Count> all_;
  std::map<std::string, std::shared_ptr<Count>, std::less<>> peers_;
};

}  // namespace inotifier
