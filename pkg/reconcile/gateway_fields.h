// Reading of objects of Kubernetes: what is not there, or of another type, reads as empty. The API server has checked
// them against their schemas; an older CRD may have let something else pass.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "reconcile/unit.h"

namespace weir::reconcile {

std::string text_of(const Object&, std::string_view field, std::string_view otherwise = {});
std::optional<std::int64_t> number_of(const Object&, std::string_view field);
std::optional<bool> flag_of(const Object&, std::string_view field);
// Fields within fields; an empty one when something of the path is missing.
const Object& object_of(const Object&, std::initializer_list<std::string_view> path);
const boost::json::array& array_of(const Object&, std::initializer_list<std::string_view> path);
// An element of an array that should be an object; an empty one otherwise.
const Object& object_in(const boost::json::value&);
bool has(const Object&, std::string_view field);  // is there and not null

std::int64_t generation_of(const Object&);
std::int64_t created_at(const Object&);  // Unix seconds of metadata.creationTimestamp; 0 when it is missing
model::DeclaredByPtr declared_by(std::string_view kind, const Name&, const Object&);

// metav1.LabelSelector; an empty one holds for all, a missing one (nullptr) for none.
bool selects(const Object* selector, const Object& labels);
// The value of RouteNamespaces or ListenerNamespaces (from, selector), for an object in `space`; otherwise: the
// default of `from`. own: the namespace of the object that the value stands in.
bool allows_namespace(const Object& namespaces, std::string_view otherwise, const std::string& own,
                      const std::string& space, View&);

// A group or kind of a reference, which may be left out.
bool refers_to(const Object& reference, const Kind&, std::string_view group_otherwise, std::string_view kind_otherwise);

}  // namespace weir::reconcile
