// Certificates and keys as PEM text: whether they can be read, and fit together. No text of a key is ever repeated.
#pragma once
#include <string>
#include <string_view>

#include "model/formats.h"

namespace weir::model {

Wrong check_certificate(std::string_view pem);     // its first one
Wrong check_key(std::string_view pem);             // a private key without password
Wrong check_ca_certificate(std::string_view pem);  // one only, of an authority

// Of texts that the checks above accept.
bool key_fits(std::string_view certificate, std::string_view key);
bool same_key_type(std::string_view certificate, std::string_view other);
bool has_expired(std::string_view certificate);
std::string certificate_digest(std::string_view certificate);  // SHA-256 of its DER form, in hex

}  // namespace weir::model
