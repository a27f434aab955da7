#include "base/uuid.h"

#include <cstring>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/result.h"

namespace weir {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void mark(Uuid& id, int version) {
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | (version << 4));
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
}

}  // namespace

Uuid Uuid::random() {
  Uuid id;
  WEIR_ASSERT(RAND_bytes(id.bytes.data(), static_cast<int>(id.bytes.size())) == 1);
  mark(id, 4);
  return id;
}

Uuid Uuid::from_name(const Uuid& space, std::string_view name) {
  std::string input(reinterpret_cast<const char*>(space.bytes.data()), space.bytes.size());
  input.append(name);
  unsigned char digest[EVP_MAX_MD_SIZE];
  WEIR_ASSERT(EVP_Digest(input.data(), input.size(), digest, nullptr, EVP_sha1(), nullptr) == 1);
  Uuid id;
  std::memcpy(id.bytes.data(), digest, id.bytes.size());
  mark(id, 5);
  return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i++] != '-') return std::nullopt;
      continue;
    }
    const int high = hex(text[i]), low = hex(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[at++] = static_cast<std::uint8_t>(high << 4 | low);
    i += 2;
  }
  return id;
}

std::string Uuid::text() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits[bytes[i] >> 4];
    out += digits[bytes[i] & 15];
  }
  return out;
}

}  // namespace weir

std::size_t std::hash<weir::Uuid>::operator()(const weir::Uuid& id) const noexcept {
  std::uint64_t a, b;
  std::memcpy(&a, id.bytes.data(), 8);
  std::memcpy(&b, id.bytes.data() + 8, 8);
  return a ^ (b * 0x9e3779b97f4a7c15ULL);
}
