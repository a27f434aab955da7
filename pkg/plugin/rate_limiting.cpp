// Limits how many requests a client may send in a second, minute, ..., year. Kong plugin "rate-limiting".
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "model/schema_builder.h"
#include "plugin/config_rules.h"
#include "plugin/differences.h"
#include "plugin/plugin.h"
#include "plugin/services.h"

namespace weir::plugin {

namespace {

using model::Object;

struct Redis {
  std::optional<std::string> host, username, password, server_name;
  std::optional<std::uint16_t> port = 6379;
  std::optional<std::uint32_t> timeout = 2000, database = 0;
  std::optional<bool> ssl = false, ssl_verify = false;
};

struct Config {
  std::optional<double> second, minute, hour, day, month, year;
  std::string limit_by = "consumer";
  std::optional<std::string> header_name, path;
  std::string policy = "local";
  bool fault_tolerant = true;
  Redis redis;
  bool hide_client_headers = false;
  std::optional<int> error_code = 429;
  std::optional<std::string> error_message = "API rate limit exceeded";
  double sync_rate = -1;
};

}  // namespace
}  // namespace weir::plugin

namespace weir::model {

template <>
const Members<weir::plugin::Redis>& members<weir::plugin::Redis>() {
  using weir::plugin::Redis;
  const auto no_tls = "connections to Redis are not encrypted";
  static const auto built =
      Members<Redis>()
          .field("host", &Redis::host, "The server's host name or address.", check(check_host))
          .field("port", &Redis::port, "The server's port.", between(0, 65535))
          .field("timeout", &Redis::timeout, "Milliseconds to connect, and for each answer.", between(0, 2147483646))
          .field("username", &Redis::username, "Whom to log in as; needs an ACL of Redis 6.", referenceable(),
                 check(plugin::check_no_reference))
          .field("password", &Redis::password, "The password to log in with.", referenceable(), encrypted(),
                 check(plugin::check_no_reference))
          .field("database", &Redis::database, "The number of the database.", between(0, 65535))
          .field("ssl", &Redis::ssl, "Whether the connection is encrypted.", supports_only({false}, no_tls))
          .field("ssl_verify", &Redis::ssl_verify, "Whether the server's certificate is verified.",
                 supports_only({false}, no_tls))
          .field("server_name", &Redis::server_name, "The server's name in TLS.", check(check_sni),
                 supports_only({}, no_tls));
  return built;
}

}  // namespace weir::model

