#include "source/decode.hpp"

#include <sys/inotify.h>

#include <cstring>

namespace inotifier {

bool Decoder::next(Record& record) {
  const std::size_t left = bytes_.size() - offset_;
  if (left == 0 || broken_) return false;
  inotify_event header;
  if (left < sizeof header) {
    broken_ = true;
    return false;
  }
  std::memcpy(&header, bytes_.data() + offset_, sizeof header);
  if (header.len > left - sizeof header) {
    broken_ = true;
    return false;
  }
  const char* name = reinterpret_cast<const char*>(bytes_.data() + offset_ + sizeof header);
  record.wd = header.wd;
  record.mask = header.mask;
  record.cookie = header.cookie;
  record.name = std::string_view(name, strnlen(name, header.len));
  offset_ += sizeof header + header.len;
  return true;
}

}  // namespace inotifier
