// For whoever looks into a running node: /cache, /debug/node/log-level, /timers.
#include <charconv>
#include <cmath>

#include "admin/endpoint.h"
#include "base/log.h"
#include "model/formats.h"

namespace weir::admin {

namespace {

using Done = std::function<void(Answer)>;

Answer show_cached(const Context& context, const Call& call) {
  Answer answer;
  answer.then = [&context, key = call.params[0]](const Done& done) {
    context.node.cached(key, [done](const std::optional<boost::json::value>& value) {
      done(value ? answer_json(200, *value) : not_found());
    });
  };
  return answer;
}

Answer drop_cached(const Context& context, std::optional<std::string> key) {
  Answer answer;
  answer.then = [&context, key = std::move(key)](const Done& done) {
    context.node.drop_cached(key, [done] { done(answer_empty(204)); });
  };
  return answer;
}

// The level of the log, and how it gets back to what it was. Control thread only.
class LogLevel {
 public:
  static Answer show() { return answer_message(200, fmt::format("log level: {}", log::name(log::level()))); }

  Answer change(const Call& call) {
    const auto level = log::parse_level(call.params[0]);
    if (!level) return answer_message(400, fmt::format("unknown log level: {}", model::shown(call.params[0])));
    const auto seconds = read_timeout(call);
    if (!seconds) return answer_message(400, "timeout must be a number greater than or equal to 0");
    if (*level == log::level()) return answer_message(200, fmt::format("log level is already {}", log::name(*level)));
    if (!back_to_) back_to_ = log::level();
    log::set_level(*level);
    timer_.reset();
    if (*seconds == 0 || !call.request.after)
      back_to_.reset();
    else
      timer_ = call.request.after(std::chrono::seconds(*seconds), [this] {
        if (back_to_) log::set_level(*std::exchange(back_to_, std::nullopt));
      });
    return answer_message(200, "log level changed");
  }

 private:
  static constexpr double timeout_max = 1e8;  // s; three years

  static std::optional<std::int64_t> read_timeout(const Call& call) {
    const auto* text = call.arg("timeout");
    if (!text) return 60;
    double seconds = 0;
    const auto [end, failed] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (failed != std::errc() || end != text->data() + text->size() || !(seconds >= 0 && seconds <= timeout_max))
      return std::nullopt;
    return static_cast<std::int64_t>(std::ceil(seconds));
  }

  std::optional<log::Level> back_to_;
  std::shared_ptr<void> timer_;
};

// Kong lists its timers here. What Weir does by the clock is part of its loops, so there are none to list.
Answer show_timers(const Call&) {
  const Object none{{"running", 0}, {"pending", 0}, {"waiting", 0}, {"total", 0}};
  return answer_json(
      200, Object{{"worker", Object{{"id", 0}, {"count", 1}}}, {"stats", Object{{"sys", none}, {"timers", Object{}}}}});
}

}  // namespace

void add_cache(Table& table, const Context& context) {
  table.add("GET", "/cache/{key}",
            on_control({[&context](const Call& call) { return show_cached(context, call); },
                        "What this node keeps of looked-up rows under a key", "", ""}));
  table.add("DELETE", "/cache/{key}",
            on_control({[&context](const Call& call) { return drop_cached(context, call.params[0]); },
                        "Forget a key on this node", "", "", 204}));
  table.add("DELETE", "/cache",
            on_control({[&context](const Call&) { return drop_cached(context, std::nullopt); },
                        "Forget all looked-up rows on this node", "", "", 204}));
}

void add_debug(Table& table, const Context&) {
  const auto level = std::make_shared<LogLevel>();
  table.add("GET", "/debug/node/log-level",
            on_control({[](const Call&) { return LogLevel::show(); }, "How much this node logs", "", "message"}));
  table.add("PUT", "/debug/node/log-level/{level}",
            on_control({[level](const Call& call) { return level->change(call); },
                        "Log more or less for a while",
                        "",
                        "message",
                        200,
                        {"timeout"}}));
  table.add("GET", "/timers", on_control({show_timers, "Timers, of which this node has none to show", "", ""}));
}

}  // namespace weir::admin
