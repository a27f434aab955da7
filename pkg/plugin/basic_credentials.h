// Reads "Basic <base64 of user:password>" (RFC 7617) as Kong does.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace weir::plugin {

struct BasicCredentials {
  std::string text;  // "user:password"; the views below are in it
  std::string_view user() const { return std::string_view(text).substr(0, colon); }
  std::string_view password() const { return std::string_view(text).substr(colon + 1); }
  std::size_t colon = 0;
};

// A field's value; nothing when it is of another scheme or malformed. The user is not empty.
std::optional<BasicCredentials> parse_basic(std::string_view authorization);

// Hex of SHA-1 of the password and the consumer's id, as the entity basicauth_credentials keeps it. Compared in a time
// that does not depend on where they differ.
bool is_password(std::string_view given, std::string_view consumer_id, std::string_view stored);

}  // namespace weir::plugin
