// KongPlugin, KongClusterPlugin and KongConsumer as units: their status, global plugins, consumers with credentials.
#include "reconcile/kong_units.h"

#include <array>

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/ingress_class.h"
#include "reconcile/kong_plugin_object.h"
#include "reconcile/kong_plugins.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// status, and the reason beside the fault.
void finish(Output& out, std::string_view kind, const Name& name, const Object& object) {
  const bool fine = out.fault.empty();
  out.by = declared_by(kind, name, object);
  out.status = {
      {"conditions", json::array{condition("Programmed", fine ? "True" : "False", fine ? "Programmed" : "Invalid",
                                           fine ? std::string("It is in force.") : out.fault, generation_of(object))}}};
  if (!fine) out.fault_reason = kong::translation_failed;
}

// The entity for all requests (global), or only a check of what objects that refer to the plugin will make of it.
Output plugin_output(const Kind& kind, const Name& name, const Object& object, View& view, bool global) {
  Output out;
  const auto id = entity_id(kind.kind, name, "plugin/global");
  if (const auto plugin = kong::read_plugin(kind, name, object, view); !plugin) {
    kong::add_fault(out.fault, plugin.error().message);
  } else if (auto made = kong::plugin_entity(*plugin, id, "", id); !made) {
    kong::add_fault(out.fault,
                    fmt::format("{} {}: {}", kind.kind, name.text(), kong::in_words(made.error(), plugin->values)));
  } else {
    kong::add_fault(out.fault, plugin->left_out);
    if (global) out.entities.push_back(std::move(*made));
  }
  finish(out, kind.kind, name, object);
  return out;
}

Output translate_plugin(const Name& name, const Object& object, View& view) {
  // A KongPlugin needs no class, but one that names another controller's is none of ours.
  if (kong::annotation(object, "kubernetes.io/ingress.class") && !is_our_kong_object(object, view)) return {};
  return plugin_output(kinds::kong_plugin, name, object, view, false);
}

Output translate_cluster_plugin(const Name& name, const Object& object, View& view) {
  if (!is_our_kong_object(object, view)) return {};
  return plugin_output(kinds::kong_cluster_plugin, name, object, view, kong::label(object, "global") == "true");
}

struct CredentialType {
  std::string_view name, schema;
  std::array<std::string_view, 2> keys;  // of the Secret, and fields of the entity
};
constexpr CredentialType credential_types[] = {
    {"key-auth", "keyauth_credentials", {"key", ""}},
    {"basic-auth", "basicauth_credentials", {"username", "password"}},
    {"acl", "acls", {"group", ""}},
};

class Consumer {
 public:
  Consumer(const Name& name, const Object& object, View& view, Output& out)
      : name_(name), object_(object), view_(view), out_(out), id_(entity_id("KongConsumer", name)) {}

  void add() {
    Object input{{"tags", tags()}};
    for (const std::string_view field : {"username", "custom_id"})
      if (has(object_, field)) input[field] = object_.at(field);
    auto made = kong::make_entity("consumers", id_, std::move(input), created_at(object_));
    if (!made) return kong::add_fault(out_.fault, made.error().message);
    out_.entities.push_back(std::move(*made));
    std::set<std::string> seen;
    for (const auto& element : array_of(object_, {"credentials"}))
      if (const auto* text = element.if_string(); text && seen.emplace(*text).second)
        add_credential({name_.space, std::string(*text)});
    if (!array_of(object_, {"consumerGroups"}).empty())
      kong::add_fault(out_.fault, "consumerGroups is left out: not supported by this version");
    for (auto& plugin : plugins_of(object_, kinds::kong_consumer.kind, name_, id_, view_, out_.fault))
      out_.entities.push_back(std::move(plugin));
  }

 private:
  json::array tags() const {
    auto out = kong::tags(kinds::kong_consumer, object_);
    for (const auto& tag : array_of(object_, {"spec", "tags"})) out.push_back(tag);
    return out;
  }

  void add_credential(const Name& name) {
    if (auto wrong = make_credential(name); !wrong.empty())
      kong::add_fault(out_.fault, fmt::format("credential {}: {}", name.text(), wrong));
  }

  // What is wrong, without anything of the values; empty: it was made.
  std::string make_credential(const Name& name) {
    const auto secret = view_.get(kinds::secret, name);
    if (!secret) return "there is no such Secret";
    const auto type_text = type_of(*secret);
    if (type_text == "konnect") return {};
    const auto* type = std::ranges::find(credential_types, type_text, &CredentialType::name);
    if (type == std::end(credential_types))
      return fmt::format("the type '{}' is not supported by this version; there are key-auth, basic-auth and acl",
                         model::shown(type_text));
    Object input{{"consumer", Object{{"id", id_.text()}}}, {"tags", kong::tags(kinds::secret, *secret)}};
    for (const auto key : type->keys) {
      if (key.empty()) continue;
      auto value = kong::secret_value(*secret, key);
      if (!value || !*value || (**value).empty()) return fmt::format("the Secret lacks '{}'", key);
      if (!model::is_text(**value)) return fmt::format("'{}' is not a text", key);
      input[key] = std::move(**value);
    }
    // It would have to end by itself some time after it was read.
    if (const auto ttl = kong::secret_value(*secret, "ttl"); ttl && (!*ttl || (**ttl != "0" && !(**ttl).empty())))
      return "ttl is not supported for a Secret; delete the Secret when the credential shall end";
    auto made = kong::make_entity(type->schema, entity_id("KongConsumer", name_, "credential/" + name.name),
                                  std::move(input), created_at(*secret));
    if (!made) return kong::in_words(made.error(), kong::Values::hidden);
    out_.entities.push_back(std::move(*made));
    return {};
  }

  static std::string type_of(const Object& secret) {
    if (const auto label = kong::label(secret, "konghq.com/credential")) return std::string(*label);
    const auto old = kong::secret_value(secret, "kongCredType");
    return old && *old ? **old : std::string();
  }

  const Name& name_;
  const Object& object_;
  View& view_;
  Output& out_;
  Uuid id_;
};

Output translate_consumer(const Name& name, const Object& object, View& view) {
  Output out;
  if (!is_our_kong_object(object, view)) return out;
  Consumer(name, object, view, out).add();
  finish(out, kinds::kong_consumer.kind, name, object);
  return out;
}

}  // namespace

std::vector<UnitKind> kong_units() {
  return {{kinds::kong_cluster_plugin, translate_cluster_plugin},
          {kinds::kong_plugin, translate_plugin},
          {kinds::kong_consumer, translate_consumer}};
}

}  // namespace weir::reconcile
