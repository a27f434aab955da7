// Weir's own kinds become entities.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model/formats.h"
#include "reconcile/backends.h"
#include "reconcile/fields.h"
#include "reconcile/weir_draft.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

// The name of the entity that a WeirUpstream makes.
std::string name_of_upstream(const Name& name, const Object& object) {
  const auto* spec = fields::object_at(object, "spec");
  const auto given = spec ? fields::text_at(*spec, "name") : std::string_view();
  return given.empty() ? fmt::format("{}.{}", name.space, name.name) : std::string(given);
}

// A host may mean a WeirUpstream of the namespace.
void point_to_upstream(Draft& draft, Object& service) {
  auto& host = service["host"];
  if (!host.is_string()) return;
  const Name name{draft.name().space, std::string(host.get_string())};
  if (const auto found = draft.view().get(kinds::weir("WeirUpstream"), name)) host = name_of_upstream(name, *found);
}

void service(Draft& draft) {
  draft.name_by_object();
  if (auto* entity = draft.add_own()) point_to_upstream(draft, *entity);
}

// spec.upstream: a service of the route's own, with defaults.
void route(Draft& draft) {
  draft.name_by_object();
  if (!draft.given("upstream").is_null() && !draft.given("service").is_null())
    draft.invalid("upstream", "cannot be set together with 'service'");
  if (const auto found = draft.referred("upstream", kinds::weir("WeirUpstream"))) {
    static const auto& services = *model::find_schema("services");
    const auto id = entity_id("WeirRoute", draft.name(), "service");
    Object input{{"host", name_of_upstream(found->name, found->object)}};
    if (auto made = draft.make(services, id, std::move(input), "upstream")) draft.add(services, id, std::move(*made));
    draft.input()["service"] = Object{{"id", id.text()}};
  }
  draft.add_own();
}

// The targets of one upstream, each address once.
class Targets {
 public:
  Targets(Draft& draft) : draft_(draft) {}

  // place: where it stands in the spec, for faults.
  void add(Object input, const std::string& place) {
    static const auto& targets = *model::find_schema("targets");
    const auto* target = input.if_contains("target");
    const auto address = target && target->is_string() ? model::normal_target(target->get_string()) : std::string();
    const auto id = entity_id("WeirUpstream", draft_.name(), "target/" + address);
    input["upstream"] = Object{{"id", draft_.id().text()}};
    for (const auto field : {"created_at", "updated_at"}) input.erase(field);
    const auto [first, is_new] = places_.emplace(address, place);
    if (!is_new) return draft_.invalid(place + ".target", fmt::format("the same as {}", first->second));
    if (auto made = draft_.make(targets, id, std::move(input), place)) draft_.add(targets, id, std::move(*made));
  }
  std::size_t size() const { return places_.size(); }

 private:
  Draft& draft_;
  std::map<std::string, std::string> places_;  // by address
};

void endpoints_of_service(Draft& draft, Targets& targets) {
  const auto found = draft.referred("serviceRef", kinds::service);
  if (!found) return;
  Backend backend{found->name, 0, {}, false};
  const auto& reference = draft.given("serviceRef").get_object();
  const auto* port = reference.if_contains("port");
  if (const auto number = fields::number_at(reference, "port"); number && *number > 0 && *number <= 65535)
    backend.port = static_cast<std::uint16_t>(*number);
  else if (port && port->is_string() && !port->get_string().empty())
    backend.port_name = port->get_string();
  else
    return draft.invalid("serviceRef.port", "expected a port's number or name");
  const auto* spec = fields::object_at(found->object, "spec");
  const auto* ports = spec ? fields::array_at(*spec, "ports") : nullptr;
  const bool known = ports && std::any_of(ports->begin(), ports->end(), [&](const json::value& value) {
                       const auto* one = value.if_object();
                       return one && (backend.port ? fields::number_at(*one, "port") == backend.port
                                                   : fields::text_at(*one, "name") == backend.port_name);
                     });
  // A Service without ports of its own (headless, ExternalName) takes any number.
  if (!known && !(backend.port && (!ports || ports->empty())))
    return draft.unresolved(fmt::format("service '{}' has no port {}", found->name.name,
                                        backend.port ? std::to_string(backend.port) : model::shown(backend.port_name)));
  for (const auto& target : targets_of(backend, found->object, draft.view()))
    targets.add({{"target", target}}, fmt::format("serviceRef[{}]", target));
}

