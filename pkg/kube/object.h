// What the API server's lists and watch lines say, and what is kept of an object. No I/O.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kube/informer.h"

namespace weir::kube {

// An object as it is kept: apiVersion, kind and metadata first, without metadata.managedFields and the annotation of
// kubectl's last apply.
struct Item {
  Name name;
  std::uint64_t revision = 0;  // its resourceVersion; 0: not a number
  std::string text;
};
// Consumes the object. An error: it has no name.
Result<Item> keep(Object&, const Kind&);
Object parse_kept(std::string_view text);
// Whether nothing but metadata.resourceVersion differs.
bool same_but_revision(std::string_view a, std::uint64_t revision_a, std::string_view b, std::uint64_t revision_b);

struct Event {
  enum class Type : std::uint8_t { changed, deleted, bookmark, error };
  Type type = Type::error;
  Item item;                   // of changed and deleted (text of changed only)
  std::uint64_t revision = 0;  // of all but error
  int code = 0;                // of error
  std::string message;         // of error
};
Result<Event> parse_event(std::string_view line, const Kind&);

struct Page {
  std::vector<Item> items;
  std::uint64_t revision = 0;
  std::string next;  // the "continue" token; empty: this was the last one
};
Result<Page> parse_page(std::string_view body, const Kind&);

// For a query's value: all but RFC 3986's unreserved characters is escaped.
std::string escape_query(std::string_view);

}  // namespace weir::kube
