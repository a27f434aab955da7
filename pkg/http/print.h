// Prints pieces of heads into a buffer that the caller made large enough: no allocation, no bounds of its own.
//
// Each put returns where it stopped. A head of Head::bytes never grows by put_kept; numbers take at most 20 bytes.
#pragma once
#include <cstdint>
#include <cstring>
#include <ctime>
#include <string_view>

#include "http/head.h"

namespace weir::http {

inline char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_decimal(char* out, std::uint64_t);
char* put_hex(char* out, std::uint64_t);  // lower case, no leading zeros

// The lines of a head that are not dropped, with their CRLFs; neighbours are copied at once.
char* put_kept(char* out, const Head&);

// The standard phrase, or "Unknown".
std::string_view reason_phrase(int status);

// The text for a Date field, "Sun, 06 Nov 1994 08:49:37 GMT", printed anew when the second has changed. One per worker.
class DateCache {
 public:
  std::string_view text(std::time_t now);

 private:
  std::time_t printed_ = -1;
  char text_[29] = {};
};

}  // namespace weir::http
