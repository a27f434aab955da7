#include "plugin/instances_for_tests.h"
#include "plugin/request_transformer_arguments.h"

namespace weir::plugin {
namespace {

FakeExchange transformed(std::string_view config, FakeExchange x) {
  EXPECT_EQ(x.run_access(*make_plugin(request_transformer(), config)), Step::next);
  return x;
}

TEST(RequestTransformer, edits_headers) {
  struct Case {
    std::string_view config, field, value;
  };
  const Case cases[] = {
      {R"({"remove":{"headers":["X-A"]}})", "x-a", "-"},
      {R"({"remove":{"headers":["X-A"]}})", "x-b", "b1 | b2"},
      {R"({"rename":{"headers":["X-B:X-New"]}})", "x-b", "-"},
      {R"({"rename":{"headers":["X-B:X-New"]}})", "x-new", "b1 | b2"},
      {R"({"rename":{"headers":["X-A:x-b"]}})", "x-b", "a"},
      {R"({"rename":{"headers":["X-A:x-a"]}})", "x-a", "a"},
      {R"({"rename":{"headers":["X-None:x-a"]}})", "x-a", "a"},
      {R"({"replace":{"headers":["x-b:value:2"]}})", "x-b", "value:2"},
      {R"({"replace":{"headers":["x-none:1"]}})", "x-none", "-"},
      {R"({"add":{"headers":["x-a:1"]}})", "x-a", "a"},
      {R"({"add":{"headers":["x-none:1"]}})", "x-none", "1"},
      {R"({"append":{"headers":["x-a:1","x-a:2"]}})", "x-a", "a | 1 | 2"},
      {R"({"append":{"headers":["x-none:1"]}})", "x-none", "1"},
      {R"({"add":{"headers":["x-none:"]}})", "x-none", "-"},
      // In this order, whatever the configuration's is.
      {R"({"append":{"headers":["x-a:4"]},"add":{"headers":["x-a:3"]},"remove":{"headers":["x-a"]}})", "x-a", "3 | 4"},
      {R"({"remove":{"headers":["x-b"]},"rename":{"headers":["x-a:x-b"]},"replace":{"headers":["x-b:r","x-a:r"]},
           "add":{"headers":["x-a:n"]}})",
       "x-b", "r"},
      // Where the message ends is not for plugins.
      {R"({"remove":{"headers":["content-length"]}})", "content-length", "7"},
      {R"({"replace":{"headers":["Content-Length:1"]},"append":{"headers":["content-length:2"]}})", "content-length",
       "7"},
      {R"({"add":{"headers":["Transfer-Encoding:chunked"]}})", "transfer-encoding", "-"},
      {R"({"rename":{"headers":["x-a:Transfer-Encoding"]}})", "transfer-encoding", "-"},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    x.with("X-A", "a").with("X-B", "b1").with("x-b", "b2").with("Content-Length", "7");
    EXPECT_EQ(transformed(c.config, x).sent(c.field), c.value) << c.config;
  }
}

TEST(RequestTransformer, changes_the_host_by_replace_only) {
  FakeExchange x;
  x.with("Host", "old").with("X-A", "a");
  const auto kept = transformed(
      R"({"remove":{"headers":["Host"]},"rename":{"headers":["host:x-host","x-a:Host"]},"add":{"headers":["host:new"]},
          "append":{"headers":["HOST:new"]}})",
      x);
  EXPECT_EQ(kept.sent("host"), "old");
  EXPECT_EQ(kept.sent("x-a"), "a");
  EXPECT_EQ(kept.upstream_host, "");
  EXPECT_EQ(transformed(R"({"replace":{"headers":["Host:new.example"]}})", x).upstream_host, "new.example");
}

