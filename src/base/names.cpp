#include "base/names.hpp"

#include <algorithm>

namespace inotifier {
namespace {

bool is_made_of(std::string_view text, std::string_view marks) {
  return !text.empty() && text.size() <= kLongestName && is_alphanumeric(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_alphanumeric(c) || marks.find(c) != std::string_view::npos;
         });
}

}  // namespace

bool is_name(std::string_view text) { return is_made_of(text, "_-"); }
bool is_daemon_name(std::string_view text) { return is_made_of(text, "._-"); }

}  // namespace inotifier
