// What one Ingress's translation fills in, passed between the files that make its parts. Private to this folder.
#pragma once
#include "reconcile/kong_object.h"

namespace weir::reconcile {

struct Sheet {
  Sheet(const Name& its_name, const Object& its_object, View& its_view, Output& out)
      : name(its_name), object(its_object), view(its_view), entities(out.entities), output(out) {}

  const Name& name;
  const Object& object;  // the Ingress
  View& view;
  kong::Entities entities;
  Output& output;

  void fault(std::string_view sentence) { kong::add_fault(output.fault, sentence); }
};

}  // namespace weir::reconcile
