#include "base/log.h"

#include <atomic>
#include <ctime>
#include <string>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json.hpp>

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

// Standard error, opened once more where that makes it non-blocking for us alone: the flag belongs to the open file,
// which other programs share. A regular file is written as it is, at its one position.
int sink() {
  struct stat status{};
  const bool may_stall = fstat(STDERR_FILENO, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode));
  const int fd = may_stall ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
  return fd >= 0 ? fd : STDERR_FILENO;
}

}  // namespace

std::optional<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < std::size(names); i++)
    if (names[i] == text) return static_cast<Level>(i);
  return std::nullopt;
}

std::string_view name(Level l) {
  return names[static_cast<std::size_t>(l)];
}
void set_level(Level l) {
  lowest.store(l, std::memory_order_relaxed);
}
Level level() {
  return lowest.load(std::memory_order_relaxed);
}

void event(Level l, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(l)) return;
  boost::json::object line;
  line["time"] = timestamp();
  line["level"] = name(l);
  line["message"] = message;
  for (const auto& f : fields) std::visit([&](const auto& v) { line[f.name] = v; }, f.value);
  write_line(boost::json::serialize(line) + "\n");
}

void write_line(std::string_view line) {
  static const int fd = sink();
  [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
}

}  // namespace weir::log
