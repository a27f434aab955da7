#include "reconcile/weir_draft.h"

#include <algorithm>

#include <fmt/format.h>

#include "kube/access.h"
#include "model/formats.h"
#include "reconcile/crd_extras.h"
#include "reconcile/fields.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;

constexpr std::size_t told_max = 8;  // faults in a message; people mend one by one

// "upstream" of WeirUpstream: how people call what the field refers to.
std::string word_of(const Kind& kind) {
  std::string_view word = kind.kind;
  if (word.starts_with("Weir")) word.remove_prefix(4);
  std::string out(word);
  if (!out.empty()) out[0] = static_cast<char>(out[0] | 0x20);
  return out;
}

std::string joined(const std::vector<std::string>& faults) {
  std::string out;
  for (std::size_t i = 0; i < faults.size() && i < told_max; i++) out += (i ? "; " : "") + faults[i];
  if (faults.size() > told_max) out += fmt::format("; and {} more", faults.size() - told_max);
  return out;
}

}  // namespace

Draft::Draft(const WeirKind& kind, const Name& name, const Object& object, View& view)
    : kind_(kind),
      name_(name),
      view_(view),
      id_(entity_id(kind.kind, name)),
      created_(static_cast<double>(fields::created_at(object))),
      generation_(fields::generation(object)) {
  static const Object none;
  spec_ = fields::object_at(object, "spec");
  if (!spec_) {
    spec_ = &none;
    invalid({}, "required field missing");
  }
  input_ = *spec_;
  for (const auto field : extra_fields(kind.entity)) input_.erase(field);
  // Times come from the object, so that every replica makes the same entity.
  for (const auto field : {"id", "created_at", "updated_at"}) input_.erase(field);
  out_.by =
      std::make_shared<const model::DeclaredBy>(model::DeclaredBy{std::string(kind.kind), name.text(), generation_});
  take_references();
}

const json::value& Draft::given(std::string_view field) const {
  static const json::value null;
  const auto* value = spec_->if_contains(field);
  return value ? *value : null;
}

void Draft::take_references() {
  for (const auto& field : kind_.schema()->fields()) {
    if (field.type != model::Type::foreign || given(field.name).is_null()) continue;
    const auto* parent = weir_kind_of_entity(field.reference);
    if (!parent) continue;
    input_.erase(field.name);
    if (const auto target = referred(field.name, kinds::weir(parent->kind)))
      input_[field.name] = Object{{"id", entity_id(parent->kind, target->name).text()}};
  }
}

void Draft::name_by_object() {
  auto& name = input_["name"];
  if (name.is_null()) name = fmt::format("{}.{}", name_.space, name_.name);
}

std::optional<Draft::Target> Draft::referred(std::string_view field, const Kind& kind) {
  const auto& value = given(field);
  if (value.is_null()) return {};
  const auto* reference = value.if_object();
  const auto wanted = reference ? fields::text_at(*reference, "name") : std::string_view();
  if (wanted.empty()) {
    invalid(fmt::format("{}.name", field), "required field missing");
    return {};
  }
  Target out{{name_.space, std::string(wanted)}, {}};
  auto object = view_.get(kind, out.name);
  if (!object) {
    unresolved(fmt::format("{} '{}' not found", word_of(kind), model::shown(wanted)));
    return {};
  }
  out.object = std::move(*object);
  return out;
}

std::optional<std::string> Draft::secret(std::string_view field, std::string_view key) {
  const auto found = referred(field, kinds::secret);
  if (!found) return {};
  const auto chosen = fields::text_at(given(field).get_object(), "key");
  const auto wanted = chosen.empty() ? key : chosen;
  const auto* data = fields::object_at(found->object, "data");
  const auto* value = data ? data->if_contains(wanted) : nullptr;
  auto text = value && value->is_string() ? kube::decode_base64(value->get_string()) : std::nullopt;
  if (!text) unresolved(fmt::format("secret '{}' has no key '{}'", found->name.name, model::shown(wanted)));
  return text;
}

