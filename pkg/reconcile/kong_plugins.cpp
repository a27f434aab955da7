#include "reconcile/kong_plugins.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/ingress_class.h"
#include "reconcile/kong_plugin_object.h"
#include "reconcile/reference_grants.h"

namespace weir::reconcile {
namespace {

// What decides who may pass, Weir's own and others that Kong knows: without it a route would be open.
bool is_guard(std::string_view type) {
  constexpr std::array<std::string_view, 16> guards{
      "acl",        "basic-auth", "bot-detection",  "hmac-auth",           "ip-restriction",     "jwt",
      "jwt-signer", "key-auth",   "key-auth-enc",   "ldap-auth",           "ldap-auth-advanced", "mtls-auth",
      "oauth2",     "opa",        "openid-connect", "oauth2-introspection"};
  return std::ranges::find(guards, type) != guards.end();
}

const Kind& kind_of(std::string_view name) {
  for (const auto* kind : {&kinds::ingress, &kinds::service, &kinds::http_route, &kinds::grpc_route})
    if (kind->kind == name) return *kind;
  return kinds::kong_consumer;
}

std::string_view target_field(std::string_view kind) {
  if (kind == kinds::service.kind) return "service";
  return kind == kinds::kong_consumer.kind ? "consumer" : "route";
}

struct Found {
  const Kind* kind = nullptr;
  Name name;
  Object object;
};

// "name", or "namespace:name" of another namespace that grants it.
Result<Found> find(std::string_view text, const Kind& from, const std::string& space, View& view) {
  const auto colon = text.find(':');
  if (colon != text.npos) {
    const Name name{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
    if (!granted(view, from, space, kinds::kong_plugin, name))
      return fail("no ReferenceGrant in namespace {} allows the use of KongPlugin {}", name.space, name.text());
    auto object = view.get(kinds::kong_plugin, name);
    if (!object) return fail("there is no KongPlugin {}", name.text());
    return Found{&kinds::kong_plugin, name, std::move(*object)};
  }
  const Name name{space, std::string(text)};
  if (auto object = view.get(kinds::kong_plugin, name)) return Found{&kinds::kong_plugin, name, std::move(*object)};
  const Name cluster{"", std::string(text)};
  auto object = view.get(kinds::kong_cluster_plugin, cluster);
  if (!object || !is_our_kong_object(*object, view))
    return fail("there is no KongPlugin {} and no KongClusterPlugin {} of our class", name.text(), cluster.name);
  return Found{&kinds::kong_cluster_plugin, cluster, std::move(*object)};
}

class Attachment {
 public:
  Attachment(std::string_view kind, const Name& name, const Uuid& target, View& view, std::string& fault)
      : kind_(kind), name_(name), target_(target), view_(view), fault_(fault) {}

  void add(std::string_view text) {
    auto found = find(text, kind_of(kind_), name_.space, view_);
    // What it would have been is not known.
    if (!found) return refuse(found.error().message, true);
    const auto plugin = kong::read_plugin(*found->kind, found->name, found->object, view_);
    if (!plugin) return refuse(plugin.error().message, is_guard(text_of(found->object, "plugin")));
    kong::add_fault(fault_, plugin->left_out);
    if (std::ranges::find(types_, plugin->type) != types_.end())
      return refuse(fmt::format("{} {} is left out: another plugin {} is named before", found->kind->kind,
                                found->name.text(), plugin->type),
                    false);
    auto made = kong::plugin_entity(*plugin, id_of(plugin->type), target_field(kind_), target_);
    if (!made)
      return refuse(
          fmt::format("{} {}: {}", found->kind->kind, found->name.text(), kong::in_words(made.error(), plugin->values)),
          is_guard(plugin->type) && !plugin->disabled);
    types_.push_back(plugin->type);
    entities_.push_back(std::move(*made));
  }

  std::vector<Entity> entities() && {
    if (guard_missing_) close();
    return std::move(entities_);
  }

 private:
  Uuid id_of(std::string_view type) const {
    return entity_id(kind_, name_, fmt::format("plugin/{}/{}", type, target_.text()));
  }

  void refuse(const std::string& message, bool guards) {
    kong::add_fault(fault_, message);
    guard_missing_ = guard_missing_ || guards;
  }

  // A plugin that would have asked who calls is not there: nobody passes until it is.
  void close() {
    constexpr std::string_view type = "request-termination";
    const auto id = id_of(type);
    std::erase_if(entities_, [&](const Entity& entity) { return entity.id == id; });
    Object config{{"status_code", 503}, {"message", "A plugin of this route is not in force"}};
    auto made = kong::make_entity(
        "plugins", id,
        {{"name", type}, {"config", std::move(config)}, {target_field(kind_), Object{{"id", target_.text()}}}}, 0);
    if (made)
      entities_.push_back(std::move(*made));
    else
      kong::add_fault(fault_, made.error().message);
  }

  std::string_view kind_;
  const Name& name_;
  const Uuid& target_;
  View& view_;
  std::string& fault_;
  std::vector<Entity> entities_;
  std::vector<std::string> types_;
  bool guard_missing_ = false;
};

}  // namespace

std::vector<Entity> plugins_of(const Object& annotated, std::string_view kind, const Name& name, const Uuid& target,
                               View& view, std::string& fault) {
  const auto names = kong::kong_annotation(annotated, "plugins");
  if (!names) return {};
  Attachment attachment(kind, name, target, view, fault);
  std::set<std::string_view> seen;
  for (const auto text : text::split(*names))
    if (seen.insert(text).second) attachment.add(text);
  return std::move(attachment).entities();
}

}  // namespace weir::reconcile
