// What the schema engine does with one value of a field. Private to this folder.
#pragma once
#include <boost/json.hpp>

#include "model/schema.h"

namespace weir::model {

// What is wrong with a value that is not null: null when it is fine, else a message, or an object or array that holds
// the messages of a record's or list's parts.
boost::json::value fault_of(const Field& field, const boost::json::value& value);

// One spelling for equal values, before they are checked: 5.0 becomes 5, a UUID lower case, a set loses repetitions;
// missing fields of records get their defaults.
void canonicalise(const Field& field, boost::json::value& value);

// The shorthands of a client's record, old names among them; faults by name. A value given by both names must be the
// same.
void expand(const Field& record, Object& input, Object& faults);
// Old names with the values of what replaced them, for answers.
void echo_old_names(const Field& record, Object& shown);
// A value of a row that another version wrote: see Schema::adapt.
void adapt(const Field& field, boost::json::value& value);

// The stored form of an accepted value.
void normalise(const Field& field, boost::json::value& value);

// A record with a patch merged in: records deeply, everything else whole.
boost::json::value merged(const Field& field, const boost::json::value& current, boost::json::value patch);

// Bounds what one answer lists, whatever the input's size.
inline constexpr std::size_t faults_max = 100;

}  // namespace weir::model