TEST(RequestTransformer, edits_the_query_in_its_order) {
  struct Case {
    std::string_view config, before, after;
  };
  const Case cases[] = {
      {R"({"remove":{"querystring":["a"]}})", "a=1&b=2&a=3&c", "b=2&c"},
      {R"({"remove":{"querystring":["a"]}})", "a=1", ""},
      {R"({"rename":{"querystring":["a:z"]}})", "z=0&a=1&b=2", "z=1&b=2"},
      {R"({"rename":{"querystring":["x:a"]}})", "a=1", "a=1"},
      {R"({"replace":{"querystring":["a:n w","x:1"]}})", "b=0&a=1&a=2", "b=0&a=n%20w"},
      {R"({"add":{"querystring":["a:9","p1:anything:1"]}})", "a=1", "a=1&p1=anything%3A1"},
      {R"({"append":{"querystring":["a:2","p:1"]}})", "a=1&b=0", "a=1&a=2&b=0&p=1"},
      {R"j({"add":{"querystring":["u[some][1]:$(query_params.q1)"]}})j", "q1=20", "q1=20&u%5Bsome%5D%5B1%5D=20"},
      {R"j({"remove":{"querystring":["q1"]},"add":{"querystring":["n:$(query_params.q1)"]
  }
})j",
       "q1=20", "n=20"},
      {R"j({"add":{"querystring":["e:$(headers.none)"]
}
})j",
       "", "e="},
      {R"({"remove":{"headers":["x"]}})", "a=$&+,/:;?@", "a=$&+,/:;?@"},  // untouched
      {R"({"remove":{"querystring":["x"]}})", "a%20b=%E4%zz&&=1&t=-._~!*'()", "a%20b=%E4%25zz&t=-._~!*'()"},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    x.query_ = c.before;
    EXPECT_EQ(transformed(c.config, x).query_, c.after) << c.config;
  }
}

struct BodyCase {
  std::string_view config, before, after;
};

void expect_bodies(std::string_view type, std::initializer_list<BodyCase> cases) {
  for (const auto& c : cases) {
    for (const bool slow : {false, true}) {
      FakeExchange x;
      x.with_body(type, std::string(c.before));
      x.slow = slow;
      const auto after = transformed(c.config, x);
      EXPECT_EQ(after.body_, c.after) << c.config;
      EXPECT_EQ(after.body_set, c.before != c.after) << c.config;
      EXPECT_EQ(after.waits, slow ? 1u : 0u);
    }
  }
}

TEST(RequestTransformer, edits_json) {
  expect_bodies(
      "application/json; charset=utf-8",
      {
          {R"({"remove":{"body":["a"]}})", R"({"z":1,"a":[],"b":{"a":1}})", R"({"z":1,"b":{"a":1}})"},
          {R"({"rename":{"body":["a:n"]}})", R"({"a":{"x":[1.5,null]},"b":2})", R"({"b":2,"n":{"x":[1.5,null]}})"},
          {R"({"rename":{"body":["x:b"]}})", R"({"b":2})", R"({"b":2})"},
          {R"({"replace":{"body":["a:v","x:v"]}})", R"({"a":7})", R"({"a":"v"})"},
          {R"({"replace":{"body":["a:v"]}})", R"({"a":null})", R"({"a":"v"})"},
          {R"({"replace":{"body":["a:v"]}})", R"({"a":false})", R"({"a":false})"},
          {R"({"add":{"body":["a:v","b:w"]}})", R"({"a":7,"e":[]})", R"({"a":7,"e":[],"b":"w"})"},
          {R"({"add":{"body":["a:v"]}})", R"({"a":false})", R"({"a":"v"})"},
          {R"({"append":{"body":["a:v","a:w"]}})", R"({"a":"u"})", R"({"a":["u","v","w"]})"},
          {R"({"append":{"body":["a:v"]}})", R"({"a":[1]})", R"({"a":[1,"v"]})"},
          {R"({"append":{"body":["a:v","b:w"]}})", R"({"a":1})", R"({"a":["v"],"b":["w"]})"},
          {R"({"add":{"body":["a:say \"hi\""]}})", "", R"({"a":"say \"hi\""})"},
          {R"({"remove":{"body":["a"]}})", "", ""},
          {R"({"add":{"body":["a:v"]}})", R"({"broken":)", R"({"broken":)"},
          {R"({"add":{"body":["a:v"]}})", R"([1,2])", R"([1,2])"},
          {R"({"add":{"body":["a:v"]}})", R"("text")", R"("text")"},
      });
}

TEST(RequestTransformer, leaves_json_that_is_nested_too_deeply) {
  const auto deep = std::string(200, '[') + std::string(200, ']');
  expect_bodies("application/json", {{R"({"add":{"body":["a:v"]}})", deep, deep}});
}

