// decode, decode_value and what is done with the result: no input may do worse than a WireError,
// and what was decoded encodes to bytes that mean the same.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "inotifier/wire.hpp"

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const std::string once = inotifier::encode_value(inotifier::decode_value(bytes));
    const inotifier::Value again = inotifier::decode_value(once);
    require(inotifier::encode_value(again) == once, "a value does not encode the same again");
    inotifier::to_json(again);
  } catch (const inotifier::WireError&) {
  }
  try {
    const std::string once = inotifier::encode(inotifier::decode(bytes));
    const inotifier::Event again = inotifier::decode(once);
    require(inotifier::encode(again) == once, "an event does not encode the same again");
    inotifier::to_json(again);
    (void)again.watch();
    (void)again.path();
    (void)again.relative_path();
    (void)again.size();
  } catch (const inotifier::WireError&) {
  }
  return 0;
}