void Draft::invalid(std::string_view field, std::string_view why) {
  invalid_.push_back(field.empty() ? fmt::format("spec: {}", why) : fmt::format("spec.{}: {}", field, why));
}

void Draft::unresolved(std::string message) {
  if (std::find(unresolved_.begin(), unresolved_.end(), message) == unresolved_.end())
    unresolved_.push_back(std::move(message));
}

// Faults stand where the input's parts stand: a record's as an object, a list's by position.
void Draft::add_faults(const Object& faults, const std::string& prefix) {
  for (const auto& pair : faults) {
    if (pair.key() == "@entity") {
      for (const auto& message : pair.value().as_array()) invalid(prefix, std::string_view(message.as_string()));
      continue;
    }
    const auto field = prefix.empty() ? std::string(pair.key()) : fmt::format("{}.{}", prefix, pair.key());
    const auto tell = [&](auto& self, const std::string& at, const json::value& fault) -> void {
      if (const auto* text = fault.if_string()) return invalid(at, *text);
      if (const auto* record = fault.if_object()) return add_faults(*record, at);
      const auto* list = fault.if_array();
      for (std::size_t i = 0; list && i < list->size(); i++) self(self, fmt::format("{}[{}]", at, i), (*list)[i]);
    };
    tell(tell, field, pair.value());
  }
}

std::optional<Object> Draft::make(const model::Schema& schema, const Uuid& id, Object input, std::string_view prefix) {
  input["id"] = id.text();
  auto entity = schema.insert(std::move(input), created_);
  if (entity) return std::move(*entity);
  if (entity.error().fields.empty())
    invalid(prefix, entity.error().message);
  else
    add_faults(entity.error().fields, std::string(prefix));
  return {};
}

void Draft::add(const model::Schema& schema, const Uuid& id, Object entity) {
  out_.entities.push_back({&schema, id, std::move(entity)});
}

Object* Draft::add_own() {
  // What is missing is told as such; that a required parent is not there is no second fault.
  if (!unresolved_.empty()) return nullptr;
  auto entity = make(*kind_.schema(), id_, input_);
  if (!entity) return nullptr;
  add(*kind_.schema(), id_, std::move(*entity));
  return &out_.entities.back().now;
}

void Draft::tell(const Kind& kind, const Name& name, std::string text) {
  out_.tells.push_back({kind, name, std::move(text)});
}

json::array Draft::conditions() const {
  const bool accepted = invalid_.empty(), resolved = unresolved_.empty();
  const auto make = [&](std::string_view type, bool good, std::string_view why_not, std::string message) {
    return condition(type, good ? "True" : "False", good ? type.substr(type.find('/') + 1) : why_not,
                     std::move(message), generation_);
  };
  const auto reason = accepted ? "RefNotFound" : "Invalid";
  const auto fault = accepted && resolved ? std::string() : joined(accepted ? unresolved_ : invalid_);
  return {make("Accepted", accepted, "Invalid", joined(invalid_)),
          make("ResolvedRefs", resolved, "RefNotFound", joined(unresolved_)),
          make("Programmed", accepted && resolved, reason, fault),
          make("weir.dev/Served", accepted && resolved, reason, fault)};
}

void Draft::show(std::string_view field, std::int64_t value) {
  status_[field] = value;
}

Output Draft::finish() {
  status_["conditions"] = conditions();
  out_.status = std::move(status_);
  if (!invalid_.empty() || !unresolved_.empty()) {
    out_.keep_last = true;
    out_.entities.clear();
    out_.fault_reason = invalid_.empty() ? "RefNotFound" : "Invalid";
    auto all = invalid_;
    all.insert(all.end(), unresolved_.begin(), unresolved_.end());
    out_.fault = joined(all);
  }
  return std::move(out_);
}

}  // namespace weir::reconcile
