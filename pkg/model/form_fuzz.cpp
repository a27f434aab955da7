// Any bytes as a form: decoding stays within its bounds, and what it yields can be typed by every schema, twice.
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "model/entities.h"
#include "model/form.h"

namespace {

namespace json = boost::json;

std::size_t depth(const json::value& value) {
  std::size_t deepest = 0;
  if (const auto* object = value.if_object())
    for (const auto& pair : *object) deepest = std::max(deepest, depth(pair.value()));
  if (const auto* array = value.if_array())
    for (const auto& element : *array) deepest = std::max(deepest, depth(element));
  return value.is_structured() ? deepest + 1 : 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::model;
  const auto form = decode_form({reinterpret_cast<const char*>(data), size});
  if (!form) {
    WEIR_ASSERT(!form.error().message.empty());
    return 0;
  }
  WEIR_ASSERT(depth(*form) <= form_depth_max);
  for (const auto* schema : schemas()) {
    auto typed = *form;
    infer(*schema, typed);
    auto again = typed;
    infer(*schema, again);
    WEIR_ASSERT(again == typed);
    (void)schema->insert(std::move(typed), 1700000000);
  }
  return 0;
}
