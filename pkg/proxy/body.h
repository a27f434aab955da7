// One body on its way through: where it ends, and how its bytes are framed for the other side.
//
// Works in place on the worker's receive buffer: chunk framing is taken off by moving data together and put on by
// printing around it, so the caller keeps `frame_room` bytes free before and behind.
#pragma once
#include <cstdint>
#include <string_view>

#include "http/chunked.h"
#include "http/head.h"

namespace weir::proxy {

class Body {
 public:
  struct Decoded {
    std::string_view data;  // without framing; a part of the input's bytes
    std::string_view rest;  // what follows the end of the body
    bool ok = true;         // false: malformed chunks
  };

  void begin(http::Framing framing, std::uint64_t length);
  Decoded decode(char* bytes, std::size_t size);
  // The stream ended: completes a body that lasts until then, and says whether the body is complete.
  bool end_of_stream();

  bool done() const { return done_; }
  http::Framing framing() const { return framing_; }
  std::uint64_t bytes() const { return bytes_; }  // of data so far
  std::uint64_t left() const { return left_; }    // Framing::length
  std::string_view trailers() const { return framing_ == http::Framing::chunked ? chunks_.trailers() : ""; }

 private:
  http::Framing framing_ = http::Framing::none;
  bool done_ = true, used_chunks_ = false;
  std::uint64_t left_ = 0, bytes_ = 0;
  http::ChunkDecoder chunks_;
};

// The most that frame_chunk prints before the data, and behind it besides the trailers.
inline constexpr std::size_t frame_room = 32;

// Prints one chunk around `data`, and the last chunk with its trailers when `last`. Empty when there is nothing to say.
// Writes up to frame_room bytes before data and frame_room + trailers.size() behind it.
std::string_view frame_chunk(std::string_view data, bool last, std::string_view trailers);

}  // namespace weir::proxy
