// What a declaration may say of a field beside its type: limits, checks, defaults.
//
// A Rule is applied once, when the schema is built: field("weight", &Target::weight, "...", between(0, 65535)).
#pragma once
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "model/formats.h"
#include "model/schema.h"

namespace weir::model {

using Rule = std::function<void(Field&)>;

Rule required();
Rule nullable();  // null is accepted although the struct has a value: it means the default there
Rule unique();
Rule between(double low, double high);
Rule greater_than(double);
Rule one_of(std::vector<std::string> words);
Rule len_min(std::size_t);
Rule len_max(std::size_t);
Rule initial(boost::json::value);
Rule no_default();
Rule automatic(Auto, bool milliseconds = false);
Rule uuid_form();
Rule foreign(std::string reference);
Rule cascade();                           // deleted with its parent
Rule as_set();                            // a list without repetitions
Rule check(Wrong (*)(std::string_view));  // strings
Rule check_value(std::function<Wrong(const boost::json::value&)>);
Rule normalised(std::string (*)(std::string_view));    // strings: the stored form
Rule each(std::vector<Rule>);                          // of the elements of an array or set
Rule keys(std::vector<Rule>);                          // of a map
Rule values(std::vector<Rule>);                        // of a map
Rule list_of(Type element, std::vector<Rule> = {});    // makes it an array
Rule lists_by_name();                                  // makes it a map of arrays of strings
Rule record(std::vector<Field>);                       // default: that of its fields
Rule at_least_one_of(std::vector<std::string> names);  // records
Rule shown_as(std::string_view attribute, boost::json::value);
Rule referenceable();  // Kong takes references to vaults here
Rule encrypted();      // a secret
// Sets that must not be mixed: {http, https} with {tcp, tls, udp}.
Rule mutually_exclusive(std::vector<std::vector<std::string>> sets);

// Values that this version honours; every other one is refused by a message that ends in `remedy`.
Rule supports_only(std::vector<boost::json::value> values, std::string remedy);

// A field without a member in the struct: declared, checked and stored, but not read by the compiler.
Field declare(std::string name, Type, std::string help, std::initializer_list<Rule> rules = {});

// A rule over several fields of an entity, and how /schemas shows it.
struct CrossRule {
  Object described;
  EntityCheck check;
};
// when `field` is one of `words`, `then` must be null.
CrossRule null_when(std::string field, std::vector<std::string> words, std::string then);
// unless `field` is one of `words`, `then` must be null.
CrossRule null_unless(std::string field, std::vector<std::string> words, std::string then);
CrossRule required_when(std::string field, std::string word, std::string then);
CrossRule one_of_when(std::string field, std::string word, std::string then, std::vector<std::string> words);
CrossRule distinct(std::string a, std::string b);
// Of these fields (lists and texts count when they are not empty) ...
CrossRule any_of(std::vector<std::string> names);          // at least one must be given
CrossRule exactly_one_of(std::vector<std::string> names);  // one
CrossRule at_most_one_of(std::vector<std::string> names);  // one or none
CrossRule all_or_none_of(std::vector<std::string> names);
// The field `old_name` that stands for the one at `path` among `fields`.
Field old_field(const std::vector<Field>& fields, std::string_view old_name, std::vector<std::string> path);

// For checks: the value of a field, null when it is absent; whether it counts as given; its text.
const boost::json::value& value_of(const Object& entity, std::string_view field);
bool is_given(const boost::json::value&);  // neither null nor empty
std::string_view text_of(const boost::json::value&);
std::string quoted_list(const std::vector<std::string>& names);  // 'a', 'b'

}  // namespace weir::model
