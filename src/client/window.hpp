// The events of a consumer from their arrival until they are acked: what is in hand, what was given
// out, what of it is done. Private to the client library; owned by the consumer, one thread, no
// I/O. What is done is known by positions:
//
//   seen ......... up to here every event of the consumer's own fetches was given out
//   cursor ....... end of the consumer's fetch that is in hand; becomes `seen` when it is used up
//   read ......... end of what was read ahead, beyond `cursor`
//
// A fetch of the consumer returns what was not acked, so while an event is unfinished it cannot
// show what comes later. That is read ahead, without the consumer. When everything before `seen` is
// done the consumer fetches again; what comes a second time is recognised by its position and
// passed over. Only positions up to `seen` may be acked: the daemon refuses others, and an event
// for this consumer alone (a retried one) is in no reading ahead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "client/reply.hpp"
#include "inotifier/event.hpp"

namespace inotifier {

class Window {
 public:
  std::uint64_t seen() const { return seen_; }
  std::uint64_t cursor() const { return cursor_; }
  std::uint64_t read() const { return read_; }

  /// The events of a reply, when nothing is in hand; `end`: its cursor, 0 if it has none.
  void take_fetched(Reply reply, std::uint64_t end);
  void take_read_ahead(Reply reply, std::uint64_t end);

  /// The next event that was not given out before.
  std::optional<Event> take();
  bool nothing_in_hand() const { return next_event_ == queue_.events.size() && !peeked_; }
  std::size_t in_hand() const {
    return queue_.events.size() - next_event_ + (peeked_ ? std::size_t{1} : 0);
  }

  /// Given out, and not finished.
  bool is_open(std::uint64_t position) const;
  void finish(std::uint64_t position);
  void finish_up_to(std::uint64_t position);
  void finish_all();
  /// The end of the unbroken prefix of what is done, as far as the daemon has delivered it to this
  /// consumer. Forgets what lies before it.
  std::uint64_t ackable();

  /// Given out, and not yet before ackable().
  std::size_t size() const { return given_out_.size(); }
  std::size_t undone() const { return undone_; }
  /// The oldest of these is done: after ackable(), because it was read ahead only.
  bool first_is_done() const { return !given_out_.empty() && given_out_.begin()->second; }
  /// Events that could not be decoded.
  std::uint64_t malformed() const { return malformed_; }

  /// Forgets everything but malformed().
  void clear();

 private:
  void take_up(Reply reply, bool ahead);
  /// Decodes up to the next event that was not given out before; at the end of what was fetched
  /// that has been seen.
  void peek();

  Reply queue_;
  std::size_t next_event_ = 0;
  std::optional<Event> peeked_;  ///< the next one to be given out
  std::uint64_t peeked_position_ = 0;
  bool queue_is_ahead_ = false;
  bool queue_is_used_up_ = true;
  std::map<std::uint64_t, bool> given_out_;  ///< by position: whether it is done
  std::size_t undone_ = 0;
  std::uint64_t seen_ = 0;
  std::uint64_t cursor_ = 0;
  std::uint64_t read_ = 0;
  std::uint64_t prefix_ = 0;  ///< everything up to here is done
  std::uint64_t malformed_ = 0;
};

}  // namespace inotifier
