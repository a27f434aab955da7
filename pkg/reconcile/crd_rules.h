// Rules over several fields as CEL (x-kubernetes-validations), made of how a schema shows its rules.
//
// What the declaration of an entity says once is so refused by the API server as well. A rule that only concerns values
// or fields that the CRD does not offer is left out. No I/O.
#pragma once
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "model/schema.h"

namespace weir::reconcile {

using model::Object;

// record: the entity (Schema::as_record) or a record in it. properties: what its OpenAPI schema offers.
boost::json::array cel_rules(const model::Field& record, const Object& properties);
// One rule. field: which one to name; empty: the record itself. reason: FieldValueInvalid, FieldValueRequired,
// FieldValueForbidden.
Object cel_rule(std::string rule, std::string message, std::string_view field, std::string_view reason);

}  // namespace weir::reconcile