void upstream(Draft& draft) {
  draft.name_by_object();
  Targets targets(draft);
  draft.add_own();
  const auto& inline_targets = draft.given("targets");
  if (!inline_targets.is_null() && !draft.given("serviceRef").is_null())
    draft.invalid("targets", "cannot be set together with 'serviceRef'");
  if (const auto* list = inline_targets.if_array()) {
    for (std::size_t i = 0; i < list->size(); i++) {
      const auto place = fmt::format("targets[{}]", i);
      if (const auto* target = (*list)[i].if_object())
        targets.add(*target, place);
      else
        draft.invalid(place, "expected a record");
    }
  } else if (!inline_targets.is_null()) {
    draft.invalid("targets", "expected a list");
  }
  endpoints_of_service(draft, targets);
  // WeirTargets tell of themselves, so that nobody has to look through all of them.
  auto count = static_cast<std::int64_t>(targets.size());
  const auto told = draft.view().told(kinds::weir("WeirUpstream"), draft.name());
  if (const auto more = told.find("target"); more != told.end()) count += static_cast<std::int64_t>(more->second);
  draft.show("targets", count);
  draft.show("healthy", count);  // without health checks every target takes requests
}

void target(Draft& draft) {
  const auto* parent = draft.given("upstream").if_object();
  if (draft.add_own())
    draft.tell(kinds::weir("WeirUpstream"), {draft.name().space, std::string(fields::text_at(*parent, "name"))},
               "target");
}

void key_auth(Draft& draft) {
  if (auto key = draft.secret("keyFrom", "key")) draft.input()["key"] = std::move(*key);
  // Made up, it would be another one on every replica.
  else if (draft.given("key").is_null() && draft.given("keyFrom").is_null())
    draft.invalid("key", "required field missing");
  if (!draft.given("ttl").is_null()) draft.invalid("ttl", "an object does not end by itself; delete it instead");
  draft.add_own();
}

void basic_auth(Draft& draft) {
  if (auto password = draft.secret("passwordFrom", "password")) draft.input()["password"] = std::move(*password);
  draft.add_own();
}

void certificate(Draft& draft) {
  if (!draft.given("secretRef").is_null())
    for (const auto& [field, key] : {std::pair{"cert", "tls.crt"}, std::pair{"key", "tls.key"}})
      if (auto text = draft.secret("secretRef", key)) draft.input()[field] = std::move(*text);
  draft.add_own();
}

void as_it_is(Draft& draft) {
  draft.add_own();
}

// A unit's translation is a plain function: one for each way to fill in a draft.
template <void (*fill)(Draft&), const std::string_view& entity>
Output translate(const Name& name, const Object& object, View& view) {
  Draft draft(*weir_kind_of_entity(entity), name, object, view);
  fill(draft);
  return draft.finish();
}

struct Translator {
  std::string_view entity;
  Output (*translate)(const Name&, const Object&, View&);
};
constexpr std::string_view ca_certificates = "ca_certificates", certificates = "certificates", snis = "snis",
                           upstreams = "upstreams", targets = "targets", services = "services", routes = "routes",
                           consumers = "consumers", keys = "keyauth_credentials", passwords = "basicauth_credentials",
                           acls = "acls", plugins = "plugins";
constexpr Translator translators[] = {
    {ca_certificates, translate<as_it_is, ca_certificates>},
    {certificates, translate<certificate, certificates>},
    {snis, translate<as_it_is, snis>},
    {upstreams, translate<upstream, upstreams>},
    {targets, translate<target, targets>},
    {services, translate<service, services>},
    {routes, translate<route, routes>},
    {consumers, translate<as_it_is, consumers>},
    {keys, translate<key_auth, keys>},
    {passwords, translate<basic_auth, passwords>},
    {acls, translate<as_it_is, acls>},
    {plugins, translate<as_it_is, plugins>},
};

}  // namespace

std::vector<UnitKind> weir_units() {
  std::vector<UnitKind> out;
  for (const auto* kind : weir_kinds())
    for (const auto& one : translators)
      if (one.entity == kind->entity) out.push_back({kinds::weir(kind->kind), one.translate});
  return out;
}

}  // namespace weir::reconcile
