// Arguments of a query or a form, a=b&c=d, as a list that can be edited: in the request's order, names as often as they
// come.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::plugin {

class Arguments {
 public:
  // Escapes are decoded as nginx does: "+" is a space, a broken escape stands for itself.
  static Arguments parse(std::string_view encoded);
  std::string print() const;  // escapes all but letters, digits and -._~!*'()

  bool has(std::string_view name) const;
  const std::string* first(std::string_view name) const;  // null: there is none with a value
  bool remove(std::string_view name);                                         // all of that name; whether there was one
  bool rename(std::string_view old_name, std::string_view new_name);          // takes the place of all of the new name
  void set(std::string_view name, std::string_view value);                    // instead of all of that name
  void append(std::string_view name, std::optional<std::string_view> value);  // behind the last of that name
  void append_all(const Arguments&);
  bool empty() const { return list_.empty(); }

 private:
  struct Argument {
    std::string name;
    std::optional<std::string> value;  // nothing: there is no "="
  };
  std::vector<Argument> list_;
};

}  // namespace weir::plugin
