// Chunked bodies: however the input is cut, data, outcome and trailers are the same, and what was read, printed again,
// is read the same.
#include <algorithm>
#include <string>

#include "base/result.h"
#include "http/chunked.h"
#include "http/head.h"

namespace {

using weir::http::ChunkDecoder;
using Event = ChunkDecoder::Event;

struct Outcome {
  Event event = Event::more;
  std::string data, trailers;
  std::size_t used = 0;
};

// Cuts by the bytes of `cuts`, over and over; all at once when it is empty.
Outcome decode(std::string_view input, std::string_view cuts) {
  ChunkDecoder decoder;
  Outcome out;
  for (std::size_t turn = 0; out.used < input.size() && out.event == Event::more; turn++) {
    const std::size_t most =
        cuts.empty() ? input.size() : 1 + static_cast<unsigned char>(cuts[turn % cuts.size()]) % 32;
    const std::string copy(input.substr(out.used, most));  // a read beyond the end is seen
    std::string_view piece = copy;
    do {
      const auto step = decoder.next(piece);
      WEIR_ASSERT(step.used <= piece.size() && step.data.size() <= step.used);
      if (!step.data.empty()) {
        WEIR_ASSERT(step.data.data() >= piece.data() && step.data.end() <= piece.end());
      }
      WEIR_ASSERT((step.event == Event::data) == !step.data.empty());
      piece.remove_prefix(step.used);
      out.used += step.used;
      out.data += step.data;
      out.event = step.event;
    } while (out.event == Event::data);
    WEIR_ASSERT(out.event != Event::more || piece.empty());
  }
  out.trailers = decoder.trailers();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cuts = std::min<std::size_t>(1 + data[0] % 16, size);
  const auto body = input.substr(cuts);
  const auto whole = decode(body, {});
  const auto pieces = decode(body, input.substr(0, cuts));
  WEIR_ASSERT(whole.event == pieces.event && whole.data == pieces.data);
  if (whole.event != Event::end) return 0;
  WEIR_ASSERT(whole.trailers == pieces.trailers && whole.used == pieces.used);
  WEIR_ASSERT(whole.trailers.empty() || whole.trailers.ends_with("\r\n"));

  char size_line[18];
  std::string again;
  if (!whole.data.empty()) {
    again.append(size_line, weir::http::print_chunk_size(size_line, whole.data.size()));
    again += whole.data + "\r\n";
  }
  again += "0\r\n" + whole.trailers + "\r\n";
  const auto second = decode(again, {});
  WEIR_ASSERT(second.event == Event::end && second.data == whole.data && second.trailers == whole.trailers);
  return 0;
}
