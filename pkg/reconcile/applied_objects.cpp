#include "reconcile/applied_objects.h"

#include "base/log.h"
#include "reconcile/fields.h"
#include "reconcile/replicas.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

std::string object_key(const Kind& kind, const Name& name) {
  return fmt::format("{}/{}", kind_key(kind), name.text());
}

std::string label_of(const Kind& kind, const Name& unit) {
  return entity_id(kind.kind, unit, "unit").text();
}

}  // namespace

bool covers(const json::value& present, const json::value& wanted) {
  if (wanted.is_object()) {
    if (!present.is_object()) return false;
    return std::ranges::all_of(wanted.get_object(), [&](const auto& field) {
      const auto* value = present.get_object().if_contains(field.key());
      return value && covers(*value, field.value());
    });
  }
  if (wanted.is_array()) {
    if (!present.is_array() || present.get_array().size() != wanted.get_array().size()) return false;
    for (std::size_t i = 0; i < wanted.get_array().size(); ++i)
      if (!covers(present.get_array()[i], wanted.get_array()[i])) return false;
    return true;
  }
  return present == wanted;
}

AppliedObjects::AppliedObjects(kube::Informers& informers, Writes& writes, std::vector<Kind> kinds,
                               std::function<bool()> leads)
    : informers_(informers), writes_(writes), kinds_(std::move(kinds)), leads_(std::move(leads)) {}

std::optional<AppliedObjects::Wanted> AppliedObjects::complete(const Kind& unit_kind, const Name& unit,
                                                               Object object) const {
  const auto api_version = fields::text_at(object, "apiVersion"), kind_name = fields::text_at(object, "kind");
  const auto kind = std::ranges::find_if(
      kinds_, [&](const Kind& each) { return each.kind == kind_name && each.api_version() == api_version; });
  auto* metadata = object["metadata"].if_object();
  if (kind == kinds_.end() || !metadata) {
    log::error("object of a kind that is not applied", {{"kind", kind_name}, {"unit", unit.text()}});
    return std::nullopt;
  }
  Name name{std::string(fields::text_at(*metadata, "namespace")), std::string(fields::text_at(*metadata, "name"))};
  auto& labels = (*metadata)["labels"];
  if (!labels.is_object()) labels = Object();
  labels.get_object()[managed_label] = "weir";
  labels.get_object()[unit_label] = label_of(unit_kind, unit);
  // An owner has to be of the same namespace: the garbage collector takes any other for one that is gone.
  const auto owner = informers_.get(unit_kind, unit);
  if (owner && name.space == unit.space)
    (*metadata)["ownerReferences"] = json::array{{{"apiVersion", unit_kind.api_version()},
                                                  {"kind", unit_kind.kind},
                                                  {"name", unit.name},
                                                  {"uid", fields::meta(*owner, "uid")},
                                                  {"controller", true}}};
  return Wanted{*kind, std::move(name), json::serialize(object)};
}

void AppliedObjects::want(const Kind& unit_kind, const Name& unit, const std::vector<Object>& objects) {
  const auto key = label_of(unit_kind, unit);
  if (objects.empty() && !wanted_.contains(key)) return;
  std::vector<Wanted> next;
  for (const auto& object : objects)
    if (auto made = complete(unit_kind, unit, object)) next.push_back(std::move(*made));
  const auto before = std::exchange(wanted_[key], next);
  for (const auto& old : before)
    if (std::ranges::find(next, old) == next.end()) {
      by_object_.erase(object_key(old.kind, old.name));
      remove(old.kind, old.name);
    }
  for (const auto& each : next) {
    by_object_.insert_or_assign(object_key(each.kind, each.name), each);
    write(each);
  }
  if (next.empty()) wanted_.erase(key);
}

void AppliedObjects::changed(const Kind& kind, const Name& name) {
  if (by_object_.empty()) return;
  if (const auto at = by_object_.find(object_key(kind, name)); at != by_object_.end()) write(at->second);
}

void AppliedObjects::write(const Wanted& wanted) {
  if (!leads_()) return;
  const auto key = object_key(wanted.kind, wanted.name);
  const auto present = informers_.get(wanted.kind, wanted.name);
  if (present && covers(*present, json::parse(wanted.body))) return;
  writes_.put("apply " + key, {.kind = wanted.kind, .name = wanted.name, .make = [this, key] {
                                 const auto at = by_object_.find(key);
                                 std::optional<Writes::Request> request;
                                 if (at == by_object_.end() || !leads_()) return request;
                                 const auto& each = at->second;
                                 request = Writes::Request{
                                     "PATCH",
                                     each.kind.path(each.name.space, each.name.name) + "?fieldManager=weir&force=true",
                                     each.body, "application/apply-patch+yaml"};
                                 return request;
                               }});
}

void AppliedObjects::remove(const Kind& kind, const Name& name) {
  if (!leads_()) return;
  const auto key = object_key(kind, name);
  writes_.put("apply " + key, {.kind = kind, .name = name, .make = [this, key, kind, name] {
                                 std::optional<Writes::Request> request;
                                 const auto present = informers_.get(kind, name);
                                 // Somebody may have made another one of this name.
                                 if (by_object_.contains(key) || !leads_() || !present ||
                                     fields::label(*present, managed_label) != "weir")
                                   return request;
                                 request = Writes::Request{"DELETE", kind.path(name.space, name.name), "", ""};
                                 return request;
                               }});
}

void AppliedObjects::sweep() {
  for (const auto& kind : kinds_) {
    std::vector<Name> stale;
    informers_.each(kind, {}, [&](const Name& name) {
      const auto* text = informers_.text(kind, name);
      if (!text || text->find(unit_label) == std::string::npos || by_object_.contains(object_key(kind, name))) return;
      const auto object = informers_.get(kind, name);
      if (object && !fields::label(*object, unit_label).empty()) stale.push_back(name);
    });
    for (const auto& name : stale) remove(kind, name);
  }
  for (const auto& [key, wanted] : by_object_) write(wanted);
}

}  // namespace weir::reconcile