TEST(RequestTransformer, edits_forms) {
  expect_bodies("application/x-www-form-urlencoded", {
                                                         {R"({"remove":{"body":["a"]}})", "a=1&b=x+y&a=2", "b=x%20y"},
                                                         {R"({"rename":{"body":["a:n"]}})", "a=1&b=2", "n=1&b=2"},
                                                         {R"({"replace":{"body":["a:v"]}})", "a=1&a=2&b=2", "a=v&b=2"},
                                                         {R"({"add":{"body":["a:v","c:w"]}})", "a=1", "a=1&c=w"},
                                                         {R"({"append":{"body":["a:v"]}})", "a=1&b=2", "a=1&a=v&b=2"},
                                                         {R"({"add":{"body":["a:v"]}})", "", "a=v"},
                                                     });
}

TEST(RequestTransformer, edits_multipart) {
  const std::string a = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
  const std::string file =
      "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\nContent-Type: t/t\r\n\r\n\x01\r\n";
  const std::string end = "--B--\r\n";
  const auto part = [](std::string_view name, std::string_view value) {
    return fmt::format("--B\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name, value);
  };
  expect_bodies("multipart/form-data; boundary=B",
                {
                    {R"({"remove":{"body":["a"]}})", a + file + end, file + end},
                    {R"({"rename":{"body":["a:n"]}})", a + file + end, file + part("n", "1") + end},
                    {R"({"replace":{"body":["a:v","x:v"]}})", a + file + end, file + part("a", "v") + end},
                    {R"({"add":{"body":["a:v","c:w"]}})", a + end, a + part("c", "w") + end},
                    {R"({"add":{"body":["a\"b:w"]}})", "", part("a%22b", "w") + end},
                    {R"({"append":{"body":["a:v"]}})", a + end, a + end},  // Kong does not
                    {R"({"add":{"body":["c:w"]}})", a, a},                 // does not end
                });
}

TEST(RequestTransformer, leaves_other_bodies_and_does_not_read_them) {
  FakeExchange x;
  x.with_body("text/plain", "a=1");
  x.slow = true;
  const auto after = transformed(R"({"add":{"body":["a:v"],"headers":["x:1"]}})", x);
  EXPECT_FALSE(after.body_set);
  EXPECT_EQ(after.waits, 0u);
  EXPECT_EQ(after.sent("x"), "1");
}

TEST(RequestTransformer, leaves_a_body_that_is_too_large) {
  FakeExchange x;
  x.with_body("application/json", "{}");
  x.body_too_large_ = true;
  const auto after = transformed(R"({"add":{"body":["a:v"],"headers":["x:1"]},"http_method":"GET"})", x);
  EXPECT_FALSE(after.body_set);
  EXPECT_EQ(after.sent("x"), "1");
}

TEST(RequestTransformer, reads_the_body_by_the_content_type_that_it_gives) {
  FakeExchange x;
  const auto config =
      R"({"http_method":"POST","add":{"headers":["Content-Type:application/json"],"body":["body:some"]}})";
  auto after = transformed(config, x);
  EXPECT_EQ(after.method_, "POST");
  EXPECT_EQ(after.body_, R"({"body":"some"})");
  x.with_body("text/plain", "{}");
  after = transformed(R"({"replace":{"headers":["Content-Type:application/json"]},"add":{"body":["body:some"]}})", x);
  EXPECT_EQ(after.body_, R"({"body":"some"})");
}

TEST(RequestTransformer, puts_a_form_into_the_query_of_a_method_without_body) {
  FakeExchange x;
  x.method_ = "POST";
  x.query_ = "hello=world";
  x.with_body("application/x-www-form-urlencoded", "name=marco&hello=you");
  x.slow = true;
  auto after = transformed(R"({"http_method":"GET"})", x);
  EXPECT_EQ(after.method_, "GET");
  EXPECT_EQ(after.query_, "hello=world&hello=you&name=marco");
  after = transformed(R"({"http_method":"PUT"})", x);
  EXPECT_EQ(after.method_, "PUT");
  EXPECT_EQ(after.query_, "hello=world");
  EXPECT_EQ(after.waits, 0u);
}