namespace weir::plugin {
namespace {

constexpr std::size_t identifier_max = 256;  // bytes, in shared counters
constexpr std::string_view nil_id = "00000000-0000-0000-0000-000000000000";

// ---- configuration ----

const std::vector<std::string>& period_names() {
  static const std::vector<std::string> names{"second", "minute", "hour", "day", "month", "year"};
  return names;
}

std::optional<double> number_of(const Object& config, std::string_view field) {
  const auto& value = model::value_of(config, field);
  if (!value.is_number()) return {};
  return value.to_number<double>();
}

// Kong's checks, in Kong's order; one message at most.
model::CrossRule sound_limits() {
  Object described{{"at_least_one_of", boost::json::array{"config.second", "config.minute", "config.hour", "config.day",
                                                          "config.month", "config.year"}}};
  return {std::move(described), [](const Object& config, Object&, std::vector<std::string>& messages) {
            const auto& names = period_names();
            std::size_t given = 0;
            for (std::size_t i = 0; i < names.size(); ++i) {
              const auto lower = number_of(config, names[i]);
              if (!lower) continue;
              ++given;
              for (std::size_t j = i + 1; j < names.size(); ++j)
                if (const auto upper = number_of(config, names[j]); upper && *upper < *lower)
                  return messages.push_back(
                      fmt::format("The limit for {}({:.1f}) cannot be lower than the limit for {}({:.1f})", names[j],
                                  *upper, names[i], *lower));
            }
            if (given == 0)
              messages.push_back(
                  "at least one of these fields must be non-empty: 'config.second', 'config.minute', 'config.hour', "
                  "'config.day', 'config.month', 'config.year'");
          }};
}

model::CrossRule sound_sync_rate() {
  return {{}, [](const Object& config, Object& faults, std::vector<std::string>&) {
            const auto rate = number_of(config, "sync_rate").value_or(-1);
            if (rate == -1) return;
            if (model::text_of(model::value_of(config, "policy")) != "redis")
              faults["sync_rate"] = "sync_rate can only be used with a redis policy";
            else if (rate < 0.02)
              faults["sync_rate"] = "sync_rate must not be less than 0.02";
          }};
}

model::CrossRule redis_is_named() {
  return {{}, [](const Object& config, Object& faults, std::vector<std::string>& messages) {
            if (model::text_of(model::value_of(config, "policy")) != "redis") return;
            const auto* redis = model::value_of(config, "redis").if_object();
            Object missing;
            for (const auto name : {"host", "port", "timeout"}) {
              if (redis && !model::value_of(*redis, name).is_null()) continue;
              missing[name] = "required field missing";
              messages.push_back("failed conditional validation given value of field 'config.policy'");
            }
            if (missing.empty()) return;
            auto& slot = faults["redis"];
            if (!slot.is_object()) slot = Object();
            for (auto& pair : missing) slot.get_object().emplace(pair.key(), pair.value());
          }};
}

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built = [] {
    SchemaBuilder<Config> schema("rate-limiting");
    schema.field("second", &Config::second, "Requests per second.", greater_than(0))
        .field("minute", &Config::minute, "Requests per minute.", greater_than(0))
        .field("hour", &Config::hour, "Requests per hour.", greater_than(0))
        .field("day", &Config::day, "Requests per day.", greater_than(0))
        .field("month", &Config::month, "Requests per month.", greater_than(0))
        .field("year", &Config::year, "Requests per year.", greater_than(0))
        .field("limit_by", &Config::limit_by,
               "Whose requests are counted together; the client's address where this is not known.",
               one_of({"consumer", "credential", "ip", "service", "header", "path"}))
        .field("header_name", &Config::header_name, "The header to limit by.", check(check_header_name))
        .field("path", &Config::path, "The path to limit by.", check(check_path))
        .field("policy", &Config::policy, "Where the counts are: on each node, in the database, or in Redis.",
               one_of({"local", "cluster", "redis"}))
        .field("fault_tolerant", &Config::fault_tolerant, "Whether requests pass while the counts cannot be reached.")
        .field("redis", &Config::redis, "The Redis server.")
        .field("hide_client_headers", &Config::hide_client_headers, "Whether to tell clients nothing of their limits.")
        .field("error_code", &Config::error_code, "The status of a refused request.", greater_than(0),
               between(100, 599))
        .field("error_message", &Config::error_message, "The message of a refused request.")
        .field("sync_rate", &Config::sync_rate,
               "Seconds between exchanges of counts with Redis; -1: each request is counted there.")
        .rule(sound_limits())
        .rule(redis_is_named())
        .rule(required_when("limit_by", "header", "header_name"))
        .rule(required_when("limit_by", "path", "path"))
        .rule(sound_sync_rate());
    for (const auto name :
         {"host", "port", "password", "username", "ssl", "ssl_verify", "server_name", "timeout", "database"})
      schema.deprecated(fmt::format("redis_{}", name), {"redis", name});
    return schema.build();
  }();
  return built;
}

// ---- data path ----

struct Names {
  std::string_view limit, remaining;
  std::uint64_t seconds;  // as Kong reckons RateLimit-Reset
};
constexpr std::array<Names, period_count> names{{
    {"X-RateLimit-Limit-Second", "X-RateLimit-Remaining-Second", 1},
    {"X-RateLimit-Limit-Minute", "X-RateLimit-Remaining-Minute", 60},
    {"X-RateLimit-Limit-Hour", "X-RateLimit-Remaining-Hour", 3600},
    {"X-RateLimit-Limit-Day", "X-RateLimit-Remaining-Day", 86'400},
    {"X-RateLimit-Limit-Month", "X-RateLimit-Remaining-Month", 2'592'000},
    {"X-RateLimit-Limit-Year", "X-RateLimit-Remaining-Year", 31'536'000},
}};

std::string_view text_in(std::array<char, 32>& buffer, double value) {
  const auto end = fmt::format_to_n(buffer.data(), buffer.size(), "{:.14g}", value);
  return {buffer.data(), std::min(end.size, buffer.size())};
}

std::string_view id_of(const Object* entity) {
  return entity ? model::text_of(model::value_of(*entity, "id")) : std::string_view();
}

class RateLimiting : public Plugin {
 public:
  RateLimiting(Config config, const Scope& scope, Limits& limits, std::shared_ptr<Counters> counters)
      : config_(std::move(config)),
        header_(text::lower(config_.header_name.value_or(""))),
        id_(scope.id),
        service_(scope.service ? scope.service->text() : nil_id),
        route_(scope.route ? scope.route->text() : nil_id),
        counts_(limits),
        counters_(std::move(counters)) {
    const std::array given{config_.second, config_.minute, config_.hour, config_.day, config_.month, config_.year};
    Differences::Scope pushed{scope.id, service_, route_, {}};
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (!given[i]) continue;
      const auto period = static_cast<Period>(i);
      // Half a request is one: Kong refuses when nothing is left of the limit.
      limits_.push_back({period, static_cast<std::uint64_t>(std::min(std::ceil(*given[i]), 9e18))});
      numbers_.push_back(*given[i]);
      pushed.periods.push_back(period);
    }
    if (config_.sync_rate > 0)
      differences_ = std::make_unique<Differences>(
          std::move(pushed), counters_, limits,
          std::chrono::milliseconds(static_cast<std::int64_t>(std::min(config_.sync_rate, 1e9) * 1000)));
  }

  Step access(Exchange& x) const override {
    std::string owned;
    auto identifier = identify(x, owned);
    if (!counters_) return count_here(x, identifier);
    // What a client may choose (a header) becomes a key elsewhere: one that a database would refuse, because of its
    // bytes or its length, must not spoil the counts of others.
    if (identifier.size() > identifier_max || !model::is_text(identifier))
      identifier = owned = Uuid::from_name(Uuid{}, identifier).text();
    return differences_ ? count_here(x, identifier) : count_elsewhere(x, identifier);
  }

 private:
  struct Asked {  // the answer of the shared counters
    std::shared_ptr<const Counted> counted;
    std::uint64_t at_ms = 0;  // when it was asked: its windows are those of that moment
  };

  std::string_view identify(const Exchange& x, std::string& owned) const {
    std::string_view out;
    if (config_.limit_by == "consumer") {
      out = id_of(x.consumer());
      if (out.empty()) out = id_of(x.credential());
    } else if (config_.limit_by == "credential") {
      out = id_of(x.credential());
    } else if (config_.limit_by == "service") {
      if (const auto* service = x.service()) out = owned = service->id.text();
    } else if (config_.limit_by == "header") {
      if (const auto value = x.header(header_)) return *value;
    } else if (config_.limit_by == "path") {
      if (x.path() == config_.path) out = x.path();
    }
    return out.empty() ? x.client_ip() : out;
  }

  Step count_here(Exchange& x, std::string_view identifier) const {
    const auto now = x.now_ms();
    const auto taken = counts_.take(id_, identifier, limits_, now);
    if (taken.counted && differences_) differences_->counted(identifier, now);
    return judge(x, taken.before, now);
  }

  Step count_elsewhere(Exchange& x, std::string_view identifier) const {
    std::array<std::uint64_t, period_count> before{};
    const auto now = x.now_ms();
    bool used_up = false;
    // What is known is looked at on the first call only: an answer that comes later counts, whatever others learn.
    const auto* asked = static_cast<const Asked*>(x.ask(this, [&](const Exchange::Resume& resume) {
      used_up = known_to_be_used_up(identifier, now, before);
      if (used_up) return resume(std::make_shared<const Asked>());
      counters_->add(windows(identifier, now), 1, [resume, now](std::shared_ptr<const Counted> counted) {
        resume(std::make_shared<const Asked>(Asked{std::move(counted), now}));
      });
    }));
    if (used_up) return judge(x, before, now);
    if (!asked) return Step::wait;
    if (!asked->counted->ok) {
      if (config_.fault_tolerant) return Step::next;
      x.error(500, "An unexpected error occurred");
      return Step::done;
    }
    std::ranges::copy(asked->counted->before, before.begin());
    remember(identifier, before, asked->at_ms);
    return judge(x, before, asked->at_ms);
  }

  std::vector<Window> windows(std::string_view identifier, std::uint64_t now) const {
    std::vector<Window> out;
    out.reserve(limits_.size());
    for (const auto& limit : limits_) {
      const auto window = window_at(limit.period, now);
      out.push_back({std::string(identifier), std::string(name(limit.period)), window.start_ms, window.seconds,
                     service_, route_, limit.max});
    }
    return out;
  }

  bool known_to_be_used_up(std::string_view identifier, std::uint64_t now,
                           std::array<std::uint64_t, period_count>& before) const {
    bool out = false;
    for (std::size_t i = 0; i < limits_.size(); ++i) {
      before[i] = counts_.count(id_, identifier, limits_[i].period, now);
      out = out || before[i] >= limits_[i].max;
    }
    return out;
  }

  // Once a window is used up, it is so until it ends: the next ones are refused without asking.
  void remember(std::string_view identifier, const std::array<std::uint64_t, period_count>& before,
                std::uint64_t now) const {
    bool refused = false, used_up = false;
    for (std::size_t i = 0; i < limits_.size(); ++i) {
      refused = refused || before[i] >= limits_[i].max;
      used_up = used_up || before[i] + 1 >= limits_[i].max;
    }
    if (!used_up) return;
    for (std::size_t i = 0; i < limits_.size(); ++i)
      counts_.raise(id_, identifier, limits_[i].period, before[i] + (refused ? 0 : 1), now);
  }

  // Tells the client about its limits, and refuses it when one is used up. before: counts without this request.
  Step judge(Exchange& x, const std::array<std::uint64_t, period_count>& before, std::uint64_t now) const {
    std::size_t stop = limits_.size();
    for (std::size_t i = 0; i < limits_.size(); ++i)
      if (before[i] >= limits_[i].max) stop = i;
    const bool refused = stop < limits_.size();
    if (!config_.hide_client_headers) tell(x, before, refused, stop, now);
    if (!refused) return Step::next;
    x.error(config_.error_code.value_or(429), config_.error_message.value_or("API rate limit exceeded"));
    return Step::done;
  }

  // The tightest window is the one with the fewest requests left; of several, the longest.
  void tell(Exchange& x, const std::array<std::uint64_t, period_count>& before, bool refused, std::size_t stop,
            std::uint64_t now) const {
    std::array<char, 32> buffer;
    std::size_t tightest = 0;
    double least = 0;
    for (std::size_t i = 0; i < limits_.size(); ++i) {
      double left = numbers_[i] - static_cast<double>(before[i]);
      if (!refused || i == stop) left -= 1;
      left = std::max(0.0, left);
      if (i == 0 || left <= least) tightest = i, least = left;
      const auto& name = names[static_cast<std::size_t>(limits_[i].period)];
      x.set_response_header(name.limit, text_in(buffer, numbers_[i]));
      x.set_response_header(name.remaining, text_in(buffer, left));
    }
    const auto period = limits_[tightest].period;
    const auto gone = (now - window_at(period, now).start_ms) / 1000;
    const auto length = names[static_cast<std::size_t>(period)].seconds;
    const auto reset = static_cast<double>(length > gone ? length - gone : 1);
    x.set_response_header("RateLimit-Limit", text_in(buffer, numbers_[tightest]));
    x.set_response_header("RateLimit-Remaining", text_in(buffer, least));
    x.set_response_header("RateLimit-Reset", text_in(buffer, reset));
    if (refused) x.set_response_header("Retry-After", text_in(buffer, reset));
  }

  const Config config_;
  const std::string header_;
  const Uuid id_;
  const std::string service_, route_;
  std::vector<Limit> limits_;    // by rising period
  std::vector<double> numbers_;  // of limits_, as configured
  Limits& counts_;
  const std::shared_ptr<Counters> counters_;  // null: policy local
  std::unique_ptr<Differences> differences_;  // with a sync_rate
};

Result<std::unique_ptr<const Plugin>> make(const Object& object, const Scope& scope, Services& services) {
  auto config = declared().read(object);
  std::shared_ptr<Counters> counters;
  if (config.policy == "cluster") {
    if (!services.cluster) return fail("policy 'cluster' needs a PostgreSQL database; use policy 'local' or 'redis'");
    counters = services.cluster;
  } else if (config.policy == "redis") {
    const auto& redis = config.redis;
    if (!redis.host) return fail("policy 'redis' needs redis.host");
    counters =
        services.redis.at({*redis.host, redis.port.value_or(6379), redis.timeout.value_or(2000),
                           redis.username.value_or(""), redis.password.value_or(""), redis.database.value_or(0)});
  }
  return std::make_unique<const RateLimiting>(std::move(config), scope, services.limits, std::move(counters));
}

}  // namespace

const Kind& rate_limiting() {
  static const Kind kind{
      "rate-limiting", 910, phase_access, true, [] -> const model::Schema& { return declared().schema; }, make};
  return kind;
}

}  // namespace weir::plugin
