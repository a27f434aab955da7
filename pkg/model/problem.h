// What is wrong with a request to change or read entities: Kong's error object (code, name, message, fields).
//
// Made by the schema engine (2, 10), the stores (1, 3..6, 13) and the Admin API (7, 9, 11, 12); the wording is Kong's,
// because clients match it. A value; nothing here does I/O.
#pragma once
#include <expected>
#include <string>
#include <string_view>

#include <boost/json.hpp>

namespace weir::model {

using Object = boost::json::object;  // an entity on its way in or out: field name -> value

struct Problem {
  // Kong's numbers (kong/db/errors.lua).
  enum Code {
    invalid_primary_key = 1,
    schema_violation = 2,
    primary_key_violation = 3,
    foreign_key_violation = 4,
    unique_violation = 5,
    not_found = 6,
    invalid_offset = 7,
    database_error = 8,
    invalid_size = 9,
    invalid_unique = 10,
    invalid_options = 11,
    operation_unsupported = 12,
    foreign_keys_unresolved = 13,
    declarative_invalid = 14,
    referenced_by_others = 19
  };
  Code code{};
  std::string message;
  Object fields;             // left out of the body when empty; named "options" for invalid_options
  std::string unique_field;  // invalid_unique only: the name is "invalid unique <field>"
  bool unavailable = false;  // database_error only: the database is away; 503, and the message is shown

  std::string name() const;      // "schema violation"
  unsigned http_status() const;  // 400, 404, 405, 409, 500
  Object body() const;           // the error object; a database_error shows nothing of its message
};

template <class T = void>
using Outcome = std::expected<T, Problem>;

// Prints a key as Kong does in messages: {id="..."}, keys sorted, null as null, nested tables inline.
std::string key_text(const Object& key);

// fields: faults by field; a record's as an object, a list's as an array by position, the entity's under "@entity".
Problem schema_violation(Object fields);
Problem invalid_options(Object options);                              // code 11
Problem declarative_invalid(Object fields);                           // code 14
Problem invalid_unique(std::string_view field, std::string message);  // code 10
Problem unique_violation(const Object& key);                          // "UNIQUE violation detected on '{name="x"}'"
Problem primary_key_violation(std::string_view id);
Problem foreign_missing(std::string_view field, const Object& key, std::string_view entity);  // insert/update, code 4
Problem foreign_referenced(std::string_view by, std::string_view entity);  // delete, code 4, fields @referenced_by
Problem foreign_unresolved(std::string_view field, const Object& key, std::string_view entity);  // code 13
Problem missing(std::string_view id);                                // code 6 by primary key
Problem missing_by(std::string_view field, std::string_view value);  // code 6 by unique key
Problem database_failed(std::string message);                        // code 8; message goes to the log only
Problem database_unavailable(std::string message);                   // code 8, 503; message without secrets

}  // namespace weir::model
