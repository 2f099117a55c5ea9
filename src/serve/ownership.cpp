#include "serve/ownership.hpp"

#include <algorithm>

#include "serve/request.hpp"

namespace inotifier {

void Ownership::check(const StoredConsumer& consumer, std::string_view client) {
  if (consumer.kept.owner == client) return;
  throw Refusal{"not_owner", consumer.kept.owner.empty()
                                 ? "no client owns the consumer: it was released, or moved by seek"
                                 : "another client owns the consumer"};
}

bool Ownership::is_free(const StoredConsumer& consumer, std::string_view client, Nanos mono) {
  return consumer.kept.owner.empty() || consumer.kept.owner == client ||
         (consumer.expires <= mono && !consumer.polled);
}

bool Ownership::is_owned(const StoredConsumer& consumer, Nanos mono) {
  return !consumer.kept.owner.empty() && (consumer.expires > mono || consumer.polled);
}

Nanos Ownership::time_left(const StoredConsumer& consumer, Nanos mono) {
  return consumer.polled ? consumer.kept.lease : std::max<Nanos>(0, consumer.expires - mono);
}

void Ownership::take_over(StoredConsumer& consumer, std::string_view client) {
  if (consumer.kept.owner == client) return;
  consumers_.change(consumer);
  consumer.kept.owner = client;
}

void Ownership::release(StoredConsumer& consumer, Nanos mono) {
  consumers_.change(consumer);
  consumer.kept.owner.clear();
  consumer.expires = mono;
}

void Ownership::set_lease(StoredConsumer& consumer, Nanos lease, Nanos mono) {
  if (consumer.kept.lease != lease && !journal_.blocked()) {
    consumers_.change(consumer);
    consumer.kept.lease = lease;
  }
  consumer.expires = mono + lease;
}

void Ownership::renew(StoredConsumer& consumer, Nanos mono) {
  consumer.expires = mono + consumer.kept.lease;
}

void Ownership::note_seen(StoredConsumer& consumer, const Now& now) {
  consumers_.note_used(consumer, now);
}

}  // namespace inotifier
