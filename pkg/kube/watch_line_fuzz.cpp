// Watch lines, lists and the cutting into lines, whatever the server sends: what is kept can be read again and is the
// same as itself.
#include <cstdint>
#include <string>

#include "kube/lease_record.h"
#include "kube/lines.h"
#include "kube/object.h"

using namespace weir::kube;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr Kind kind{"weir.dev", "v1", "WeirRoute", "weirroutes"};
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto check = [&](const Item& item) {
    WEIR_ASSERT(!item.name.name.empty());
    auto object = parse_kept(item.text);
    auto again = keep(object, kind);
    WEIR_ASSERT(again && again->text == item.text && again->name == item.name);
    WEIR_ASSERT(same_but_revision(item.text, item.revision, again->text, again->revision));
  };
  if (const auto event = parse_event(text, kind); event && event->type == Event::Type::changed) check(event->item);
  if (const auto page = parse_page(text, kind))
    for (const auto& item : page->items) check(item);
  if (auto record = LeaseRecord::parse(text)) {
    const auto again = LeaseRecord::parse(record->print("space", "name"));
    WEIR_ASSERT(again && again->same_state(*record));
  }

  // However the bytes arrive, the lines are the same.
  Lines at_once, one_by_one;
  std::string first, second;
  WEIR_ASSERT(at_once.add(text));
  while (const auto line = at_once.next()) first.append(*line).append("\n");
  for (const char c : text) {
    WEIR_ASSERT(one_by_one.add({&c, 1}));
    while (const auto line = one_by_one.next()) second.append(*line).append("\n");
  }
  WEIR_ASSERT(first == second);
  return 0;
}
