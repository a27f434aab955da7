// Authorization: whatever is read has a user, and lies in what was sent.
#include <string>

#include "base/result.h"
#include "plugin/basic_credentials.h"

using namespace weir::plugin;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);  // a read beyond the end is seen
  for (const auto& header : {value, "Basic " + value}) {
    const auto read = parse_basic(header);
    if (!read) continue;
    WEIR_ASSERT(!read->user().empty() && read->user().find(':') == std::string_view::npos);
    WEIR_ASSERT(read->user().size() + 1 + read->password().size() == read->text.size());
    WEIR_ASSERT(read->text.size() < header.size());
    WEIR_ASSERT(!is_password(read->password(), "c", read->password()));
  }
  return 0;
}
