// Which brokers there are, and which of them this build has. A new one is named in brokers.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "forward/broker.hpp"
#include "forward/settings.hpp"

namespace inotifier::forward {

struct BrokerKind {
  std::string name;                  ///< "webhooks"
  std::vector<std::string> schemes;  ///< of --to
  std::string package;               ///< Debian's, with what it is built with
  std::vector<std::string> options;  ///< that are its own
  /// nullptr: this build does not have it.
  std::unique_ptr<Broker> (*make)(const Settings& settings);
};

const std::vector<BrokerKind>& broker_kinds();
/// Throws UsageError for a scheme that nobody has, and for one that this build does not have.
const BrokerKind& broker_kind(const std::string& scheme);

// Each in its own file; there only if its library was there at build time. Throw UsageError for
// settings that they cannot work with; nothing is connected yet, and no thread started.
std::unique_ptr<Broker> make_webhooks(const Settings& settings);
std::unique_ptr<Broker> make_nats(const Settings& settings);

}  // namespace inotifier::forward
