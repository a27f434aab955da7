// Lets consumers pass, or stops them, by the groups they are in. Kong plugin "acl".
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "model/entities.h"
#include "model/schema_builder.h"
#include "plugin/auth.h"
#include "plugin/one_given.h"
#include "plugin/plugin.h"

namespace weir::plugin {
namespace {

struct Config {
  std::optional<std::vector<std::string>> allow, deny;
  bool hide_groups_header = false;
  bool always_use_authenticated_groups = false;
};

const model::Declared<Config>& declared() {
  using namespace model;
  static const auto built =
      SchemaBuilder<Config>("acl")
          .field("allow", &Config::allow, "Groups whose members pass, and nobody else.")
          .field("deny", &Config::deny, "Groups whose members are stopped, and nobody else.")
          .field("hide_groups_header", &Config::hide_groups_header,
                 "Whether the consumer's groups are kept from the upstream (X-Consumer-Groups).")
          .field("always_use_authenticated_groups", &Config::always_use_authenticated_groups,
                 "Whether groups told by an authentication plugin go before those of the consumer. None of the plugins "
                 "that this version has tells any, so that those of the consumer count.")
          .rule(one_given({"allow", "deny"}, true))
          .build();
  return built;
}

class Acl : public Plugin {
 public:
  explicit Acl(const Config& config) : hide_(config.hide_groups_header) {
    deny_ = config.deny && !config.deny->empty();
    groups_ = deny_ ? *config.deny : config.allow.value_or(std::vector<std::string>{});
    std::ranges::sort(groups_);
  }

  Step access(Exchange& x) const override {
    const auto* consumer = x.consumer();
    if (!consumer) return x.credential() ? forbid(x) : refuse(x, 401, "Unauthorized");
    const auto* found = x.lookup({&model::schema<model::Acl>(), "consumer", text_field(*consumer, "id")});
    if (!found) return Step::wait;
    if (found->failed) return unexpected(x);
    const bool in = std::ranges::any_of(found->rows, [&](const store::Row& row) { return listed(*row); });
    if (in == deny_) return forbid(x);
    x.remove_header("X-Authenticated-Groups");  // what a client claims to be in
    if (hide_ || found->rows.empty())
      x.remove_header("X-Consumer-Groups");
    else
      tell_groups(x, *found);
    return Step::next;
  }

 private:
  static Step refuse(Exchange& x, int status, std::string_view message) {
    x.error(status, message);
    return Step::done;
  }
  static Step forbid(Exchange& x) { return refuse(x, 403, "You cannot consume this service"); }

  bool listed(const model::Object& row) const {
    return std::ranges::binary_search(groups_, text_field(row, "group"), std::less<>(),
                                      [](const auto& group) { return std::string_view(group); });
  }

  static void tell_groups(Exchange& x, const store::Found& found) {
    if (found.rows.size() == 1)
      return set_text_header(x, "X-Consumer-Groups", text_field(*found.rows.front(), "group"));
    std::string groups;
    for (const auto& row : found.rows) groups.append(groups.empty() ? "" : ", ").append(text_field(*row, "group"));
    set_text_header(x, "X-Consumer-Groups", groups);
  }

  bool hide_ = false, deny_ = false;
  std::vector<std::string> groups_;  // sorted
};

}  // namespace

const Kind& acl() {
  static const Kind kind{
      .name = "acl",
      .priority = 950,
      .phases = phase_access,
      .consumer_scope = false,
      .config = []() -> const model::Schema& { return declared().schema; },
      .make = [](const model::Object& config, const Scope&, Services&) -> Result<std::unique_ptr<const Plugin>> {
        return std::make_unique<Acl>(declared().read(config));
      }};
  return kind;
}

}  // namespace weir::plugin
