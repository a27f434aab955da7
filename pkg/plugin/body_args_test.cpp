#include "plugin/body_args.h"

#include <gtest/gtest.h>

namespace weir::plugin {
namespace {

struct Case {
  std::string type, body;
  Arg::State state;
  std::string text = "";
  std::string rest = "";  // without it; of those where something is cut
};

const std::string form = "application/x-www-form-urlencoded", json = "application/json",
                  multipart = "multipart/form-data; boundary=XY";

std::string part(std::string_view head, std::string_view content) {
  return "--XY\r\n" + std::string(head) + "\r\n\r\n" + std::string(content) + "\r\n";
}

TEST(BodyArgs, finds_and_cuts_one_name) {
  const auto k = part("Content-Disposition: form-data; name=\"k\"", "v");
  const auto other = part("content-disposition:form-data; filename=\"name=k\"; name=other", "--XYZ\r\nk");
  const std::string end = "--XY--\r\n";
  const Case cases[] = {
      {form, "k=v", Arg::one, "v", ""},
      {form, "a=1&k=v&b=2", Arg::one, "v", "a=1&b=2"},
      {form, "a=1&&%6B=%76+%25%2&", Arg::one, "v %%2", "a=1"},
      {form, "k", Arg::other, "", ""},
      {form, "k=", Arg::one, "", ""},
      {form, "k=a&x=1&k=b", Arg::many, "", "x=1"},
      {form, "k&k=b", Arg::many, "", ""},
      {form, "k=a=b", Arg::one, "a=b", ""},
      {form, "kk=1&K=2&=k", Arg::absent},
      {form, "", Arg::absent},
      {json, R"({"k":"v"})", Arg::one, "v", "{}"},
      {json, R"( {"a":1, "k" : "v" } )", Arg::one, "v", R"( {"a":1} )"},
      {json, R"({"k":"v","a":[{"k":1}]})", Arg::one, "v", R"({"a":[{"k":1}]})"},
      {json, R"({"\u006b":"\u00e9\n","b":"\"}"})", Arg::one, "\xc3\xa9\n", R"({"b":"\"}"})"},
      {json, R"({"k":"a","k":"b"})", Arg::one, "b", "{}"},
      {json, R"({"k":1,"b":null})", Arg::other, "", R"({"b":null})"},
      {json, R"({"k":null})", Arg::other, "", "{}"},
      {json, R"({"k":{"x":"}"},"b":2})", Arg::many, "", R"({"b":2})"},
      {json, R"({"a":{"k":"v"}})", Arg::absent},
      {json, R"([{"k":"v"}])", Arg::absent},
      {json, R"({"k":"v"} x)", Arg::absent},
      {json, R"({"k":"v")", Arg::absent},
      {json, R"({"kk":"v","":"k"})", Arg::absent},
      {json, std::string(100000, '['), Arg::absent},
      {json, "", Arg::absent},
      {multipart, k + end, Arg::one, "v", end},
      {multipart, "preamble\r\n" + other + k + end, Arg::one, "v", "preamble\r\n" + other + end},
      {multipart, k + other + k + end, Arg::many, "", other + end},
      {multipart, part("Content-Disposition: form-data; name=k\r\nContent-Type: text/plain", "a\r\nb") + end, Arg::one,
       "a\r\nb", end},
      {multipart, other + end, Arg::absent},
      {multipart, "--XY\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nv", Arg::absent},
      {multipart, "--XY--\r\n" + k, Arg::absent},
      {multipart, "", Arg::absent},
      {"multipart/form-data", k + end, Arg::absent},
      {"text/plain", "k=v", Arg::absent},
      {"", "k=v", Arg::absent},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.body.substr(0, 200));
    const auto read = body_form(c.type);
    std::string scratch, rest = "untouched";
    const auto found = find_in_body(read, c.body, "k", scratch);
    EXPECT_EQ(found.state, c.state);
    EXPECT_EQ(found.text, c.text);
    const bool cut = cut_from_body(read, c.body, "k", rest);
    EXPECT_EQ(cut, c.state != Arg::absent);
    EXPECT_EQ(rest, cut ? c.rest : "untouched");
  }
}

TEST(BodyArgs, reads_content_types) {
  EXPECT_EQ(body_form(" Application/JSON ;charset=x").kind, BodyForm::json);
  EXPECT_EQ(body_form("application/json5").kind, BodyForm::opaque);
  EXPECT_EQ(body_form("MULTIPART/form-data; a=b; Boundary=\"a;b\"").boundary, "a;b");
  EXPECT_EQ(body_form("multipart/form-data; boundary=").kind, BodyForm::opaque);
  EXPECT_EQ(body_form("multipart/form-data; boundary=" + std::string(71, 'x')).kind, BodyForm::opaque);
  EXPECT_EQ(body_form("multipart/form-data; boundary=\"x").boundary, "x");
}

TEST(BodyArgs, gives_all_pairs) {
  std::string seen;
  each_arg("a=1&b&%63=%20+", [&](std::string_view name, std::optional<std::string_view> value) {
    seen.append(name).append(value ? ":" : "").append(value.value_or("")).append(";");
  });
  EXPECT_EQ(seen, "a:1;b;c:  ;");
}

}  // namespace
}  // namespace weir::plugin
