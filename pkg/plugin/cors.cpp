// Tells browsers which pages of other origins may ask. Kong plugin "cors".
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "model/schema_builder.h"
#include "plugin/origins.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

const std::vector<std::string> all_methods{"GET",    "HEAD",    "PUT",   "PATCH",  "POST",
                                           "DELETE", "OPTIONS", "TRACE", "CONNECT"};

struct Config {
  std::optional<std::vector<std::string>> origins, headers, exposed_headers, methods = all_methods;
  std::optional<double> max_age;
  bool credentials = false, private_network = false, preflight_continue = false, allow_origin_absent = true;
};

model::Wrong check_origin(std::string_view text) {
  if (text == "*" || !model::check_regex(text)) return std::nullopt;
  return fmt::format("'{}' is not a valid regex", model::shown(text));
}

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("cors")
          .field("origins", &Config::origins,
                 "Allowed origins: exact ones, regular expressions, or * (as when left out).",
                 each({check(check_origin)}))
          .field("headers", &Config::headers, "Allowed request headers; those that are asked for when left out.",
                 each({check(check_header_value)}))
          .field("exposed_headers", &Config::exposed_headers, "Response headers that the page may read.",
                 each({check(check_header_value)}))
          .field("methods", &Config::methods, "Allowed methods.", each({one_of(all_methods)}))
          .field("max_age", &Config::max_age, "Seconds that the answer to a preflight may be kept.")
          .field("credentials", &Config::credentials, "Whether cookies and Authorization may be sent.")
          .field("private_network", &Config::private_network, "Whether public pages may ask a private network.")
          .field("preflight_continue", &Config::preflight_continue, "Whether the upstream answers preflights.")
          .field("allow_origin_absent", &Config::allow_origin_absent,
                 "Whether answers to requests without Origin carry CORS headers, too.")
          .build();
  return built;
}

std::string joined(const std::optional<std::vector<std::string>>& list) {
  return list ? fmt::format("{}", fmt::join(*list, ",")) : std::string();
}

class Cors : public Plugin {
 public:
  Cors(const Config& config, Origins origins)
      : origins_(std::move(origins)),
        headers_(joined(config.headers)),
        exposed_(joined(config.exposed_headers)),
        methods_(joined(config.methods ? config.methods : all_methods)),
        max_age_(config.max_age ? fmt::format("{}", *config.max_age) : ""),
        credentials_(config.credentials),
        private_network_(config.private_network),
        preflight_continue_(config.preflight_continue),
        allow_origin_absent_(config.allow_origin_absent) {}

  Step access(Exchange& x) const override {
    if (!is_preflight(x) || preflight_continue_) return Step::next;
    allow_origin(x, false);
    if (!headers_.empty())
      x.set_response_header("Access-Control-Allow-Headers", headers_);
    else if (const auto wanted = x.header("access-control-request-headers"))
      x.set_response_header("Access-Control-Allow-Headers", *wanted);
    x.set_response_header("Access-Control-Allow-Methods", methods_);
    if (!max_age_.empty()) x.set_response_header("Access-Control-Max-Age", max_age_);
    if (private_network_ && x.header("access-control-request-private-network") == "true")
      x.set_response_header("Access-Control-Allow-Private-Network", "true");
    x.respond(200, "", "");
    return Step::done;
  }

  void header_filter(Exchange& x) const override {
    if (is_preflight(x)) return;  // complete, or the upstream's
    if (!allow_origin_absent_ && !x.header("origin")) return;
    allow_origin(x, true);
    if (!exposed_.empty()) x.set_response_header("Access-Control-Expose-Headers", exposed_);
  }

 private:
  static bool is_preflight(const Exchange& x) {
    return x.method() == "OPTIONS" && x.header("origin") && x.header("access-control-request-method");
  }

  // Access-Control-Allow-Origin and -Credentials. of_upstream: the response may have fields of its own.
  void allow_origin(Exchange& x, bool of_upstream) const {
    const auto origin = x.header("origin");
    // "*" with credentials is not allowed (Fetch standard): then the origin itself is answered.
    const bool any = origins_.empty() || origins_.any();
    const bool echo = any && credentials_ && origin;
    if (echo || !any) vary(x, of_upstream);
    if (any)
      x.set_response_header("Access-Control-Allow-Origin", echo ? *origin : "*");
    else if (const auto* fixed = origins_.fixed())
      x.set_response_header("Access-Control-Allow-Origin", *fixed);
    else if (const auto given = read_origin(origin.value_or("")); origin && origins_.match(given))
      x.set_response_header("Access-Control-Allow-Origin", given.whole);
    else
      x.remove_response_header("Access-Control-Allow-Origin");
    if (credentials_ && (echo || !any)) x.set_response_header("Access-Control-Allow-Credentials", "true");
  }

  // So that caches keep the answers to different origins apart.
  static void vary(Exchange& x, bool of_upstream) {
    if (of_upstream)
      x.add_response_header("Vary", "Origin");
    else
      x.set_response_header("Vary", "Origin");
  }

  Origins origins_;
  std::string headers_, exposed_, methods_, max_age_;
  bool credentials_, private_network_, preflight_continue_, allow_origin_absent_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& object, const Scope&, Services&) {
  const auto config = declared().read(object);
  auto origins = Origins::parse(config.origins.value_or(std::vector<std::string>{}));
  if (!origins) return std::unexpected(origins.error());
  return std::make_unique<Cors>(config, std::move(*origins));
}

}  // namespace

const Kind& cors() {
  static const Kind kind{.name = "cors",
                         .priority = 2000,
                         .phases = phase_access | phase_header_filter,
                         .consumer_scope = false,
                         .config = []() -> const model::Schema& { return declared().schema; },
                         .make = make};
  return kind;
}

}  // namespace weir::plugin
