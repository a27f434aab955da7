#include "plugin/instances_for_tests.h"
#include "plugin/response_transformer_json.h"

namespace weir::plugin {
namespace {

FakeExchange filtered(std::string_view config, FakeExchange x) {
  x.run_header_filter(*make_plugin(response_transformer(), config));
  return x;
}

TEST(ResponseTransformer, edits_headers) {
  struct Case {
    std::string_view config, field, value;
  };
  const Case cases[] = {
      {R"({"remove":{"headers":["X-A"]}})", "x-a", "-"},
      {R"({"remove":{"headers":["X-B:b1"]}})", "x-b", "-"},
      {R"({"rename":{"headers":["X-B:X-New"]}})", "x-new", "b1 | b2"},
      {R"({"rename":{"headers":["X-B:X-New"]}})", "x-b", "-"},
      {R"({"rename":{"headers":["X-A:x-a"]}})", "x-a", "a"},
      {R"({"rename":{"headers":["x-none:x-a"]}})", "x-a", "a"},
      {R"({"replace":{"headers":["x-b:value:2","x-none:1"]}})", "x-b", "value:2"},
      {R"({"replace":{"headers":["x-none:1"]}})", "x-none", "-"},
      {R"({"add":{"headers":["x-a:1"]}})", "x-a", "a"},
      {R"({"add":{"headers":["x-none:1"]}})", "x-none", "1"},
      {R"({"append":{"headers":["x-a:1","x-a:2"]}})", "x-a", "a | 1 | 2"},
      {R"({"append":{"headers":["x-a:"]}})", "x-a", "a"},
      // Conditions are about the response as it came.
      {R"({"remove":{"headers":["x-a"]},"add":{"headers":["x-a:1"]}})", "x-a", "-"},
      {R"({"remove":{"headers":["x-a"]},"replace":{"headers":["x-a:1"]}})", "x-a", "1"},
      {R"j({"add":{"headers":["x-none:$(headers.a)"]}})j", "x-none", "$(headers.a)"},  // no templates here
      {R"({"replace":{"headers":["content-length:1"]},"remove":{"headers":["Content-Length"]}})", "content-length",
       "7"},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    x.response_headers_ = {{"X-A", "a"}, {"X-B", "b1"}, {"x-b", "b2"}, {"Content-Length", "7"}};
    EXPECT_EQ(filtered(c.config, x).response(c.field), c.value) << c.config;
  }
}

TEST(ResponseTransformer, gathers_json_only_and_only_when_it_is_to_change) {
  struct Case {
    std::string_view config, type;
    bool wanted;
  };
  const Case cases[] = {
      {R"({"add":{"json":["a:1"]}})", "application/json", true},
      {R"({"remove":{"json":["a"]}})", "Application/JSON; charset=utf-8", true},
      {R"({"rename":{"json":["a:b"]}})", "text/plain, application/json", true},
      {R"({"add":{"json":["a:1"]}})", "text/html", false},
      {R"({"add":{"json":["a:1"]}})", "application/vnd.api+json", false},
      {R"({"add":{"json":["a:1"]}})", "", false},
      {R"({"add":{"headers":["a:1"]}})", "application/json", false},
  };
  for (const auto& c : cases) {
    FakeExchange x;
    if (!c.type.empty()) x.response_headers_ = {{"Content-Type", std::string(c.type)}};
    EXPECT_EQ(filtered(c.config, x).wants_response_body, c.wanted) << c.config << c.type;
  }
}

TEST(ResponseTransformer, edits_json) {
  struct Case {
    std::string_view config, before, after;
  };
  const Case cases[] = {
      {R"({"remove":{"json":["a"]}})", R"({"z":1,"a":2,"b":{"a":1}})", R"({"z":1,"b":{"a":1}})"},
      {R"({"rename":{"json":["a:n"]}})", R"({"a":[1.5],"b":2})", R"({"b":2,"n":[1.5]})"},
      {R"({"replace":{"json":["a:v","x:v"]}})", R"({"a":7})", R"({"a":"v"})"},
      {R"({"replace":{"json":["a:1","b:true","c:false"],"json_types":["number","boolean"]}})",
       R"({"a":"x","b":"x","c":"x"})", R"({"a":1,"b":true,"c":"false"})"},
      {R"({"add":{"json":["a:v","b:w"]}})", R"({"a":7,"e":[]})", R"({"a":7,"e":[],"b":"w"})"},
      {R"({"add":{"json":["a:-1.5","b:0x10","c:1e3","d:no","e: 5 "],"json_types":["number","number","number","number","number"]}})",
       "{}", R"({"a":-1.5,"b":16,"c":1000,"e":5})"},
      {R"({"add":{"json":["a:yes"],"json_types":["boolean"]}})", "{}", R"({"a":false})"},
      {R"({"add":{"json":["a:"]}})", "{}", R"({"a":"null"})"},
      {R"({"add":{"json":["a:say \"hi\" a/b"]}})", "{}", R"({"a":"say \"hi\" a/b"})"},
      {R"({"append":{"json":["a:v","b:1"],"json_types":["string","number"]}})", R"({"a":"u"})",
       R"({"a":["u","v"],"b":[1]})"},
      {R"({"append":{"json":["a:v"]}})", R"({"a":[1]})", R"({"a":[1,"v"]})"},
      {R"({"add":{"json":["a:v"]}})", R"({"broken":)", R"({"broken":)"},
      {R"({"add":{"json":["a:v"]}})", R"([1, 2])", R"([1, 2])"},
      {R"({"add":{"json":["a:v"]}})", "", ""},
  };
  for (const auto& c : cases) {
    const auto plugin = make_plugin(response_transformer(), c.config);
    FakeExchange x;
    std::string body(c.before);
    plugin->body_filter(x, body);
    EXPECT_EQ(body, c.after) << c.config;
  }
}

TEST(ResponseTransformer, says_what_is_wrong_with_a_configuration) {
  struct Case {
    std::string_view config, message;
  };
  const Case cases[] = {
      {R"({"rename":{"headers":["a:b c"]}})", "'b c' is not a valid header"},
      {R"({"rename":{"json":["a"]}})", "invalid value: a"},
      {R"({"add":{"headers":["x-a"]}})", "invalid value: x-a"},
      {R"({"add":{"json":["a"]}})", "invalid value: a"},
      {R"({"append":{"json_types":["integer"]}})", "expected one of: boolean, number, string"},
      {R"({"remove":{"json_types":[]}})", "unknown field"},
  };
  for (const auto& c : cases)
    EXPECT_NE(faults_of(response_transformer(), c.config).find(c.message), std::string::npos)
        << c.config << faults_of(response_transformer(), c.config);
  EXPECT_EQ(faults_of(response_transformer(), R"({"remove":{"headers":["Set-Cookie:a b"]}})"), "");
}

}  // namespace
}  // namespace weir::plugin
