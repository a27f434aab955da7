#include "admin/body.h"

#include <gtest/gtest.h>

#include "admin/uri.h"

namespace weir::admin {
namespace {

Request multipart(std::string body, std::string type = "multipart/form-data; boundary=XX") {
  Request request;
  request.headers = {{"Content-Type", std::move(type)}};
  request.body = std::move(body);
  return request;
}

TEST(Body, reads_the_parts_that_curl_sends) {
  const auto body = read_body(multipart(
      "--XX\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nhello\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"hosts[]\"\r\n\r\na.com\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"hosts[]\"\r\n\r\nb.com\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"cert\"; filename=\"c.pem\"\r\n"
      "Content-Type: application/octet-stream\r\n\r\n-----BEGIN\r\nline\r\n\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"tags\"\r\nContent-Type: application/json\r\n\r\n[\"a\",1]\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX--\r\n"));
  ASSERT_TRUE(body);
  EXPECT_TRUE(body->form);
  EXPECT_EQ(boost::json::serialize(body->values),
            R"({"name":"hello","hosts":["a.com","b.com"],"cert":"-----BEGIN\r\nline\r\n","tags":["a",1],"empty":""})");
}

TEST(Body, takes_preambles_padding_and_quoted_boundaries) {
  const auto body =
      read_body(multipart("preamble\r\n--a b\t \r\ncontent-disposition: form-data; NAME=x\r\n\r\n1\r\n--a b--epilogue",
                          "multipart/form-data; charset=utf-8; boundary=\"a b\""));
  ASSERT_TRUE(body);
  EXPECT_EQ(boost::json::serialize(body->values), R"({"x":"1"})");
}

TEST(Body, refuses_broken_multipart) {
  const std::string head = "Content-Disposition: form-data; name=\"n\"\r\n\r\n";
  for (const auto& text : std::vector<std::string>{
           "",
           "nothing",
           "--XX",
           "--XX\r\n",
           "--XXy\r\n" + head + "v\r\n--XX--",
           "--XX\r\n" + head + "v",
           "--XX\r\n" + head + "v\r\n--XX",
           "--XX\r\n\r\n--XX--",
           "--XX\r\nContent-Disposition: form-data\r\n\r\nv\r\n--XX--",
           "--XX\r\nContent-Disposition: form-data; name=\"n\r\n\r\nv\r\n--XX--",
           "--XX\r\nContent-Disposition: form-data; name=\r\n\r\nv\r\n--XX--",
           "--XX\r\nno header\r\n\r\nv\r\n--XX--",
           "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\nContent-Type: application/json\r\n\r\n{\r\n--XX--",
       }) {
    const auto body = read_body(multipart(text));
    ASSERT_FALSE(body) << text;
    EXPECT_EQ(body.error().response.status, 400u);
  }
  EXPECT_FALSE(read_body(multipart("x", "multipart/form-data")));
  EXPECT_FALSE(read_body(multipart("x", "multipart/form-data; boundary=" + std::string(71, 'b'))));
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "--XX\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n";
  const auto body = read_body(multipart(many + "--XX--"));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().response.body, R"({"message":"Too many arguments"})");
}

TEST(Body, refuses_names_that_nest_too_deep) {
  std::string name = "a";
  for (int i = 0; i < 200; ++i) name += ".a";
  EXPECT_FALSE(
      read_body(multipart("--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\nv\r\n--XX--")));
}

TEST(Body, accepts_json_up_to_its_depth) {
  Request request;
  request.headers = {{"Content-Type", "application/JSON; charset=utf-8"}};
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  request.body = nested(64);
  EXPECT_TRUE(read_body(request));
  request.body = nested(65);
  EXPECT_FALSE(read_body(request));
}

TEST(Body, refuses_json_of_too_many_values) {
  Request request;
  request.headers = {{"Content-Type", "application/json"}};
  const auto values = [](std::size_t commas) {
    std::string text = "{\"a\":[1";
    for (std::size_t i = 0; i < commas; ++i) text += ",1";
    return text + "]}";
  };
  request.body = values(json_commas_max);
  EXPECT_TRUE(read_body(request));
  request.body = values(json_commas_max + 1);
  EXPECT_FALSE(read_body(request));
}

TEST(Uri, decodes_paths_and_queries) {
  EXPECT_EQ(percent_decode("a%2Fb+c"), "a/b+c");
  EXPECT_EQ(percent_decode("a+b%20c", true), "a b c");
  for (const auto* text : {"%", "%2", "%zz", "a%g0"}) EXPECT_FALSE(percent_decode(text)) << text;
  EXPECT_EQ(percent_encode("a/b c~é"), "a%2Fb%20c~%C3%A9");
  EXPECT_EQ(split_path("/a/b/"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(split_path("/"), std::vector<std::string>{});
  EXPECT_EQ(split_path("/a//b"), (std::vector<std::string>{"a", "", "b"}));
  const auto query = parse_query("a=1&b&&c=%3D&a=2");
  ASSERT_TRUE(query);
  EXPECT_EQ(*query, (Query{{"a", "1"}, {"b", ""}, {"c", "="}, {"a", "2"}}));
  EXPECT_FALSE(parse_query("a=%x"));
}

}  // namespace
}  // namespace weir::admin
