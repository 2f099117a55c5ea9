// Any bytes as a read of inotify's: the decoder ends, and every name lies within the bytes.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "source/decode.hpp"

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* begin = reinterpret_cast<const char*>(data);
  inotifier::Decoder decoder(std::as_bytes(std::span(data, size)));
  inotifier::Record record;
  std::size_t before = 0;
  while (decoder.next(record)) {
    require(decoder.offset() > before && decoder.offset() <= size, "the offset is wrong");
    before = decoder.offset();
    if (record.name.empty()) continue;
    require(record.name.data() >= begin + 16, "a name begins before its record");
    require(record.name.data() + record.name.size() <= begin + size, "a name ends too late");
    require(record.name.find('\0') == record.name.npos, "padding in a name");
  }
  require(decoder.broken() || decoder.offset() == size, "bytes left over, and nothing said");
  return 0;
}
