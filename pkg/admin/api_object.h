// Kong 0.10's "api" object, and how it is one service and one route of today.
//
// Pure: no store. Wording of faults is 0.10's, {"<field>": "<what>"}.
#pragma once
#include <expected>
#include <optional>
#include <string>

#include "model/problem.h"

namespace weir::admin {

using model::Object;

// What is wrong with an api, as its body: {"name":"name is required"} or {"message":...}.
using ApiFaults = Object;

// Checks what a client sent and gives it the stored types: lists from comma separated text, numbers and booleans from
// text. Only the fields that were given; null ones stay null. http_if_terminated is left out.
std::expected<Object, ApiFaults> read_api(Object input);
// The rules for a whole api: required fields, one of hosts, uris and methods. Fills in defaults.
std::expected<Object, ApiFaults> complete_api(Object api);

// Inputs for the schemas of services and routes. before: the api as it was, so that only what differs is given.
Object service_part(const Object& api);
Object route_part(const Object& api, const Object* before = nullptr);

// Whether the route (with its service) says nothing that an api cannot say.
bool is_api(const Object& route);
Object to_api(const Object& route, const Object& service);

// The schemas' faults and conflicts in 0.10's words; status 400 or 409. Nothing for other problems.
struct ApiRefusal {
  unsigned status;
  Object body;
};
std::optional<ApiRefusal> to_api_refusal(const model::Problem&);

// The names of all fields; "id" first.
std::span<const std::string_view> api_fields();
// For the OpenAPI document.
Object api_json_schema();

}  // namespace weir::admin
