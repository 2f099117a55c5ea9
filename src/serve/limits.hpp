// Limits of the fetch protocol; clients/README.md lists them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "inotifier/time.hpp"

namespace inotifier {

inline constexpr int kFetchProtocol = 1;
inline constexpr std::size_t kMaxFrames = 16;        ///< before the body
inline constexpr std::size_t kMaxFrameBytes = 4096;  ///< of those together
inline constexpr std::size_t kMaxBody = 64U << 10U;  ///< of a request
inline constexpr std::size_t kMaxReply = 8U << 20U;  ///< events of one reply, in bytes
/// Replies that were sent and that clients have not read, in bytes, of all together. Beyond it a
/// client that has one gets no other, and a reply holds no more than kSmallReply.
inline constexpr std::size_t kMaxUnread = 64U << 20U;
inline constexpr std::size_t kSmallReply = 64U << 10U;
inline constexpr std::size_t kMaxPolls = 1000;  ///< long polls
inline constexpr std::size_t kMaxConsumers = 10'000;
inline constexpr std::size_t kMaxFailures = 100'000;  ///< of one consumer
inline constexpr std::size_t kMaxReason = 4096;       ///< of a failure
inline constexpr std::int64_t kDefaultLimit = 256;    ///< events of one reply
inline constexpr std::int64_t kMaxLimit = 4096;
inline constexpr Nanos kMaxWait = 60 * kSecond;
inline constexpr Nanos kDefaultLease = 60 * kSecond;
inline constexpr Nanos kMaxLease = 3600 * kSecond;

}  // namespace inotifier
