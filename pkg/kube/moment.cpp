#include "kube/moment.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace weir::kube {

std::string print_micro_time(Moment moment) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(moment.time_since_epoch()).count();
  const auto seconds = static_cast<std::time_t>(micros / 1'000'000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, micros % 1'000'000);
}

std::optional<Moment> parse_time(std::string_view text) {
  const auto number = [&](std::size_t at, std::size_t count) {
    int out = -1;
    if (at + count > text.size()) return out;
    const auto* end = text.data() + at + count;
    const auto [stopped, error] = std::from_chars(text.data() + at, end, out);
    return error == std::errc{} && stopped == end && out >= 0 ? out : -1;
  };
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  std::tm utc{};
  const int year = number(0, 4), month = number(5, 2);
  utc.tm_mday = number(8, 2), utc.tm_hour = number(11, 2), utc.tm_min = number(14, 2), utc.tm_sec = number(17, 2);
  if (year < 1970 || month < 1 || month > 12 || utc.tm_mday < 1 || utc.tm_mday > 31 || utc.tm_hour < 0 ||
      utc.tm_hour > 23 || utc.tm_min < 0 || utc.tm_min > 59 || utc.tm_sec < 0 || utc.tm_sec > 60)
    return std::nullopt;
  // Nanoseconds in 64 bits end in the year 2262; what lies so far ahead is "never" for us.
  utc.tm_year = std::min(year, 2200) - 1900, utc.tm_mon = month - 1;

  std::size_t at = 19;
  std::int64_t micros = 0;
  if (text[at] == '.') {
    std::int64_t scale = 100'000;
    for (at++; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++, scale /= 10)
      micros += (text[at] - '0') * scale;
  }
  int offset = 0;
  const auto zone = text.substr(at);
  if (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':') {
    const int hours = number(at + 1, 2), minutes = number(at + 4, 2);
    if (hours < 0 || minutes < 0) return std::nullopt;
    offset = (zone[0] == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  } else if (zone != "Z" && zone != "z") {
    return std::nullopt;
  }
  return Moment(std::chrono::seconds(timegm(&utc) - offset) + std::chrono::microseconds(micros));
}

}  // namespace weir::kube
