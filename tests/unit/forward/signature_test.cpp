#include "forward/signature.hpp"

#include <doctest/doctest.h>

using namespace inotifier::forward;

// The example of the specification's reference libraries.
TEST_CASE("signature: that of Standard Webhooks") {
  const auto key = webhook_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  REQUIRE(key);
  CHECK(key->size() == 24);
  CHECK(webhook_signature(*key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                          R"({"test": 2432232314})") ==
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST_CASE("signature: a secret is whsec_ and base64 of enough bytes") {
  CHECK_FALSE(webhook_key(""));
  CHECK_FALSE(webhook_key("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
  CHECK_FALSE(webhook_key("whsec_c2hvcnQ="));
  CHECK_FALSE(webhook_key("whsec_not base64 at all, and long en"));
  const auto padded = webhook_key("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNA==");
  REQUIRE(padded);
  CHECK(*padded == "0123456789012345678901234");
}

TEST_CASE("signature: a batch has the id of its events, in their order") {
  CHECK(batch_id({"a", "b"}).size() == 32);
  CHECK(batch_id({"a", "b"}) == batch_id({"a", "b"}));
  CHECK(batch_id({"a", "b"}) != batch_id({"b", "a"}));
  CHECK(batch_id({"a", "b"}) != batch_id({"ab"}));
}
