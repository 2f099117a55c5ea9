#include "wire/wire_reader.hpp"

#include <doctest/doctest.h>

#include <string>

#include "inotifier/wire.hpp"
#include "wire/codec.hpp"

using namespace inotifier;

TEST_CASE("wire reader: values are found without being decoded") {
  const Value nested = Value::Array{Value::Map{{"a", Value::Array{1, 2.5, "x"}}}, Value()};
  const std::string bytes = encode_value(nested) + encode_value(Value("after"));
  WireReader reader(bytes);
  CHECK(decode_value(reader.value()) == nested);
  CHECK(decode_value(reader.value()) == Value("after"));
  CHECK(reader.at_end());
  CHECK_THROWS_AS(reader.value(), WireError);
}

TEST_CASE("wire reader: heads of containers of every size") {
  for (const std::size_t size : {0U, 15U, 16U, 65'535U, 65'536U}) {
    std::string bytes;
    WireWriter writer(bytes);
    writer.map(size);
    writer.array(size);
    WireReader reader(bytes);
    CHECK(reader.map() == size);
    CHECK(reader.array() == size);
    CHECK(reader.at_end());
  }
  for (const char* wrong : {"\xa1x", "\xc0", "\xde", "\xdd\x01"}) {
    CHECK_THROWS_AS(WireReader(wrong).map(), WireError);
    CHECK_THROWS_AS(WireReader(wrong).array(), WireError);
  }
}

TEST_CASE("wire reader: what is cut off, or no MessagePack, is no value") {
  const std::string bytes = encode_value(Value::Map{{"key", Value::Array{"text", 3}}});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_THROWS_AS(WireReader(std::string_view(bytes).substr(0, size)).value(), WireError);
  }
  CHECK_THROWS_AS(WireReader("\xc1").value(), WireError);
  // A claim beyond what is there costs no memory.
  CHECK_THROWS_AS(WireReader("\xdd\xff\xff\xff\xff\x01").value(), WireError);
}
