#include "plugin/instances_for_tests.h"

namespace weir::plugin {
namespace {

struct Case {
  std::string config;
  std::optional<std::uint64_t> length;  // declared; nothing: chunked
  int answered = 0;
  std::uint64_t limit = 0;  // of a chunked body, when it goes on
  bool expects = false;
};

TEST(RequestSizeLimiting, refuses_larger_bodies) {
  const std::string ten = R"({"allowed_payload_size":10,"size_unit":"bytes"})";
  const Case cases[] = {
      {ten, 10, 0},
      {ten, 11, 413},
      {ten, 11, 417, 0, true},
      {ten, 0, 0},
      {ten, std::numeric_limits<std::uint64_t>::max(), 413},
      {ten, std::nullopt, 0, 10},
      {R"({"allowed_payload_size":2,"size_unit":"kilobytes"})", 2048, 0},
      {R"({"allowed_payload_size":2,"size_unit":"kilobytes"})", 2049, 413},
      {R"({"allowed_payload_size":2})", 2097152, 0},
      {R"({"allowed_payload_size":2})", 2097153, 413},
      {"{}", 128 << 20, 0},
      {"{}", (128 << 20) + 1, 413},
      {"{}", std::nullopt, 0, 128 << 20},
      {R"({"allowed_payload_size":9007199254740991})", 1ull << 62, 0},
      {R"({"allowed_payload_size":-1})", 0, 413},
      {R"({"allowed_payload_size":0})", 0, 0},
      {R"({"require_content_length":true})", 5, 0},
      {R"({"require_content_length":true})", std::nullopt, 411},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(fmt::format("{} {}", c.config, c.length ? fmt::format("{}", *c.length) : "chunked"));
    const auto plugin = make_plugin(request_size_limiting(), c.config);
    FakeExchange x;
    x.content_length_ = c.length;
    x.has_body_ = true;
    x.expects_continue_ = c.expects;
    EXPECT_EQ(x.run_access(*plugin), c.answered ? Step::done : Step::next);
    EXPECT_EQ(x.answered, c.answered);
    if (c.answered) {
      EXPECT_TRUE(x.by_error);
      EXPECT_EQ(x.answer,
                c.answered == 411 ? "A valid Content-Length header is required" : "Request size limit exceeded");
    }
    ASSERT_EQ(x.body_limit.has_value(), !c.answered && !c.length);
    if (x.body_limit) {
      EXPECT_EQ(x.body_limit->bytes, c.limit);
      EXPECT_EQ(x.body_limit->status, 413);
      EXPECT_EQ(x.body_limit->message, "Request size limit exceeded");
    }
  }
}

TEST(RequestSizeLimiting, limits_a_chunked_body_that_is_announced_by_417) {
  const auto plugin = make_plugin(request_size_limiting(), "{}");
  FakeExchange x;
  x.has_body_ = x.expects_continue_ = true;
  EXPECT_EQ(x.run_access(*plugin), Step::next);
  ASSERT_TRUE(x.body_limit);
  EXPECT_EQ(x.body_limit->status, 417);
}

TEST(RequestSizeLimiting, leaves_requests_without_a_body_alone) {
  FakeExchange x;
  EXPECT_EQ(x.run_access(*make_plugin(request_size_limiting(), "{}")), Step::next);
  EXPECT_EQ(x.edits, 0u);
}

TEST(RequestSizeLimiting, says_what_is_wrong_with_a_configuration) {
  EXPECT_NE(faults_of(request_size_limiting(), R"({"size_unit":"bits"})")
                .find("expected one of: megabytes, kilobytes, bytes"),
            std::string::npos);
  EXPECT_NE(faults_of(request_size_limiting(), R"({"allowed_payload_size":"x"})").find("expected an integer"),
            std::string::npos);
  EXPECT_EQ(request_size_limiting().priority, 951);
}

}  // namespace
}  // namespace weir::plugin
