// What plugins change of a head: fields set, added and removed, as a list that is looked through when the head is read
// or printed. Nothing of the head itself is copied.
//
// One string holds all texts, and both it and the list keep their memory for the next exchange.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/head.h"
#include "plugin/exchange.h"

namespace weir::proxy {

class FieldEdits {
 public:
  // Of all texts; what does not fit is refused.
  explicit FieldEdits(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // False: refused, since the name is no token, the value could end the line, or there is no room.
  bool set(std::string_view name, std::string_view value) { return note(Kind::set, name, value); }
  bool add(std::string_view name, std::string_view value) { return note(Kind::add, name, value); }
  bool remove(std::string_view name) { return note(Kind::remove, name, {}); }

  bool empty() const { return edits_.empty(); }
  void clear();
  // Takes back what was noted after a mark: the response that it was for is not sent.
  std::size_t mark() const { return edits_.size(); }
  void back_to(std::size_t mark) { edits_.resize(mark); }

  // Whether fields of this name that the head brought are replaced or taken out.
  bool replaces(std::string_view name) const { return ends(name, 0); }
  // The fields that come to those of the head.
  template <class Visit>
  void each_added(Visit&& visit) const {  // until it returns true
    for (std::size_t i = 0; i < edits_.size(); i++)
      if (edits_[i].kind != Kind::remove && !ends(name(edits_[i]), i + 1) && visit(name(edits_[i]), value(edits_[i])))
        return;
  }
  // Marks the head's lines that are replaced, so that they are not forwarded.
  void drop_replaced(http::Head&) const;
  // The lines of each_added, and their length.
  char* put_added(char* out) const;
  std::size_t added_bytes() const { return texts_.size() + 4 * edits_.size(); }

 private:
  enum class Kind : std::uint8_t { set, add, remove };
  struct Edit {
    Kind kind;
    std::uint32_t at, name_bytes, value_bytes;
  };
  bool note(Kind, std::string_view name, std::string_view value);
  bool ends(std::string_view name, std::size_t from) const;
  std::string_view name(const Edit& e) const { return {texts_.data() + e.at, e.name_bytes}; }
  std::string_view value(const Edit& e) const { return {texts_.data() + e.at + e.name_bytes, e.value_bytes}; }

  const std::size_t bytes_max_;
  std::string texts_;
  std::vector<Edit> edits_;
};

// Fields that Weir alone writes: framing, hop-by-hop ones, X-Forwarded-* and its own marks. Host is one of a request.
bool is_own_request_field(std::string_view name);
bool is_own_response_field(std::string_view name);

// A head together with its edits, as plugins see it.
std::optional<std::string_view> first_value(const http::Head&, const FieldEdits&, std::string_view name);
void each_field(const http::Head&, const FieldEdits&, const plugin::EachField&);

}  // namespace weir::proxy
