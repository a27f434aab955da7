#include "http/print.h"

namespace weir::http {

char* put_decimal(char* out, std::uint64_t number) {
  char digits[20];
  std::size_t at = sizeof digits;
  do digits[--at] = static_cast<char>('0' + number % 10);
  while (number /= 10);
  return put(out, {digits + at, sizeof digits - at});
}

char* put_hex(char* out, std::uint64_t number) {
  char digits[16];
  std::size_t at = sizeof digits;
  do digits[--at] = "0123456789abcdef"[number & 15];
  while (number >>= 4);
  return put(out, {digits + at, sizeof digits - at});
}

char* put_kept(char* out, const Head& head) {
  const auto fields = head.fields();
  for (std::size_t i = 0; i < fields.size();) {
    if (fields[i].drop) {
      i++;
      continue;
    }
    const char* const begin = fields[i].line.data();
    while (i < fields.size() && !fields[i].drop) i++;
    const auto& last = fields[i - 1].line;
    out = put(out, {begin, last.data() + last.size()});
  }
  return out;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    case 511:
      return "Network Authentication Required";
    default:
      return "Unknown";
  }
}

std::string_view DateCache::text(std::time_t now) {
  if (now != printed_) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    // By hand: strftime asks the locale for the names.
    const auto two = [](char* out, int number) {
      out[0] = static_cast<char>('0' + number / 10 % 10);
      out[1] = static_cast<char>('0' + number % 10);
    };
    std::memcpy(text_, "Sun, 06 Nov 1994 08:49:37 GMT", sizeof text_);
    std::memcpy(text_, &"SunMonTueWedThuFriSat"[utc.tm_wday * 3], 3);
    two(text_ + 5, utc.tm_mday);
    std::memcpy(text_ + 8, &"JanFebMarAprMayJunJulAugSepOctNovDec"[utc.tm_mon * 3], 3);
    two(text_ + 12, (utc.tm_year + 1900) / 100);
    two(text_ + 14, utc.tm_year % 100);
    two(text_ + 17, utc.tm_hour);
    two(text_ + 20, utc.tm_min);
    two(text_ + 23, utc.tm_sec);
    printed_ = now;
  }
  return {text_, sizeof text_};
}

}  // namespace weir::http
