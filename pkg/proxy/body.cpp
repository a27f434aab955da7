#include "proxy/body.h"

#include <algorithm>
#include <cstring>

#include "http/print.h"

namespace weir::proxy {

void Body::begin(http::Framing framing, std::uint64_t length) {
  framing_ = framing;
  left_ = framing == http::Framing::length ? length : 0;
  bytes_ = 0;
  done_ = framing == http::Framing::none || (framing == http::Framing::length && length == 0);
  if (used_chunks_) chunks_.reset();
  used_chunks_ = framing == http::Framing::chunked;
}

Body::Decoded Body::decode(char* bytes, std::size_t size) {
  std::string_view input(bytes, size);
  if (done_) return {input.substr(0, 0), input};
  if (framing_ == http::Framing::until_close) {
    bytes_ += size;
    return {input, {}};
  }
  if (framing_ == http::Framing::length) {
    auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size));
    left_ -= take;
    bytes_ += take;
    done_ = left_ == 0;
    return {input.substr(0, take), input.substr(take)};
  }
  char *begin = bytes, *end = bytes;  // the data moved together so far
  for (;;) {
    auto step = chunks_.next(input);
    input.remove_prefix(step.used);
    using Event = http::ChunkDecoder::Event;
    if (step.event == Event::data) {
      if (begin == end) begin = end = const_cast<char*>(step.data.data());
      if (end != step.data.data()) std::memmove(end, step.data.data(), step.data.size());
      end += step.data.size();
      bytes_ += step.data.size();
      continue;
    }
    done_ = step.event == Event::end;
    return {{begin, static_cast<std::size_t>(end - begin)},
            done_ ? input : std::string_view(),
            step.event != Event::malformed};
  }
}

bool Body::end_of_stream() {
  if (framing_ == http::Framing::until_close) done_ = true;
  return done_;
}

std::string_view frame_chunk(std::string_view data, bool last, std::string_view trailers) {
  char* begin = const_cast<char*>(data.data());
  char* end = begin + data.size();
  if (!data.empty()) {
    char size[frame_room];
    std::size_t n = http::print_chunk_size(size, data.size());
    begin -= n;
    std::memcpy(begin, size, n);
    end = http::put(end, "\r\n");
  }
  if (last) {
    end = http::put(end, "0\r\n");
    end = http::put(end, trailers);
    end = http::put(end, "\r\n");
  }
  return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace weir::proxy
