// Beast's parser as the oracle: random valid messages must be read the same by both.
//
// Compiled into this one unit, header only, so that the library of this folder needs nothing of it.
#undef BOOST_BEAST_SEPARATE_COMPILATION
#include <boost/beast/http/basic_parser.hpp>
#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "http/head.h"

namespace weir::http {
namespace {

namespace beast = boost::beast;

// Collects what the oracle found: start line, then name|value lines.
template <bool is_request>
class Oracle : public beast::http::basic_parser<is_request> {
 public:
  std::string text;

  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       beast::error_code&) override {
    text += fmt::format("{} {} {}\n", std::string_view(method), std::string_view(target), version);
  }
  void on_response_impl(int status, beast::string_view reason, int version, beast::error_code&) override {
    text += fmt::format("{} {} {}\n", status, std::string_view(reason), version);
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     beast::error_code&) override {
    text += fmt::format("{}|{}\n", std::string_view(name), std::string_view(value));
  }
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, beast::error_code&) override {}
  std::size_t on_body_impl(beast::string_view body, beast::error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, beast::error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, beast::error_code&) override {
    return body.size();
  }
  void on_finish_impl(beast::error_code&) override {}
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  std::string pick(std::string_view characters, std::size_t least, std::size_t most) {
    std::string out(least + below(most - least + 1), 0);
    for (char& c : out) c = characters[below(characters.size())];
    return out;
  }
  std::string token() { return pick("abcXYZ019-_!#$%&'*+.^`|~", 1, 30); }
  std::string value() {
    auto out = pick("abc XYZ\t0189-,;=\"/()\xc3\xbc\xff", 0, 80);
    // Beast keeps a tab at the end of a value; RFC 9112 section 5.1 takes it off.
    while (!out.empty() && (out.back() == ' ' || out.back() == '\t')) out.pop_back();
    return out;
  }
  std::string fields() {
    std::string out;
    for (auto n = below(20); n > 0; n--) out += "x-" + token() + ":" + pick(" ", 0, 2) + value() + "\r\n";
    switch (below(4)) {
      case 0:
        out += fmt::format("Content-Length: {}\r\n", below(1'000'000));
        break;
      case 1:
        out += "Transfer-Encoding: chunked\r\n";
        break;
      default:
        break;
    }
    static constexpr std::string_view connection[] = {"", "", "Connection: close\r\n", "Connection: keep-alive\r\n"};
    return out.append(connection[below(4)]);
  }

 private:
  std::mt19937 random_;
};

template <class AnyHead, bool is_request>
void compare(const AnyHead& head, Oracle<is_request>& oracle, const std::string& bytes, std::string start) {
  oracle.header_limit(1 << 20);
  oracle.body_limit(boost::none);
  if constexpr (!is_request) oracle.skip(false);
  beast::error_code error;
  const auto used = oracle.put(boost::asio::buffer(bytes), error);
  ASSERT_FALSE(error) << error.message() << "\n" << bytes;
  EXPECT_EQ(used, head.bytes);
  for (const auto& f : head.fields()) start += fmt::format("{}|{}\n", f.name, f.value);
  EXPECT_EQ(start, oracle.text);
  EXPECT_EQ(head.framing == Framing::chunked, oracle.chunked());
  const auto length = oracle.content_length();
  EXPECT_EQ(head.framing == Framing::length, length.has_value());
  if (length) {
    EXPECT_EQ(head.content_length, *length);
  }
  EXPECT_EQ(head.keep_alive, oracle.keep_alive());
}

TEST(Differential, reads_random_requests_as_beast_does) {
  for (unsigned seed = 0; seed < 3000; seed++) {
    SCOPED_TRACE(seed);
    Generator g(seed);
    const auto target = "/" + g.pick("abcXYZ019-._~!$&'()*+,;=:@/%?", 0, 200);
    const auto method = g.pick("ABCXYZ-", 1, 12);
    const auto bytes = fmt::format("{} {} HTTP/1.1\r\nHost: gw.test\r\n{}\r\n", method, target, g.fields());
    RequestHead head;
    ASSERT_EQ(scan_request(head, bytes, Limits()), Scan::done) << bytes;
    Oracle<true> oracle;
    compare(head, oracle, bytes, fmt::format("{} {} 11\n", head.method, head.target));
  }
}

TEST(Differential, reads_random_responses_as_beast_does) {
  for (unsigned seed = 0; seed < 3000; seed++) {
    SCOPED_TRACE(seed);
    Generator g(seed);
    const auto bytes =
        fmt::format("HTTP/1.1 {} {}\r\n{}\r\n", 200 + g.below(300), g.pick("abc XYZ", 0, 20), g.fields());
    ResponseHead head;
    ASSERT_EQ(scan_response(head, bytes, "GET", Limits()), Scan::done) << bytes;
    if (head.status == 204 || head.status == 304) continue;  // Beast leaves the rule to its caller
    Oracle<false> oracle;
    compare(head, oracle, bytes, fmt::format("{} {} 11\n", head.status, head.reason));
  }
}

}  // namespace
}  // namespace weir::http
