#include "base/log.h"

#include <atomic>
#include <ctime>
#include <string>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace weir::log {
namespace {

std::atomic<Level> lowest{Level::notice};
constexpr std::string_view names[] = {"debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"};

std::string timestamp() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  std::tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec / 1'000'000);
}

}  // namespace

std::optional<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < std::size(names); i++)
    if (names[i] == text) return static_cast<Level>(i);
  return std::nullopt;
}

std::string_view name(Level l) { return names[static_cast<std::size_t>(l)]; }
void set_level(Level l) { lowest.store(l, std::memory_order_relaxed); }
Level level() { return lowest.load(std::memory_order_relaxed); }

void event(Level l, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(l)) return;
  boost::json::object line;
  line["time"] = timestamp();
  line["level"] = name(l);
  line["message"] = message;
  for (const auto& f : fields) std::visit([&](const auto& v) { line[f.name] = v; }, f.value);
  const std::string text = boost::json::serialize(line) + "\n";
  // A full pipe must never stop a thread for ever or end the process: a line that cannot be written is lost.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace weir::log
