#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "client/link.hpp"
#include "inotifier/client.hpp"
#include "inotifier/wire.hpp"

namespace inotifier {

using std::chrono::milliseconds;

namespace {
/// The journal cannot be written just now: clients/README.md, "Errors".
constexpr milliseconds kBusyPause{1000};
/// The id of no request.
constexpr std::int64_t kNobody = -2;
}  // namespace

struct Requester::Impl {
  explicit Impl(Connection connection) : link(std::move(connection)) {}

  /// The reply to request `id`; nothing if none came by `deadline`, or if the connection is lost.
  std::optional<Reply> await(std::int64_t id, Clock::time_point deadline) {
    for (;;) {
      try {
        while (auto reply = link.receive()) {
          if (request_of(*reply) == id) return reply;
        }
      } catch (const WireError&) {  // no reply to anything
      }
      try {
        if (Clock::now() >= deadline || link.disconnected()) return std::nullopt;
      } catch (const ConnectionError&) {
        link.renew();  // the next request asks again
        throw;
      }
      link.wait(deadline, -1);
    }
  }

  Reply request(std::string_view op, const Value::Map& arguments, milliseconds timeout);

  Link link;
  std::int64_t last_id = 0;
};

Requester::Requester(Connection connection)
    : impl_(std::make_unique<Impl>(std::move(connection))) {}
Requester::~Requester() = default;
Requester::Requester(Requester&&) noexcept = default;
Requester& Requester::operator=(Requester&&) noexcept = default;

const Value& Requester::hello() const { return impl_->link.hello(); }

Reply Requester::Impl::request(std::string_view op, const Value::Map& arguments,
                               milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  link.forget_refusals();
  for (;;) {
    const std::int64_t id = ++last_id;
    link.send(encode_request(op, id, arguments));
    auto reply = await(id, deadline);
    if (!reply) {
      link.renew();
      throw ConnectionError(
          ConnectionError::Reason::kNoAnswer,
          fmt::format("{}: no answer to \"{}\": has the daemon stopped?", link.endpoint(), op));
    }
    const auto error = error_of(*reply);
    if (!error) return std::move(*reply);
    if (error->code != "busy" || Clock::now() + kBusyPause >= deadline) throw *error;
    await(kNobody, Clock::now() + kBusyPause);
  }
}

Value Requester::request(std::string_view op, const Value::Map& arguments, milliseconds timeout) {
  return std::move(impl_->request(op, arguments, timeout).head);
}

void Requester::update(const std::string& consumer,
                       const std::optional<std::vector<std::string>>& types,
                       const std::optional<std::vector<std::string>>& watches) {
  Value::Map arguments{{"consumer", consumer}};
  if (types) arguments.emplace_back("types", Value::Array(types->begin(), types->end()));
  if (watches) arguments.emplace_back("watches", Value::Array(watches->begin(), watches->end()));
  request("update", arguments);
}

Requester::Page Requester::read(const Value::Map& arguments, milliseconds timeout) {
  const Reply reply = impl_->request("fetch", arguments, timeout);
  Page page;
  page.stream = text_in(reply.head, "stream");
  page.cursor = text_in(reply.head, "cursor");
  if (const Value* behind = reply.head.find("behind"); behind != nullptr && behind->integer()) {
    page.behind = *behind->integer();
  }
  page.events.reserve(reply.events.size());
  for (const std::string_view bytes : reply.events) {
    try {
      page.events.push_back(decode(bytes));
    } catch (const WireError&) {
      ++page.malformed;
    }
  }
  return page;
}

}  // namespace inotifier
