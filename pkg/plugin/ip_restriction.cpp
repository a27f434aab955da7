// Lets requests pass, or stops them, by the client's address. Kong plugin "ip-restriction".
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "model/schema_builder.h"
#include "plugin/addresses.h"
#include "plugin/one_given.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::optional<std::vector<std::string>> allow, deny;
  std::optional<std::int64_t> status;
  std::optional<std::string> message;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("ip-restriction")
          .field("allow", &Config::allow, "Addresses and CIDR blocks that pass, and no others.",
                 each({check(check_ip_or_cidr)}))
          .field("deny", &Config::deny, "Addresses and CIDR blocks that are stopped; looked at before allow.",
                 each({check(check_ip_or_cidr)}))
          .field("status", &Config::status, "Status of the refusal; 403 when left out.", between(100, 599))
          .field("message", &Config::message, "Message of the refusal; names the address when left out.")
          .rule(one_given({"allow", "deny"}, false))
          .build();
  return built;
}

class IpRestriction : public Plugin {
 public:
  IpRestriction(const Config& config, Addresses allow, Addresses deny)
      : allow_(std::move(allow)),
        deny_(std::move(deny)),
        status_(static_cast<int>(config.status.value_or(403))),
        message_(config.message) {}

  Step access(Exchange& x) const override {
    Address client;
    if (!parse_address(x.client_ip(), client)) {
      x.error(403, "Cannot identify the client IP address, unix domain sockets are not supported.");
      return Step::done;
    }
    if (!deny_.contains(client) && (allow_.empty() || allow_.contains(client))) return Step::next;
    if (message_)
      x.error(status_, *message_);
    else
      x.error(status_, fmt::format("IP address not allowed: {}", x.client_ip()));
    return Step::done;
  }

 private:
  Addresses allow_, deny_;
  int status_;
  std::optional<std::string> message_;
};

Result<std::unique_ptr<const Plugin>> make(const model::Object& object, const Scope&, Services&) {
  const auto config = declared().read(object);
  auto allow = Addresses::parse(config.allow.value_or(std::vector<std::string>{}));
  auto deny = Addresses::parse(config.deny.value_or(std::vector<std::string>{}));
  if (!allow) return fail("allow: {}", allow.error().message);
  if (!deny) return fail("deny: {}", deny.error().message);
  return std::make_unique<IpRestriction>(config, std::move(*allow), std::move(*deny));
}

}  // namespace

const Kind& ip_restriction() {
  static const Kind kind{.name = "ip-restriction",
                         .priority = 990,
                         .phases = phase_access,
                         .config = []() -> const model::Schema& { return declared().schema; },
                         .make = make};
  return kind;
}

}  // namespace weir::plugin
