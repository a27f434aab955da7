// Refuses requests with too large a body. Kong plugin "request-size-limiting".
#include <algorithm>
#include <limits>
#include <string>

#include "model/schema_builder.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::int64_t allowed_payload_size = 128;
  std::string size_unit = "megabytes";
  bool require_content_length = false;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built = SchemaBuilder<Config>("request-size-limiting")
                                .field("allowed_payload_size", &Config::allowed_payload_size,
                                       "The largest body, in the unit of size_unit.", nullable())
                                .field("size_unit", &Config::size_unit, "The unit of allowed_payload_size.",
                                       one_of({"megabytes", "kilobytes", "bytes"}))
                                .field("require_content_length", &Config::require_content_length,
                                       "Whether requests without Content-Length are refused with 411.")
                                .build();
  return built;
}

std::int64_t bytes_of(const Config& config) {
  const std::int64_t unit = config.size_unit == "megabytes" ? 1 << 20 : config.size_unit == "kilobytes" ? 1 << 10 : 1;
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  return config.allowed_payload_size > most / unit ? most
                                                   : std::max<std::int64_t>(config.allowed_payload_size, -1) * unit;
}

constexpr std::string_view too_large = "Request size limit exceeded";

class RequestSizeLimiting : public Plugin {
 public:
  explicit RequestSizeLimiting(const Config& config)
      : allowed_(bytes_of(config)), require_length_(config.require_content_length) {}

  Step access(Exchange& x) const override {
    const int status = x.expects_continue() ? 417 : 413;
    if (const auto length = x.content_length()) {
      if (allowed_ >= 0 && *length <= static_cast<std::uint64_t>(allowed_)) return Step::next;
      x.error(status, too_large);
      return Step::done;
    }
    if (require_length_) {
      x.error(411, "A valid Content-Length header is required");
      return Step::done;
    }
    if (x.has_body()) x.limit_body(static_cast<std::uint64_t>(std::max<std::int64_t>(allowed_, 0)), status, too_large);
    return Step::next;
  }

 private:
  std::int64_t allowed_;  // negative: no body at all, as in Kong
  bool require_length_;
};

}  // namespace

const Kind& request_size_limiting() {
  static const Kind kind{
      .name = "request-size-limiting",
      .priority = 951,
      .phases = phase_access,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<RequestSizeLimiting>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
