// Answers instead of the upstream. Kong plugin "request-termination".
#include <array>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>
#include <boost/json.hpp>

#include "base/text.h"
#include "model/formats.h"
#include "model/schema_builder.h"
#include "plugin/body_args.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

namespace json = boost::json;

struct Config {
  std::optional<std::int64_t> status_code = 503;
  std::optional<std::string> message, content_type, body;
  bool echo = false;
  std::optional<std::string> trigger;
};

constexpr std::string_view json_type = "application/json; charset=utf-8";

// What must not be given together.
model::CrossRule together() {
  model::CrossRule rule;
  rule.check = [](const model::Object& config, model::Object&, std::vector<std::string>& wrong) {
    const auto given = [&](std::string_view name) { return model::is_given(model::value_of(config, name)); };
    const auto& echo = model::value_of(config, "echo");
    if (given("message") && (given("content_type") || given("body")))
      wrong.emplace_back("message cannot be used with content_type or body");
    else if (given("content_type") && !given("body"))
      wrong.emplace_back("content_type requires a body");
    else if (echo.is_bool() && echo.get_bool() && (given("content_type") || given("body")))
      wrong.emplace_back("echo cannot be used with content_type and body");
  };
  return rule;
}

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("request-termination")
          .field("status_code", &Config::status_code, "The answer's status.", between(100, 599))
          .field("message", &Config::message, "The answer's message; one that fits the status when left out.")
          .field("content_type", &Config::content_type, "Content-Type of body; that of JSON when left out.",
                 check(check_header_value))
          .field("body", &Config::body, "The answer's body as it is sent.")
          .field("echo", &Config::echo, "Whether the answer shows the request and what it matched, to find faults.")
          .field("trigger", &Config::trigger,
                 "Answers only requests with this header or query argument; all when left out.",
                 check(check_header_name))
          .rule(together())
          .build();
  return built;
}

std::string_view default_message(int status) {
  static constexpr std::array<std::pair<int, std::string_view>, 6> messages{{{401, "Unauthorized"},
                                                                             {404, "Not found"},
                                                                             {405, "Method not allowed"},
                                                                             {500, "An unexpected error occurred"},
                                                                             {502, "Bad Gateway"},
                                                                             {503, "Service unavailable"}}};
  for (const auto& [known, message] : messages)
    if (known == status) return message;
  return {};
}

json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value() : json::value(text);
}

// Repeated names become lists, as Kong shows them. What is not text is left out: JSON could not carry it.
void add(json::object& to, std::string_view name, json::value value) {
  if (!model::is_text(name) || (value.is_string() && !model::is_text(value.get_string()))) return;
  auto* there = to.if_contains(name);
  if (!there) {
    to.emplace(name, std::move(value));
  } else if (there->is_array()) {
    there->get_array().push_back(std::move(value));
  } else {
    *there = json::array{std::move(*there), std::move(value)};
  }
}

json::object args_of(std::string_view encoded) {
  json::object out;
  each_arg(encoded, [&](std::string_view name, std::optional<std::string_view> value) {
    add(out, name, value ? json::value(*value) : json::value(true));
  });
  return out;
}

class RequestTermination : public Plugin {
 public:
  explicit RequestTermination(const Config& config)
      : status_(static_cast<int>(config.status_code.value_or(503))),
        message_(config.message.value_or(std::string(default_message(status_)))),
        echo_(config.echo),
        trigger_(config.trigger),
        lower_trigger_(text::lower(config.trigger.value_or(""))) {
    char name[256] = {};
    if (::gethostname(name, sizeof name - 1) == 0) hostname_ = name;
    if (config.body) {
      type_ = config.content_type.value_or(std::string(json_type));
      body_ = *config.body;
    } else if (!message_.empty()) {
      type_ = json_type;
      body_ = json::serialize(json::object{{"message", message_}});
    }
  }

  Step access(Exchange& x) const override {
    if (trigger_ && !x.header(lower_trigger_)) {
      std::string scratch;
      if (find_arg(x.raw_query(), *trigger_, scratch).state == Arg::absent) return Step::next;
    }
    if (!echo_) {
      x.respond(status_, type_, body_);
      return Step::done;
    }
    const Exchange::Body* body = nullptr;
    if (x.has_body() && !(body = x.body())) return Step::wait;
    x.respond(status_, json_type, json::serialize(describe(x, body ? body->bytes : std::string_view())));
    return Step::done;
  }

 private:
  json::object describe(const Exchange& x, std::string_view body) const {
    json::object headers;
    x.each_header([&](std::string_view name, std::string_view value) {
      add(headers, text::lower(name), json::value(value));
      return false;
    });
    json::object request{{"scheme", x.scheme()},           {"host", x.host()}, {"port", x.port()},
                         {"method", x.method()},           {"path", x.path()}, {"headers", std::move(headers)},
                         {"query", args_of(x.raw_query())}};
    if (model::is_text(body)) request["raw_body"] = text_or_null(body);
    if (auto parsed = parsed_body(x, body); !parsed.is_null()) request["body"] = std::move(parsed);
    json::object out{{"message", text_or_null(message_)},
                     {"kong", {{"worker_pid", ::getpid()}, {"hostname", hostname_}}},
                     {"request", std::move(request)}};
    if (const auto* route = x.route())
      out["matched_route"] = json::object{{"id", route->id.text()}, {"name", text_or_null(route->name)}};
    if (const auto* service = x.service()) out["matched_service"] = show(*service);
    return out;
  }

  static json::value show(const ServiceView& service) {
    return json::object{{"id", service.id.text()},
                        {"name", text_or_null(service.name)},
                        {"protocol", service.protocol},
                        {"host", service.host},
                        {"port", service.port},
                        {"path", text_or_null(service.path)},
                        {"retries", service.retries},
                        {"connect_timeout", service.connect_timeout},
                        {"write_timeout", service.write_timeout},
                        {"read_timeout", service.read_timeout}};
  }

  static json::value parsed_body(const Exchange& x, std::string_view body) {
    const auto form = body_form(x.header("content-type").value_or(""));
    if (form.kind == BodyForm::form) return args_of(body);
    if (form.kind != BodyForm::json) return nullptr;
    json::error_code error;
    auto value = json::parse({body.data(), body.size()}, error);
    return error ? json::value() : value;
  }

  int status_;
  std::string message_, type_, body_, hostname_;
  bool echo_;
  std::optional<std::string> trigger_;
  std::string lower_trigger_;
};

}  // namespace

const Kind& request_termination() {
  static const Kind kind{
      .name = "request-termination",
      .priority = 2,
      .phases = phase_access,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<RequestTermination>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
