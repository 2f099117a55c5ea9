#include "forward/brokers.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.hpp"

namespace inotifier::forward {
namespace {

using Maker = std::unique_ptr<Broker> (*)(const Settings&);

#if INOTIFIER_FORWARD_CURL
constexpr Maker kWebhooks = make_webhooks;
#else
constexpr Maker kWebhooks = nullptr;
#endif
#if INOTIFIER_FORWARD_NATS
constexpr Maker kNats = make_nats;
#else
constexpr Maker kNats = nullptr;
#endif

}  // namespace

const std::vector<BrokerKind>& broker_kinds() {
  static const std::vector<BrokerKind> kinds = {
      {"webhooks",
       {"https", "http"},
       "libcurl4-openssl-dev and libssl-dev",
       {"--batch", "--parallel", "--timeout", "--secret-file", "--token-file", "--ca-file"},
       kWebhooks},
      {"NATS JetStream",
       {"nats", "tls"},
       "libnats-dev",
       {"--stream", "--prefix", "--create-stream", "--replicas", "--token-file", "--password-file",
        "--ca-file"},
       kNats},
  };
  return kinds;
}

const BrokerKind& broker_kind(const std::string& scheme) {
  std::string known;
  for (const BrokerKind& kind : broker_kinds()) {
    const auto& schemes = kind.schemes;
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) {
      known += (known.empty() ? "" : ", ") + schemes[0] + "://";
      continue;
    }
    if (kind.make != nullptr) return kind;
    throw UsageError(fmt::format("--to {}://: this build has no {}: install {} and build it again",
                                 scheme, kind.name, kind.package));
  }
  throw UsageError(fmt::format("--to {}://: there is no such broker; known are {}", scheme, known));
}

}  // namespace inotifier::forward
