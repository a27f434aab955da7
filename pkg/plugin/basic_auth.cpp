// Lets requests pass with a known user name and password. Kong plugin "basic-auth".
#include <functional>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "model/entities.h"
#include "model/schema_builder.h"
#include "plugin/auth.h"
#include "plugin/basic_credentials.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::optional<std::string> anonymous;
  bool hide_credentials = false;
  std::string realm = "service";
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("basic-auth")
          .field("anonymous", &Config::anonymous,
                 "Id or username of the consumer that unauthenticated requests pass as; without it they get 401.")
          .field("hide_credentials", &Config::hide_credentials, "Whether the password is kept from the upstream.")
          .field("realm", &Config::realm, "The realm in WWW-Authenticate.", check(check_header_value))
          .build();
  return built;
}

constexpr std::string_view proxy_authorization = "proxy-authorization", authorization = "authorization";

class BasicAuth : public Plugin {
 public:
  explicit BasicAuth(Config config) : config_(std::move(config)) {
    challenge_ = fmt::format("Basic realm=\"{}\"", config_.realm);
  }

  Step access(Exchange& x) const override {
    if (config_.anonymous && x.credential()) return Step::next;  // another plugin of a logical OR has let it in
    bool both = false;                                           // whether Authorization was looked at, too
    const auto verdict = judge(x, both);
    const auto hiding = [&] {
      if (!config_.hide_credentials) return;
      x.remove_header(proxy_authorization);
      if (both) x.remove_header(authorization);
    };
    return conclude(x, verdict, config_.anonymous, challenge_, std::ref(hiding));
  }

 private:
  // The user of Proxy-Authorization when there is such a one, else that of Authorization.
  Verdict judge(Exchange& x, bool& both) const {
    auto given = read(x, proxy_authorization);
    Asked credential{Asked::none, nullptr};
    if (given) credential = ask(x, *given);
    if (credential.state == Asked::none) {
      both = true;
      given = read(x, authorization);
      if (given) credential = ask(x, *given);
    }
    if (credential.state == Asked::wait) return {Verdict::wait, {}, nullptr, nullptr};
    if (credential.state == Asked::failed) return {Verdict::failed, {}, nullptr, nullptr};
    if (credential.state == Asked::none || !is_password(given->password(), parent_id(*credential.row, "consumer"),
                                                        text_field(*credential.row, "password")))
      return {Verdict::refused, "Unauthorized", nullptr, nullptr};
    return accept(x, std::move(credential.row), "username");
  }

  static std::optional<BasicCredentials> read(const Exchange& x, std::string_view header) {
    const auto value = x.header(header);
    return value ? parse_basic(*value) : std::nullopt;
  }
  static Asked ask(Exchange& x, const BasicCredentials& given) {
    return ask_row(x, model::schema<model::BasicAuthCredential>(), "username", given.user());
  }

  Config config_;
  std::string challenge_;
};

}  // namespace

const Kind& basic_auth() {
  static const Kind kind{
      .name = "basic-auth",
      .priority = 1100,
      .phases = phase_access,
      .consumer_scope = false,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<BasicAuth>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
