#include "source/decode.hpp"

#include <doctest/doctest.h>
#include <sys/inotify.h>

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

using namespace inotifier;

namespace {

/// One record as the kernel writes it: the name padded with zeros to `length`.
void append(std::vector<std::byte>& bytes, int wd, std::uint32_t mask, std::uint32_t cookie,
            const std::string& name, std::uint32_t length) {
  inotify_event header{};
  header.wd = wd;
  header.mask = mask;
  header.cookie = cookie;
  header.len = length;
  const std::size_t at = bytes.size();
  bytes.resize(at + sizeof header + length);
  std::memcpy(bytes.data() + at, &header, sizeof header);
  std::memcpy(bytes.data() + at + sizeof header, name.data(), name.size());
}

}  // namespace

TEST_CASE("decode: every record of a read, names without padding") {
  std::vector<std::byte> bytes;
  append(bytes, 1, IN_CREATE, 0, "a", 16);
  append(bytes, 2, IN_DELETE_SELF, 0, "", 0);
  append(bytes, -1, IN_Q_OVERFLOW, 0, "", 0);
  append(bytes, 3, IN_MOVED_TO, 77, std::string(255, 'n'), 256);
  append(bytes, 4, IN_CREATE, 0, "exactly16bytes!!", 16);
  Decoder decoder(bytes);
  Record record;
  REQUIRE(decoder.next(record));
  CHECK(record.wd == 1);
  CHECK(record.mask == IN_CREATE);
  CHECK(record.name == "a");
  CHECK(decoder.offset() == 32);
  REQUIRE(decoder.next(record));
  CHECK(record.wd == 2);
  CHECK(record.name.empty());
  REQUIRE(decoder.next(record));
  CHECK(record.wd == -1);
  CHECK(record.mask == IN_Q_OVERFLOW);
  REQUIRE(decoder.next(record));
  CHECK(record.cookie == 77);
  CHECK(record.name == std::string(255, 'n'));
  REQUIRE(decoder.next(record));
  CHECK(record.name == "exactly16bytes!!");
  CHECK_FALSE(decoder.next(record));
  CHECK_FALSE(decoder.broken());
  CHECK(decoder.offset() == bytes.size());
}

TEST_CASE("decode: nothing is nothing") {
  Decoder decoder({});
  Record record;
  CHECK_FALSE(decoder.next(record));
  CHECK_FALSE(decoder.broken());
}

TEST_CASE("decode: a record that does not fit ends it, what came before counts") {
  std::vector<std::byte> whole;
  append(whole, 1, IN_CREATE, 0, "first", 16);
  const std::size_t first = whole.size();
  append(whole, 1, IN_CREATE, 0, "second", 16);
  for (std::size_t size = first + 1; size < whole.size(); ++size) {
    CAPTURE(size);
    Decoder decoder(std::span<const std::byte>(whole).first(size));
    Record record;
    CHECK(decoder.next(record));
    CHECK(record.name == "first");
    CHECK_FALSE(decoder.next(record));
    CHECK(decoder.broken());
    CHECK(decoder.offset() == first);
    CHECK_FALSE(decoder.next(record));
  }
}

TEST_CASE("decode: a length beyond all bounds is a broken record") {
  std::vector<std::byte> bytes;
  append(bytes, 1, IN_CREATE, 0, "a", 16);
  const std::uint32_t length = 0xfffffff0U;
  std::memcpy(bytes.data() + offsetof(inotify_event, len), &length, sizeof length);
  Decoder decoder(bytes);
  Record record;
  CHECK_FALSE(decoder.next(record));
  CHECK(decoder.broken());
}
