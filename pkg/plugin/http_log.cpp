// Sends a JSON object for each request, or batches of them, to an HTTP server. Kong plugin "http-log".
#include <cmath>
#include <map>

#include <boost/url.hpp>

#include "base/log.h"
#include "base/text.h"
#include "model/schema_builder.h"
#include "plugin/config_rules.h"
#include "plugin/log_record.h"
#include "plugin/plugin.h"
#include "plugin/services.h"

namespace weir::plugin {
namespace {

using Headers = std::map<std::string, std::string>;

struct QueueConfig {  // seconds, as Kong has them
  std::int64_t max_batch_size = 1;
  double max_coalescing_delay = 1;
  std::int64_t max_entries = 10'000;
  std::optional<std::int64_t> max_bytes;
  double initial_retry_delay = 0.01, max_retry_time = 60, max_retry_delay = 60;
  std::optional<std::int64_t> concurrency_limit = 1;
};

struct Config {
  std::string http_endpoint, method = "POST", content_type = "application/json";
  std::optional<std::int64_t> timeout = 10'000, keepalive = 60'000;
  std::optional<std::int64_t> retry_count, queue_size;
  std::optional<double> flush_timeout;
  std::optional<Headers> headers;
  QueueConfig queue;
  std::optional<std::map<std::string, std::string>> custom_fields_by_lua;
};

}  // namespace
}  // namespace weir::plugin

namespace weir::model {

template <>
const Members<weir::plugin::QueueConfig>& members<weir::plugin::QueueConfig>() {
  using weir::plugin::QueueConfig;
  static const auto built =
      Members<QueueConfig>()
          .field("max_batch_size", &QueueConfig::max_batch_size, "Most entries in one request.", between(1, 1'000'000))
          .field("max_coalescing_delay", &QueueConfig::max_coalescing_delay,
                 "Seconds that an entry waits for others to be sent with.", between(0, 3600))
          .field("max_entries", &QueueConfig::max_entries, "Most entries that wait; the oldest give way.",
                 between(1, 1'000'000))
          .field("max_bytes", &QueueConfig::max_bytes, "Most bytes that wait.", between(1, 1e15))
          .field("initial_retry_delay", &QueueConfig::initial_retry_delay,
                 "Seconds until a batch that was not taken is tried again; doubled each time.", between(0.001, 1e6))
          .field("max_retry_time", &QueueConfig::max_retry_time, "Seconds until a batch that is not taken is given up.",
                 between(0, 1e6))
          .field("max_retry_delay", &QueueConfig::max_retry_delay, "Most seconds between two tries.",
                 between(0.001, 1e6))
          .field("concurrency_limit", &QueueConfig::concurrency_limit, "1: one request at a time; -1: several.",
                 check_value([](const boost::json::value& value) -> Wrong {
                   const auto* number = value.if_int64();
                   if (number && (*number == 1 || *number == -1)) return {};
                   return "expected one of: -1, 1";
                 }));
  return built;
}

}  // namespace weir::model

