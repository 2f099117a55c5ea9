#include "serve/replies.hpp"

#include <utility>

#include "inotifier/wire.hpp"

namespace inotifier {
namespace {

constexpr std::size_t kMaxBuffers = 4;
constexpr std::size_t kWorthKeeping = 4096;

}  // namespace

ReplyWriter::ReplyWriter(std::string& body, std::string_view stream, const Value& request)
    : writer_(body), map_(writer_.open_map()) {
  field("ok").boolean(true);
  field("protocol").integer(kFetchProtocol);
  field("stream").text(stream);
  if (!request.is_nil()) field("request").value(request);
}

WireWriter& ReplyWriter::field(std::string_view key) {
  ++fields_;
  writer_.text(key);
  return writer_;
}

void Replies::answer(const ReplyTo& to, Value::Map fields, bool needs_write) {
  Value::Map reply{
      {"ok", true}, {"protocol", kFetchProtocol}, {"stream", journal_.events().stream()}};
  if (!to.request.is_nil()) reply.emplace_back("request", to.request);
  for (auto& field : fields) reply.push_back(std::move(field));
  put(to, encode_value(Value(std::move(reply))), needs_write);
}

void Replies::refuse(const ReplyTo& to, std::string_view code, std::string_view message) {
  Value::Map reply{
      {"ok", false}, {"protocol", kFetchProtocol}, {"stream", journal_.events().stream()}};
  if (!to.request.is_nil()) reply.emplace_back("request", to.request);
  reply.emplace_back("error", Value::Map{{"code", code}, {"message", message}});
  put(to, encode_value(Value(std::move(reply))), false);
}

void Replies::put(const ReplyTo& to, std::string body, bool needs_write) {
  outgoing_.push_back({to, std::move(body), needs_write});
}

std::string Replies::buffer() {
  if (buffers_.empty()) return {};
  std::string buffer = std::move(buffers_.back());
  buffers_.pop_back();
  buffer.clear();
  return buffer;
}

void Replies::give_back(std::string buffer) {
  if (buffers_.size() < kMaxBuffers && buffer.capacity() > kWorthKeeping) {
    buffers_.push_back(std::move(buffer));
  }
}

void Replies::written() {
  for (Outgoing& outgoing : outgoing_) outgoing.needs_write = false;
}

void Replies::refuse_unwritten() {
  for (Outgoing& outgoing : std::exchange(outgoing_, {})) {
    if (outgoing.needs_write) {
      refuse(outgoing.to, "busy", kBusy);
    } else {
      outgoing_.push_back(std::move(outgoing));
    }
  }
}

void Replies::send() {
  for (Outgoing& outgoing : outgoing_) {
    send_(outgoing.to.route, outgoing.body);
    give_back(std::move(outgoing.body));
  }
  outgoing_.clear();
}

}  // namespace inotifier
