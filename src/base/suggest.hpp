// What was probably meant by a word that is none of those that are known. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inotifier {

/// The candidate that was probably meant; "" if none is near. Case and "-" for "_" do not count.
/// `by_beginning`: "warn" for "warning", "settle_time" for "settle".
std::string nearest(std::string_view word, const std::vector<std::string>& candidates,
                    bool by_beginning = true);
/// 'did you mean "x"?', or "known are: a, b, c" if none is near.
std::string suggest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace inotifier