namespace weir::plugin {
namespace {

using std::chrono::milliseconds;

model::Wrong check_endpoint(std::string_view text) {
  if (auto reference = check_no_reference(text)) return reference;
  const auto url = boost::urls::parse_uri(text);
  if (!url || url->scheme().empty()) return "missing scheme in url";
  if (url->host().empty()) return "missing host in url";
  if (url->scheme() != "http" && url->scheme() != "https") return "scheme must be http or https";
  return {};
}

model::Wrong check_log_header(std::string_view name) {
  for (const std::string_view taken : {"Host", "Content-Length", "Content-Type"})
    if (text::equal_ignoring_case(name, taken)) return fmt::format("cannot contain '{}' header", taken);
  return {};
}

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("http-log")
          .field("http_endpoint", &Config::http_endpoint, "Where to send it; user and password go into Authorization.",
                 referenceable(), encrypted(), check(check_endpoint))
          .field("method", &Config::method, "The request's method.", one_of({"POST", "PUT", "PATCH"}))
          .field("content_type", &Config::content_type, "The request's Content-Type.",
                 one_of({"application/json", "application/json; charset=utf-8"}))
          .field("timeout", &Config::timeout, "Milliseconds that a request may take.", between(1, 2147483646))
          .field("keepalive", &Config::keepalive, "Milliseconds that an idle connection is kept.",
                 between(0, 2147483646))
          .field("retry_count", &Config::retry_count, "Has no effect any more; see queue.max_retry_time.")
          .field("queue_size", &Config::queue_size, "Old name of queue.max_batch_size.", between(1, 1'000'000))
          .field("flush_timeout", &Config::flush_timeout, "Old name of queue.max_coalescing_delay.", between(0, 3600))
          .field("headers", &Config::headers, "Further headers of the request.",
                 keys({check(check_header_name), check(check_log_header)}),
                 values({referenceable(), check(check_header_value), check(check_no_reference)}))
          .field("queue", &Config::queue, "How entries wait.")
          .field("custom_fields_by_lua", &Config::custom_fields_by_lua, "Lua that changes the log.", no_lua())
          .build();
  return built;
}

milliseconds in_ms(double seconds) {
  return milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000)));
}

class HttpLog : public Plugin {
 public:
  explicit HttpLog(std::shared_ptr<Outbox::Queue> queue) : queue_(std::move(queue)) {}

  void log(Exchange& x) const override {
    std::string entry;
    entry.reserve(2048);
    print_log_record(entry, x);
    queue_->add(std::move(entry));
  }

 private:
  const std::shared_ptr<Outbox::Queue> queue_;
};

// User and password are taken out of the URL: what remains may be repeated in a message.
Result<Delivery> delivery_of(const Config& config, const Scope& scope) {
  auto parsed = boost::urls::parse_uri(config.http_endpoint);
  if (!parsed) return fail("http_endpoint is no URL");
  Delivery out;
  boost::urls::url url(*parsed);
  out.username = url.user();
  out.password = url.password();
  url.remove_userinfo();
  url.remove_fragment();
  out.name = scope.name.empty() ? scope.id.text() : scope.name;
  out.url = url.buffer();
  out.method = config.method;
  out.content_type = config.content_type;
  for (const auto& [name, value] : config.headers.value_or(Headers{}))
    out.headers.push_back(fmt::format("{}: {}", name, value));
  out.timeout = milliseconds(config.timeout.value_or(10'000));
  out.keepalive = milliseconds(config.keepalive.value_or(60'000));
  const auto& queue = config.queue;
  // Kong: an old name counts when it has another value than its default of old.
  const bool old_size = config.queue_size && *config.queue_size != 1;
  const bool old_delay = config.flush_timeout && *config.flush_timeout != 2;
  out.batch_max = static_cast<std::size_t>(old_size ? *config.queue_size : queue.max_batch_size);
  out.coalescing = in_ms(old_delay ? *config.flush_timeout : queue.max_coalescing_delay);
  out.entries_max = static_cast<std::size_t>(queue.max_entries);
  if (queue.max_bytes) out.bytes_max = static_cast<std::size_t>(*queue.max_bytes);
  out.retry_time_max = in_ms(queue.max_retry_time);
  out.first_retry_delay = in_ms(queue.initial_retry_delay);
  out.retry_delay_max = in_ms(queue.max_retry_delay);
  out.one_at_a_time = queue.concurrency_limit != -1;
  return out;
}

Result<std::unique_ptr<const Plugin>> make(const model::Object& object, const Scope& scope, Services& services) {
  auto delivery = delivery_of(declared().read(object), scope);
  if (!delivery) return std::unexpected(std::move(delivery.error()));
  return std::make_unique<const HttpLog>(services.outbox.open(scope.id, std::move(*delivery)));
}

}  // namespace

const Kind& http_log() {
  static const Kind kind{"http-log", 12, phase_log, true, [] -> const model::Schema& { return declared().schema; },
                         make};
  return kind;
}

}  // namespace weir::plugin
