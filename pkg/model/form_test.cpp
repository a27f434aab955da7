#include "model/form.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "model/entities.h"

namespace weir::model {
namespace {

namespace json = boost::json;

json::value value(std::string_view text) {
  return json::parse(text);
}

TEST(Form, decodes_names_as_kong_does) {
  struct {
    std::string_view body, json;
  } const cases[] = {
      {"", "{}"},
      {"name=service.v1.xyz", R"({"name":"service.v1.xyz"})"},
      {"config.minute=5", R"({"config":{"minute":"5"}})"},
      {"paths[]=/x", R"({"paths":["/x"]})"},
      {"hosts=example.com", R"({"hosts":"example.com"})"},
      {"config.add.headers[1]=x:y", R"({"config":{"add":{"headers":["x:y"]}}})"},
      {"methods[]=GET&methods[]=POST", R"({"methods":["GET","POST"]})"},
      {"hosts=a&hosts=b&hosts=c", R"({"hosts":["a","b","c"]})"},
      {"hosts[2]=b&hosts[1]=a", R"({"hosts":["a","b"]})"},
      {"headers.location[1]=x", R"({"headers":{"location":["x"]}})"},
      {"config.headers[x-foo]=v", R"({"config":{"headers":{"x-foo":"v"}}})"},
      {"config.headers[x.foo]=v", R"({"config":{"headers":{"x.foo":"v"}}})"},
      {"paths%5B%5D=%2Fx&name=a+b%2B", R"({"paths":["/x"],"name":"a b+"})"},
      {".a=1&b.=2", R"({".a":"1","b.":"2"})"},
      {"a..b=1", R"({"a":{"b":"1"}})"},
      {"a=1&&b", R"({"a":"1","b":""})"},
      {"filters[1].name=x&filters[1].config.y=z&filters[2].name=w",
       R"({"filters":[{"name":"x","config":{"y":"z"}},{"name":"w"}]})"},
      {"a[1][2]=x", R"({"a":[[null,"x"]]})"},
      {"a[b=1", R"({"a[b":"1"})"},
      {"service.id=1&service.name=2", R"({"service":{"id":"1","name":"2"}})"},
      {"a=1=2", R"({"a":"1=2"})"},
      {"=x", R"({"":"x"})"},
  };
  for (const auto& c : cases) {
    const auto form = decode_form(c.body);
    ASSERT_TRUE(form) << c.body << form.error().message;
    EXPECT_EQ(json::value(*form), value(c.json)) << c.body << json::serialize(*form);
  }
}

TEST(Form, refuses_what_has_no_meaning) {
  struct {
    std::string body, message;
  } const cases[] = {
      {"a=%", "broken percent escape in 'a=%'"},
      {"a=%4", "broken percent escape in 'a=%4'"},
      {"a=%zz", "broken percent escape in 'a=%zz'"},
      {"%g1=a", "broken percent escape in '%g1=a'"},
      {"a=1&a.b=2", "the name 'a.b' does not fit the names before it"},
      {"a.b=1&a=2", "the name 'a' does not fit the names before it"},
      {"a[]=1&a[k]=2", "the name 'a[k]' does not fit the names before it"},
      {"a[1]=1&a[1]=2", "the name 'a[1]' is given twice"},
      {"a[0]=1", "the position in 'a[0]' is not between 1 and 1000"},
      {"a[99999999999999999999]=1", "the position in 'a[99999999999999999999]' is not between 1 and 1000"},
      {"a[500]=1", "the name 'a[500]' does not fit the names before it"},
      {"a[1][1][1][1][1]=1", "the name 'a[1][1][1][1][1]' is nested too deep"},
  };
  for (const auto& c : cases) {
    const auto form = decode_form(c.body);
    ASSERT_FALSE(form) << c.body;
    EXPECT_EQ(form.error().message, c.message);
  }
}

TEST(Form, bounds_arguments_and_depth) {
  std::string many;
  for (std::size_t i = 0; i < form_fields_max; i++) many += "a=1&";
  EXPECT_TRUE(decode_form(many));
  EXPECT_EQ(decode_form(many + "a=1").error().message, "Too many arguments");
  std::string deep = "a";
  for (std::size_t i = 1; i < form_depth_max - 1; i++) deep += ".a";
  EXPECT_TRUE(decode_form(deep + "=1"));
  EXPECT_FALSE(decode_form(deep + ".a=1"));
  EXPECT_FALSE(decode_form(fmt::format("{}=1&{}.a.a=1", std::string(1000000, '['), deep)));
}

TEST(Form, infers_types_from_the_schema) {
  auto form = *decode_form(
      "name=1&protocols=https&strip_path=false&preserve_host=true&regex_priority=7&hosts[]=a.com&tags=x"
      "&headers.x=1&headers[y][]=2&service.id=&snis=&unknown=5&request_buffering=yes&https_redirect_status_code=3x");
  infer(schema<Route>(), form);
  EXPECT_EQ(json::value(form), value(R"({"name":"1","protocols":["https"],"strip_path":false,"preserve_host":true,
    "regex_priority":7,"hosts":["a.com"],"tags":["x"],"headers":{"x":["1"],"y":["2"]},"service":{"id":null},"snis":null,
    "unknown":"5","request_buffering":"yes","https_redirect_status_code":"3x"})"))
      << json::serialize(form);
}

TEST(Form, infers_inside_records) {
  auto form = *decode_form(
      "name=u&healthchecks.active.timeout=2.5&healthchecks.active.healthy.http_statuses=200"
      "&healthchecks.active.https_verify_certificate=true&healthchecks.threshold=-0");
  infer(schema<Upstream>(), form);
  EXPECT_EQ(json::value(form), value(R"({"name":"u","healthchecks":{"active":{"timeout":2.5,
    "healthy":{"http_statuses":[200]},"https_verify_certificate":true},"threshold":0}})"))
      << json::serialize(form);
  EXPECT_TRUE(schema<Upstream>().insert(form, 1700000000));
}

TEST(Form, takes_no_words_for_numbers) {
  for (const std::string_view text : {"nan", "inf", "infinity", "0x10", "1e", "--1", "1 ", "five", "1e999"}) {
    Object form{{"weight", json::string(text)}};
    infer(schema<Target>(), form);
    EXPECT_TRUE(form.at("weight").is_string()) << text;
  }
  Object form{{"weight", "+1e2"}};
  infer(schema<Target>(), form);
  EXPECT_EQ(form.at("weight"), 100.0);
}

TEST(Form, inferring_twice_changes_nothing) {
  auto form = *decode_form("name=u&slots=20&tags[]=a&tags[]=b&healthchecks.threshold=0");
  infer(schema<Upstream>(), form);
  auto again = form;
  infer(schema<Upstream>(), again);
  EXPECT_EQ(form, again);
}

TEST(Form, places_json_parts_of_multipart_bodies) {
  Object into;
  ASSERT_TRUE(place(into, "service", value(R"({"id":"x"})")));
  ASSERT_TRUE(place(into, "tags", value(R"(["a"])")));
  ASSERT_TRUE(place(into, "tags", json::value("b")));
  EXPECT_EQ(json::value(into), value(R"({"service":{"id":"x"},"tags":["a","b"]})"));
}

}  // namespace
}  // namespace weir::model
