// The entities of a Service's port that Ingresses send to. They are made from the Service alone, so all Ingresses that
// use the port make the same ones.
#pragma once
#include <map>
#include <optional>
#include <string>

#include "reconcile/ingress_sheet.h"

namespace weir::reconcile {

// The port of a Service as an Ingress names it: a number or a name.
struct PortName {
  std::uint16_t number = 0;
  std::string name;
  std::string text() const { return number ? std::to_string(number) : name; }
  auto operator<=>(const PortName&) const = default;
};

class IngressServices {
 public:
  explicit IngressServices(Sheet& sheet) : sheet_(sheet) {}
  // The entity "services" for it, made once, with its plugins and its backend; nothing when it cannot be made, which
  // the fault tells.
  std::optional<Uuid> find(const std::string& service, const PortName&);

 private:
  std::optional<Uuid> make(const Name& service, const PortName&);

  Sheet& sheet_;
  std::map<std::pair<std::string, PortName>, std::optional<Uuid>> made_;
};

}  // namespace weir::reconcile
