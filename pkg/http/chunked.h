// The chunked transfer coding (RFC 9112 section 7.1), read incrementally and strictly.
//
// Decoder tells which parts of the input are data; it copies nothing. Chunk extensions are dropped and bounded,
// trailers are collected within a bound. The printer side is two lines of text around the data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir::http {

class ChunkDecoder {
 public:
  enum class Event : std::uint8_t { data, more, end, malformed };
  struct Step {
    Event event;
    std::size_t used;       // bytes of the input that are behind us now
    std::string_view data;  // Event::data: a slice of the input
  };

  // Reads on from `input`; call again with what is left until more, end or malformed; those two stay. Bounds: size line
  // 4 KiB with its extensions, all extensions 4 KiB per MiB of body begun, trailers 16 KiB. How the input is cut makes
  // no difference to the data and the outcome.
  Step next(std::string_view input);

  // After end: trailer lines with their CRLFs, checked as fields; forbidden ones (framing, Host, hop-by-hop, ...: RFC
  // 9110 section 6.5.1) are left out. Empty when there were none.
  std::string_view trailers() const { return trailers_; }
  void reset();

 private:
  enum class State : std::uint8_t { size_line, data, data_cr, data_lf, trailer_line, done, failed };
  enum class Line : std::uint8_t { whole, partial, too_long };

  Line take_line(std::string_view& input, std::size_t most, std::string_view& line);
  bool read_size(std::string_view line);
  bool read_trailer(std::string_view line, bool& last);

  State state_ = State::size_line;
  std::uint64_t left_ = 0;  // of the chunk
  std::uint64_t body_bytes_ = 0;
  std::size_t extension_bytes_ = 0, trailer_bytes_ = 0;
  std::string line_;  // a line that came in pieces
  std::string trailers_;
};

// Writes "<hex>\r\n" to `out` (at least 18 bytes) and returns its length; data and "\r\n" follow.
std::size_t print_chunk_size(char* out, std::uint64_t bytes);

}  // namespace weir::http
