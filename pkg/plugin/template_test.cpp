#include "plugin/template.h"

#include "plugin/fake_exchange.h"
#include "plugin/template_pairs.h"

namespace weir::plugin {
namespace {

std::string rendered(std::string_view text) {
  FakeExchange x;
  x.with("X-User", "alice").with("X-User", "second").with("under_score", "u").with("dash-ed", "d").with("Empty", "");
  x.query_ = "q1=20&sp=a+b%2Fc&flag&list=1&list=2&none=";
  x.captures_ = {{"0", "/user/foo"}, {"1", "foo"}, {"user", "foo"}};
  const auto parsed = Template::parse(text);
  EXPECT_TRUE(parsed) << text << ": " << parsed.error().message;
  std::string out;
  if (parsed) parsed->render(x, out);
  return out;
}

TEST(Template, fills_holes_from_the_request) {
  struct Case {
    std::string_view text, value;
  };
  const Case cases[] = {
      {"", ""},
      {"plain: $5 (five)", "plain: $5 (five)"},
      {"$(headers.X-User", "$(headers.X-User"},  // not closed
      {"$(headers.dash_ed)", "d"},
      {"$(headers[\"X-USER\"])", "alice"},
      {"$(headers['x-user'])", "alice"},
      {"$(headers.under_score)", "u"},
      {"[$(headers.empty or 'x')]", "[]"},  // there, but empty
      {"[$(headers.absent)]", "[]"},
      {"$( headers.absent or query_params.q1 or 'x' )", "20"},
      {"$(headers.absent or \"it's \\\"d\\\"\")", "it's \"d\""},
      {"$(query_params.sp)$(query_params[\"q1\"])", "a b/c20"},
      {"$(query_params.flag)", "true"},
      {"$(query_params.list)", "1"},
      {"[$(query_params.none or 'x')]", "[]"},
      {"/r/$(uri_captures[1])/$(uri_captures.user)$(uri_captures[0])", "/r/foo/foo/user/foo"},
      {"$(uri_captures[2] or 'default')", "default"},
      {"$(shared.thing or 'nobody')", "nobody"},
      {"$('$(uri_captures.user)')", "$(uri_captures.user)"},
  };
  for (const auto& c : cases) EXPECT_EQ(rendered(c.text), c.value) << c.text;
}

TEST(Template, refuses_what_needs_lua) {
  for (const auto* text : {"$(10 * uri_captures.user1)", "$()", "$(ERROR())", "$(headers)", "$(headers.a or)",
                           "$(headers.)", "$(headers[1])", "$(headers['a)", "$(os.exit())", "$(headers.a .. 'b')",
                           "$(headers.a and 'b')", "$(query_params[x])", "$(type(headers['a']))", "$('a\\n')",
                           "ok $(headers.a) $(nil)", "$(headers.a headers.b)", "$(headers.1a)"}) {
    const auto parsed = Template::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find("is not supported: inside $( ) stand headers"), std::string::npos);
  }
}

TEST(Template, knows_whether_it_is_the_same_for_all_requests) {
  EXPECT_TRUE(Template::parse("a $ b $(")->is_constant());
  EXPECT_FALSE(Template::parse("a $(headers.b)")->is_constant());
}

TEST(TemplatePairs, split_at_the_first_colons) {
  EXPECT_EQ(split_pair("a:b:c").name, "a");
  EXPECT_EQ(split_pair("a:b:c").value, "b:c");
  EXPECT_EQ(split_pair("a::b").value, "b");
  EXPECT_EQ(split_pair("a").name, "a");
  EXPECT_EQ(split_pair("a").value, "");
  EXPECT_EQ(split_pair("a:").value, "");
  EXPECT_EQ(split_pair(":b").name, "");
}

}  // namespace
}  // namespace weir::plugin
