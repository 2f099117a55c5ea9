// Webhooks: the CloudEvents HTTP binding, one event a request (structured) or many (batched),
// signed as Standard Webhooks has it. What an answer means:
//
//   2xx ............. done
//   410 ............. the receiver wants nothing more: the program ends, and nothing is acked
//   429, 503 ........ again, not before Retry-After
//   408, 425, 5xx, 3xx, no answer: again. A redirection is not followed: events go where they were
//                     sent, and nowhere else
//   other 4xx ....... rejected. In a batch nobody knows which event it is for: each is sent again
//   in
//                     a request of its own
#include <fmt/core.h>

#include <cstdint>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/path.hpp"
#include "forward/brokers.hpp"
#include "forward/http_client.hpp"
#include "forward/signature.hpp"
#include "inotifier/wire.hpp"

namespace inotifier::forward {
namespace {

class Webhooks : public Broker {
 public:
  explicit Webhooks(const Settings& settings)
      : http_({settings.to, settings.ca_file, settings.timeout}),
        url_(settings.to),
        token_(settings.token),
        batch_(static_cast<std::size_t>(settings.batch)),
        parallel_(static_cast<std::size_t>(settings.parallel)) {
    if (settings.secret.empty()) return;
    const auto key = webhook_key(settings.secret);
    if (!key) {
      throw UsageError(
          "the secret of the webhooks (--secret-file, INOTIFIER_FORWARD_SECRET): expected whsec_ "
          "and "
          "base64 of 24 to 64 bytes");
    }
    key_ = *key;
  }

  void connect() override {}

  bool send(std::uint64_t number, const Event& event) override {
    if (!alone_.empty() || http_.running() >= parallel_) return false;
    gathered_.push_back({number, event.id, to_json(event)});
    if (gathered_.size() >= batch_) flush();
    return true;
  }

  void flush() override {
    if (!gathered_.empty()) post(std::exchange(gathered_, {}));
  }

  std::vector<Outcome> collect() override {
    std::vector<Outcome> outcomes;
    for (const HttpClient::Response& response : http_.collect()) {
      const auto found = requests_.find(response.request);
      std::vector<Item> items = std::move(found->second);
      requests_.erase(found);
      understand(response, std::move(items), outcomes);
    }
    for (; !alone_.empty() && http_.running() < parallel_; alone_.pop_front()) {
      post({std::move(alone_.front())});
    }
    return outcomes;
  }

  int fd() const override { return http_.fd(); }

 private:
  struct Item {
    std::uint64_t number;
    std::string id;
    std::string json;
  };

  void post(std::vector<Item> items) {
    std::string body;
    std::vector<std::string> ids;
    for (const Item& item : items) {
      body += (body.empty() ? "" : ",") + item.json;
      ids.push_back(item.id);
    }
    if (batch_ > 1) body = "[" + body + "]";
    std::vector<std::string> headers = {
        batch_ > 1 ? "Content-Type: application/cloudevents-batch+json; charset=utf-8"
                   : "Content-Type: application/cloudevents+json; charset=utf-8",
        "User-Agent: inotifier-forward"};
    const std::string id = batch_ > 1 ? batch_id(ids) : ids[0];
    const std::int64_t now = std::time(nullptr);
    headers.push_back("webhook-id: " + id);
    headers.push_back(fmt::format("webhook-timestamp: {}", now));
    if (!key_.empty()) {
      headers.push_back("webhook-signature: " + webhook_signature(key_, id, now, body));
    }
    if (!token_.empty()) headers.push_back("Authorization: Bearer " + token_);
    const std::uint64_t request = ++last_request_;
    requests_.emplace(request, std::move(items));
    http_.post(request, headers, std::move(body));
  }

  void understand(const HttpClient::Response& response, std::vector<Item> items,
                  std::vector<Outcome>& outcomes) {
    const long status = response.status;
    const bool answered = response.error.empty();
    if (answered && status == 410) {
      throw SetupError(url_ + ": HTTP 410: the receiver wants nothing more: give another --to");
    }
    Outcome outcome{};
    outcome.words = answered ? fmt::format("HTTP {}{}{}", status, response.body.empty() ? "" : ": ",
                                           to_utf8(response.body))
                             : response.error;
    if (answered && status >= 200 && status < 300) {
      outcome.what = Outcome::What::kDone;
    } else if (answered && status >= 400 && status < 500 && status != 408 && status != 425 &&
               status != 429) {
      outcome.what = Outcome::What::kRejected;
      if (items.size() > 1) {
        for (Item& item : items) alone_.push_back(std::move(item));
        return;
      }
    } else {
      outcome.what = Outcome::What::kAgain;
      if (status == 429 || status == 503) outcome.pause = response.retry_after;
    }
    for (const Item& item : items) {
      outcome.number = item.number;
      outcomes.push_back(outcome);
    }
  }

  HttpClient http_;
  const std::string url_;
  const std::string token_;
  std::string key_;  // "" = requests are not signed
  const std::size_t batch_;
  const std::size_t parallel_;
  std::vector<Item> gathered_;
  std::deque<Item> alone_;  // of batches that were rejected
  std::map<std::uint64_t, std::vector<Item>> requests_;
  std::uint64_t last_request_ = 0;
};

}  // namespace

std::unique_ptr<Broker> make_webhooks(const Settings& settings) {
  return std::make_unique<Webhooks>(settings);
}

}  // namespace inotifier::forward