TEST(RequestTransformer, replaces_the_path) {
  FakeExchange x;
  x.captures_ = {{"user", "foo"}, {"1", "a?b"}};
  EXPECT_EQ(transformed(R"j({"replace":{"uri":"/u/$(uri_captures.user)/x"}})j", x).upstream_path_, "/u/foo/x");
  EXPECT_EQ(transformed(R"j({"replace":{"uri":"/t\u00e9st/$(uri_captures[1])"
}
})j",
                        x)
                .upstream_path_,
            "/t%C3%A9st/a%3Fb");
  EXPECT_FALSE(transformed(R"j({"replace":{"uri":"$(uri_captures.none)"
}
})j",
                           x)
                   .upstream_path_set);
  EXPECT_EQ(x.run_access(*make_plugin(request_transformer(), R"({"replace":{"uri":"relative"}})")), Step::done);
  EXPECT_EQ(x.answered, 500);
  EXPECT_TRUE(x.by_error);
}

TEST(RequestTransformer, renders_values_from_the_request_as_it_came) {
  FakeExchange x;
  x.with("x-old", "the old value");
  const auto after = transformed(
      R"j({"replace":{"headers":["x-old:new"]},"add":{"headers":["x-copy:$(headers['x-old'])"],
          "querystring":["q:$(headers.x_old)"]
}
})j",
      x);
  EXPECT_EQ(after.sent("x-old"), "new");
  EXPECT_EQ(after.sent("x-copy"), "the old value");
  EXPECT_EQ(after.query_, "q=the%20old%20value");
}

TEST(RequestTransformer, lets_no_client_write_lines_into_the_head) {
  FakeExchange x;
  x.query_ = "q=a%0d%0aX-Evil:%201%7F%09z";
  const auto after = transformed(
      R"j({"add":{"headers":["x-q:$(query_params.q)"]
}
, "replace" : {
  "headers" : ["host:$(query_params.q)"]
}
})j",
      x);
  EXPECT_EQ(after.sent("x-q"), "a%0D%0AX-Evil: 1%7F\tz");
  EXPECT_EQ(after.upstream_host, "a%0D%0AX-Evil: 1%7F\tz");
}

TEST(RequestTransformer, has_empty_lists_unless_something_is_configured) {
  const auto complete = request_transformer().config().complete_config(model::Object());
  ASSERT_TRUE(complete);
  EXPECT_EQ(boost::json::serialize(*complete),
            R"({"http_method":null,"remove":{"body":[],"headers":[],"querystring":[]},)"
            R"("rename":{"body":[],"headers":[],"querystring":[]},)"
            R"("replace":{"body":[],"headers":[],"querystring":[],"uri":null},)"
            R"("add":{"body":[],"headers":[],"querystring":[]},"append":{"body":[],"headers":[],"querystring":[]}})");
}

TEST(RequestTransformer, says_what_is_wrong_with_a_configuration) {
  struct Case {
    std::string_view config, message;
  };
  const Case cases[] = {
      {R"({"http_method":"get"})", "invalid value: get"},
      {R"({"remove":{"headers":["a b"]}})", "'a b' is not a valid header"},
      {R"({"rename":{"headers":["a"]}})", "invalid value: a"},
      {R"({"rename":{"headers":["a:b c"]}})", "'b c' is not a valid header"},
      {R"({"rename":{"body":["a"]}})", "key 'a' has no value"},
      {R"({"replace":{"querystring":["a:"]}})", "key 'a' has no value"},
      {R"({"add":{"headers":["x-a"]}})", "invalid value: x-a"},
      {R"({"add":{"headers":["x-a:b\nc"]}})", "is not a valid header"},
      {R"j({"append":{"body":["p:$(1 + 1)"]}})j", "value '$(1 + 1)' is not in supported format, error: "},
      {R"j({"replace":{"uri":"/$(os.exit())"}
})j",
       "'$(os.exit())' is not supported"},
      {R"j({"append":{"headers":["x:$(headers.a .. 'b')"]
}
})j",
       "is not supported"},
      {R"({"append":{"uri":"/"}})", "unknown field"},
  };
  for (const auto& c : cases)
    EXPECT_NE(faults_of(request_transformer(), c.config).find(c.message), std::string::npos)
        << c.config << faults_of(request_transformer(), c.config);
}

}  // namespace
}  // namespace weir::plugin
