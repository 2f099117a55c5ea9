#include "serve/replies.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inotifier/wire.hpp"
#include "journal/journal.hpp"

using namespace inotifier;

namespace {

struct World {
  Journal journal{{}, Now()};
  std::vector<Value> sent;
  Replies replies{
      journal, [this](const Route&, std::string_view body) { sent.push_back(decode_value(body)); }};
  ReplyTo to{{"peer"}, Value(7)};
};

std::string code_of(const Value& reply) {
  const Value* error = reply.find("error");
  return error == nullptr ? "" : *error->find("code")->text();
}

}  // namespace

TEST_CASE("replies: an unwritten confirmation becomes busy, other replies go out as they are") {
  World world;
  world.replies.answer(world.to, {{"position", "1"}}, true);
  world.replies.answer(world.to, {{"position", "2"}});
  CHECK(world.sent.empty());
  SUBCASE("written") {
    world.replies.written();
    world.replies.refuse_unwritten();
    world.replies.send();
    REQUIRE(world.sent.size() == 2);
    CHECK(code_of(world.sent[0]).empty());
  }
  SUBCASE("not written") {
    world.replies.refuse_unwritten();
    world.replies.send();
    REQUIRE(world.sent.size() == 2);
    CHECK(code_of(world.sent[0]) == "busy");
    CHECK(*world.sent[1].find("position")->text() == "2");
  }
  for (const Value& reply : world.sent) CHECK(*reply.find("request")->integer() == 7);
  world.replies.send();
  CHECK(world.sent.size() == 2);
}

TEST_CASE("replies: a reply that is written field by field is a map of these fields") {
  std::string body;
  ReplyWriter reply(body, "the stream", Value());
  reply.field("events").array(0);
  reply.field("behind").integer(3);
  reply.finish();
  const Value value = decode_value(body);
  CHECK(value.map()->size() == 5);
  CHECK(*value.find("stream")->text() == "the stream");
  CHECK(*value.find("behind")->integer() == 3);
}
