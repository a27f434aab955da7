// A View over a map of objects, which notes what was read, as the reconciler's does. For tests of translators.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>

#include <yaml-cpp/yaml.h>

#include "reconcile/unit.h"

namespace weir::reconcile {

class FakeView : public View {
 public:
  // Objects as YAML documents (or JSON), "---" between them. Kinds are known by apiVersion and kind.
  void put(std::string_view yaml) {
    for (const auto& document : YAML::LoadAll(std::string(yaml)))
      if (document.IsMap()) put(value(document).as_object());
  }
  void put(Object object) {
    const auto& metadata = object.at("metadata").as_object();
    const auto text = [&](std::string_view field) {
      const auto* found = metadata.if_contains(field);
      return found ? std::string(found->as_string()) : std::string();
    };
    Name name{text("namespace"), text("name")};
    objects_[std::string(object.at("kind").as_string())].insert_or_assign(std::move(name), std::move(object));
  }
  void remove(const Kind& kind, const Name& name) { objects_[std::string(kind.kind)].erase(name); }
  // The object as it was put, for a unit's translation; throws when there is none.
  const Object& object(const Kind& kind, const Name& name) const {
    return objects_.at(std::string(kind.kind)).at(name);
  }

  std::optional<Object> get(const Kind& kind, const Name& name) override {
    read.insert(std::string(kind.kind) + " " + name.text());
    const auto of_kind = objects_.find(kind.kind);
    if (of_kind == objects_.end()) return {};
    const auto found = of_kind->second.find(name);
    return found == of_kind->second.end() ? std::nullopt : std::optional(found->second);
  }
  void each(const Kind& kind, std::string_view space,
            const std::function<void(const Name&, const Object&)>& call) override {
    read.insert(std::string(kind.kind) + " " + (space.empty() ? "*" : std::string(space) + "/*"));
    const auto of_kind = objects_.find(kind.kind);
    if (of_kind == objects_.end()) return;
    for (const auto& [name, object] : of_kind->second)
      if (space.empty() || name.space == space) call(name, object);
  }
  std::vector<Object> slices(const Name& service) override {
    read.insert("EndpointSlice of " + service.text());
    std::vector<Object> out;
    for (const auto& [name, object] : objects_["EndpointSlice"]) {
      if (name.space != service.space) continue;
      const auto* labels = object.at("metadata").as_object().if_contains("labels");
      const auto* owner = labels ? labels->as_object().if_contains("kubernetes.io/service-name") : nullptr;
      if (owner && owner->as_string() == service.name) out.push_back(object);
    }
    return out;
  }
  std::optional<Object> labels_of_namespace(const std::string& space) override {
    read.insert("labels of " + space);
    const auto& spaces = objects_["Namespace"];
    const auto found = spaces.find(Name{"", space});
    if (found == spaces.end()) return {};
    const auto* labels = found->second.at("metadata").as_object().if_contains("labels");
    return labels ? labels->as_object() : Object();
  }
  std::map<std::string, std::size_t> told(const Kind& kind, const Name& name) override {
    read.insert("told " + std::string(kind.kind) + " " + name.text());
    return tells[std::string(kind.kind) + " " + name.text()];
  }
  const Settings& settings() const override { return chosen; }

  Settings chosen;
  std::map<std::string, std::map<std::string, std::size_t>> tells;  // by "<kind> <namespace>/<name>"
  std::set<std::string> read;  // "Service ns/name", "Gateway *", "ReferenceGrant ns/*", "labels of ns" ...

 private:
  static boost::json::value value(const YAML::Node& node) {
    if (node.IsMap()) {
      Object out;
      for (const auto& field : node) out[field.first.Scalar()] = value(field.second);
      return out;
    }
    if (node.IsSequence()) {
      boost::json::array out;
      for (const auto& element : node) out.push_back(value(element));
      return out;
    }
    if (node.IsNull()) return nullptr;
    const auto& text = node.Scalar();
    if (node.Tag() == "!") return boost::json::string(text);  // quoted
    if (text == "true" || text == "false") return text == "true";
    std::int64_t number = 0;
    if (YAML::convert<std::int64_t>::decode(node, number)) return number;
    return boost::json::string(text);
  }

  std::map<std::string, std::map<Name, Object>, std::less<>> objects_;  // by kind
};

}  // namespace weir::reconcile
