// Structured log: one event, one line of JSON, on stderr.
//
// A line is one write(2), so lines of several threads never mix. Values are escaped, so hostile bytes cannot forge a
// line. Never pass a secret. Any thread may call; the data path logs only what was asked for.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace weir::log {

// Kong's log_level values, from verbose to silent.
enum class Level : std::uint8_t { debug, info, notice, warn, error, crit, alert, emerg };

std::optional<Level> parse_level(std::string_view text);
std::string_view name(Level);

// Lines below this level are dropped. Default: notice.
void set_level(Level);
Level level();
inline bool enabled(Level l) {
  return l >= level();
}

struct Field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  Field(std::string_view n, std::string_view v) : name(n), value(v) {}
  Field(std::string_view n, const char* v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, const std::string& v) : name(n), value(std::string_view(v)) {}
  Field(std::string_view n, double v) : name(n), value(v) {}
  Field(std::string_view n, bool v) : name(n), value(v) {}
  template <class Int>
    requires std::is_integral_v<Int>
  Field(std::string_view n, Int v) : name(n), value(static_cast<std::int64_t>(v)) {}
};

// Writes a finished line, newline included. Never waits: where standard error is a pipe or a terminal that takes no
// more, the line is lost, not the thread.
void write_line(std::string_view line);

// message: a fixed sentence about what happened; what varies goes into the fields.
void event(Level, std::string_view message, std::initializer_list<Field> fields = {});

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::debug, m, f);
}
inline void info(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::info, m, f);
}
inline void notice(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::notice, m, f);
}
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::warn, m, f);
}
inline void error(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::error, m, f);
}
inline void crit(std::string_view m, std::initializer_list<Field> f = {}) {
  event(Level::crit, m, f);
}

}  // namespace weir::log
