#include "forward/signature.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <array>
#include <stdexcept>

namespace inotifier::forward {
namespace {

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string base64(const unsigned char* data, std::size_t size) {
  std::string out((size + 2) / 3 * 4 + 1, '\0');
  const int length =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data, static_cast<int>(size));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace

std::optional<std::string> webhook_key(std::string_view secret) {
  constexpr std::string_view kPrefix = "whsec_";
  if (!secret.starts_with(kPrefix)) return std::nullopt;
  const std::string_view text = secret.substr(kPrefix.size());
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int length = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes(text),
                                       static_cast<int>(text.size()));
  if (length < 0) return std::nullopt;
  // EVP_DecodeBlock(3) counts the padding, too.
  out.resize(static_cast<std::size_t>(length));
  for (std::size_t end = text.size(); end > 0 && text[end - 1] == '='; --end) out.pop_back();
  if (out.size() < 24 || out.size() > 64) return std::nullopt;
  return out;
}

std::string webhook_signature(const std::string& key, std::string_view id, std::int64_t timestamp,
                              std::string_view body) {
  const std::string text = fmt::format("{}.{}.{}", id, timestamp, body);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  unsigned int size = 0;
  if (::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(),
             digest.data(), &size) == nullptr) {
    throw std::runtime_error("HMAC: OpenSSL cannot sign with SHA-256");
  }
  return "v1," + base64(digest.data(), size);
}

std::string batch_id(const std::vector<std::string>& ids) {
  std::string text;
  for (const std::string& id : ids) text += id + '\n';
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  ::SHA256(bytes(text), text.size(), digest.data());
  std::string out;
  for (std::size_t i = 0; i < 16; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace inotifier::forward
