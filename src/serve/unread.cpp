#include "serve/unread.hpp"

#include <zmq.h>

#include <atomic>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace inotifier {
namespace {

/// Peers that have read everything are forgotten when there are more than this.
constexpr std::size_t kPeers = 100;

}  // namespace

struct Unread::Count {
  std::atomic<std::size_t> bytes{0};
};

namespace {

/// What is kept of a message until libzmq gives it back.
struct Counted {
  std::vector<char> body;
  std::vector<std::shared_ptr<std::atomic<std::size_t>>> counts;
};

void give_back(void* /*data*/, void* hint) {
  const std::unique_ptr<Counted> message(static_cast<Counted*>(hint));
  for (const auto& count : message->counts) *count -= message->body.size();
}

}  // namespace

Unread::Unread() : all_(std::make_shared<Count>()) {}
Unread::~Unread() = default;

bool Unread::make(zmq_msg_t& message, std::string_view peer, std::string_view body) {
  try {
    if (peers_.size() > kPeers) {
      std::erase_if(peers_, [](const auto& entry) { return entry.second->bytes == 0; });
    }
    auto found = peers_.find(peer);
    if (found == peers_.end()) {
      found = peers_.emplace(std::string(peer), std::make_shared<Count>()).first;
    }
    auto counted = std::make_unique<Counted>();
    counted->body.assign(body.begin(), body.end());
    for (const auto& count : {all_, found->second}) {
      counted->counts.emplace_back(count, &count->bytes);
    }
    Counted& kept = *counted;
    if (zmq_msg_init_data(&message, kept.body.data(), kept.body.size(), give_back, &kept) != 0) {
      return false;
    }
    for (const auto& count : kept.counts) *count += kept.body.size();
    static_cast<void>(counted.release());
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

std::size_t Unread::bytes() const { return all_->bytes; }

bool Unread::has(std::string_view peer) const {
  const auto found = peers_.find(peer);
  return found != peers_.end() && found->second->bytes > 0;
}

}  // namespace inotifier
