#include "reconcile/kong_annotations.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "model/formats.h"
#include "reconcile/kong_object.h"

namespace weir::reconcile::kong {
namespace {

namespace json = boost::json;

json::array read_list(std::string_view text, bool upper) {
  json::array out;
  for (const auto part : text::split(text)) {
    std::string element(part);
    if (upper)
      for (char& c : element)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c & ~0x20);
    out.emplace_back(std::move(element));
  }
  return out;
}

// Null: not of this form.
json::value read_value(std::string_view text, AnnotatedField::Form form, std::string_view& wanted) {
  using Form = AnnotatedField::Form;
  switch (form) {
    case Form::text:
      wanted = "a text";
      return text.empty() ? json::value() : json::value(text);
    case Form::number: {
      wanted = "a whole number";
      std::int64_t number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      return error == std::errc{} && end == text.data() + text.size() ? json::value(number) : json::value();
    }
    case Form::flag: {
      wanted = "true or false";
      const auto flag = read_flag(text);
      return flag ? json::value(*flag) : json::value();
    }
    case Form::list:
    case Form::upper_list: {
      wanted = "a list with commas between its elements";
      auto list = read_list(text, form == Form::upper_list);
      return list.empty() ? json::value() : json::value(std::move(list));
    }
  }
  return {};
}

}  // namespace

std::optional<bool> read_flag(std::string_view text) {
  constexpr std::array<std::string_view, 6> yes{"1", "t", "T", "TRUE", "true", "True"};
  constexpr std::array<std::string_view, 6> no{"0", "f", "F", "FALSE", "false", "False"};
  if (std::ranges::find(yes, text) != yes.end()) return true;
  if (std::ranges::find(no, text) != no.end()) return false;
  return std::nullopt;
}

std::map<std::string, std::string> read_annotations(const Object& object, std::span<const AnnotatedField> fields,
                                                    Object& input, std::string_view of, std::string& fault) {
  std::map<std::string, std::string> out;
  for (const auto& field : fields) {
    const auto text = kong_annotation(object, field.key);
    if (!text) continue;
    std::string_view wanted;
    auto value = read_value(*text, field.form, wanted);
    if (value.is_null()) {
      add_fault(fault, fmt::format("{}: annotation konghq.com/{} is left out: '{}' is not {}", of, field.key,
                                   model::shown(*text), wanted));
      continue;
    }
    input[field.field] = std::move(value);
    out.emplace(field.field, fmt::format("annotation konghq.com/{}", field.key));
  }
  return out;
}

}  // namespace weir::reconcile::kong
