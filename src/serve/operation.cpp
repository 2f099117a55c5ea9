#include "serve/operation.hpp"

#include <algorithm>

#include "base/log.hpp"

namespace inotifier {

const Operation* find_operation(std::string_view name) {
  for (const auto operations :
       {daemon_operations(), fetch_operations(), consumer_operations(), failure_operations()}) {
    for (const Operation& operation : operations) {
      if (operation.name == name) return &operation;
    }
  }
  return nullptr;
}

FetchContext::FetchContext(Journal& its_journal, std::string its_version, const Now& now,
                           Replies::Send send)
    : journal(its_journal),
      version(std::move(its_version)),
      started(now.wall),
      consumers(its_journal, now.mono),
      replies(its_journal, std::move(send)) {}

bool FetchContext::flush() {
  if (!consumers.has_changes()) return true;
  const bool done = consumers.flush(
      [this](const StoredConsumer& consumer) { polls.refuse_all_of(consumer, "busy", kBusy); });
  if (done) {
    no_room = false;
    replies.written();
    polls.written();
    return true;
  }
  if (!std::exchange(no_room, true)) {
    log::warning("journal {}: no room for the positions of consumers; clients are told to wait",
                 journal.options().path);
  }
  replies.refuse_unwritten();
  polls.refuse_unwritten();
  return false;
}

void FetchContext::check_stream(const Arguments& arguments, bool required) const {
  const auto stream = arguments.text("stream", 64);
  if (!stream && required) {
    throw Refusal{"bad_request", "stream is missing: positions mean something in one stream only"};
  }
  if (stream && *stream != journal.events().stream()) {
    throw Refusal{"stream_changed",
                  "the journal was begun anew; positions of the earlier one mean nothing here"};
  }
}

void FetchContext::check_writable() const {
  if (journal.blocked()) throw Refusal{"busy", std::string(kBusy)};
}

StoredConsumer& FetchContext::consumer_of(const Arguments& arguments) {
  const std::string name = arguments.name();
  StoredConsumer* consumer = consumers.find(name);
  if (consumer == nullptr) throw Refusal{"unknown_consumer", "there is no consumer " + name};
  return *consumer;
}

StoredConsumer& FetchContext::flushed_consumer_of(const Arguments& arguments) {
  check_writable();
  StoredConsumer* consumer = flush() ? consumers.find(arguments.name()) : nullptr;
  if (consumer == nullptr) throw Refusal{"busy", std::string(kBusy)};
  return *consumer;
}

void FetchContext::check_delivered(const StoredConsumer& consumer, std::uint64_t position) {
  // What was delivered before this start is not known any more; and after a power cut the client
  // may know positions that the journal does not. What is announced again, or new, has a later one.
  if (position > std::max({consumer.delivered, consumer.kept.position, consumer.trusted})) {
    throw Refusal{"bad_ack", "that position was not delivered to this consumer"};
  }
}

}  // namespace inotifier
