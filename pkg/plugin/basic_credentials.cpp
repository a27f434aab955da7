#include "plugin/basic_credentials.h"

#include <array>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/text.h"

namespace weir::plugin {
namespace {

int digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Padding may be left out, as nginx allows; nothing else may be.
std::optional<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  unsigned bits = 0, count = 0;
  for (const char c : text) {
    const int value = digit(c);
    if (value < 0) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffff;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

}  // namespace

std::optional<BasicCredentials> parse_basic(std::string_view authorization) {
  auto rest = text::trim(authorization);
  // Kong wants no blank after the scheme.
  if (rest.size() < 5 || !text::equal_ignoring_case(rest.substr(0, 5), "basic")) return std::nullopt;
  auto decoded = decode_base64(text::trim(rest.substr(5)));
  if (!decoded) return std::nullopt;
  const auto colon = decoded->find(':');
  if (colon == decoded->npos || colon == 0) return std::nullopt;
  return BasicCredentials{std::move(*decoded), colon};
}

bool is_password(std::string_view given, std::string_view consumer_id, std::string_view stored) {
  std::string salted;
  salted.reserve(given.size() + consumer_id.size());
  salted.append(given).append(consumer_id);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const bool hashed = EVP_Digest(salted.data(), salted.size(), digest.data(), &size, EVP_sha1(), nullptr) == 1;
  OPENSSL_cleanse(salted.data(), salted.size());
  if (!hashed || size != 20) return false;
  std::array<char, 40> hex{};
  for (std::size_t i = 0; i < 20; i++) {
    hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
  }
  return stored.size() == hex.size() && CRYPTO_memcmp(stored.data(), hex.data(), hex.size()) == 0;
}

}  // namespace weir::plugin
