// Signatures of webhooks as Standard Webhooks 1.0 has them. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inotifier::forward {

/// The bytes of "whsec_" and base64 of 24 to 64 bytes; nothing for any other text.
std::optional<std::string> webhook_key(std::string_view secret);

/// "v1,<base64>": HMAC-SHA256 of "ID.TIMESTAMP.BODY".
std::string webhook_signature(const std::string& key, std::string_view id, std::int64_t timestamp,
                              std::string_view body);

/// One id for many events, the same whenever it is the same events: 32 hex digits.
std::string batch_id(const std::vector<std::string>& ids);

}  // namespace inotifier::forward
