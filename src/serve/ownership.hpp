// Which client owns a consumer, and until when: the rules of clients/README.md, "Several clients".
// Nothing is kept here but in the consumers themselves. Owned by FetchService; pipeline thread.
#pragma once

#include <string_view>

#include "journal/consumers.hpp"
#include "journal/journal.hpp"

namespace inotifier {

class Ownership {
 public:
  Ownership(const Journal& journal, Consumers& consumers)
      : journal_(journal), consumers_(consumers) {}

  /// Throws Refusal: the client does not own it.
  static void check(const StoredConsumer& consumer, std::string_view client);
  /// The client owns it, or may take it over now.
  static bool is_free(const StoredConsumer& consumer, std::string_view client, Nanos mono);
  static bool is_owned(const StoredConsumer& consumer, Nanos mono);
  /// How long the owner may still be silent. A long poll keeps the whole lease.
  static Nanos time_left(const StoredConsumer& consumer, Nanos mono);

  void take_over(StoredConsumer& consumer, std::string_view client);
  void release(StoredConsumer& consumer, Nanos mono);
  void set_lease(StoredConsumer& consumer, Nanos lease, Nanos mono);
  /// From now on for the lease it has.
  static void renew(StoredConsumer& consumer, Nanos mono);
  /// Any request about a consumer is a sign that it is in use.
  void note_seen(StoredConsumer& consumer, const Now& now);

 private:
  const Journal& journal_;
  Consumers& consumers_;
};

}  // namespace inotifier
