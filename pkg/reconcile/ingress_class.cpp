#include "reconcile/ingress_class.h"

#include "reconcile/kong_object.h"

namespace weir::reconcile {
namespace {

constexpr std::string_view class_annotation = "kubernetes.io/ingress.class";
constexpr std::string_view default_annotation = "ingressclass.kubernetes.io/is-default-class";

bool is_ours(const Object& ingress_class, View& view) {
  return text_of(object_of(ingress_class, {"spec"}), "controller") == view.settings().ingress_controller;
}

bool default_is_ours(View& view) {
  bool found = false;
  view.each(kinds::ingress_class, "", [&](const Name&, const Object& object) {
    found = found || (kong::annotation(object, default_annotation) == "true" && is_ours(object, view));
  });
  return found;
}

}  // namespace

bool is_our_ingress(const Object& ingress, View& view) {
  if (const auto name = kong::annotation(ingress, class_annotation)) return *name == view.settings().ingress_class;
  const auto name = text_of(object_of(ingress, {"spec"}), "ingressClassName");
  if (name.empty()) return default_is_ours(view);
  if (const auto found = view.get(kinds::ingress_class, {"", name})) return is_ours(*found, view);
  return name == view.settings().ingress_class;
}

bool is_our_kong_object(const Object& object, View& view) {
  if (const auto name = kong::annotation(object, class_annotation)) return *name == view.settings().ingress_class;
  return default_is_ours(view);
}

}  // namespace weir::reconcile
