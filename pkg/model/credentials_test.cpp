// Consumers and what they are known by.
#include <gtest/gtest.h>

#include <set>

#include "model/entities.h"

namespace weir::model {
namespace {

namespace json = boost::json;

constexpr double now = 1700000000.5;

Object object(std::string_view text) {
  return json::parse(text).as_object();
}
template <class T>
Object made(std::string_view text) {
  auto out = schema<T>().insert(object(text), now);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? std::move(*out) : Object{};
}

constexpr std::string_view of_consumer = R"("consumer":{"id":"a1234567-0000-4000-8000-00000000000f"})";
std::string input(std::string_view rest) {
  return fmt::format("{{{}{}{}}}", of_consumer, rest.empty() ? "" : ",", rest);
}

TEST(Consumers, need_a_name_or_a_custom_id) {
  for (const auto text : {"{}", R"({"username":null,"tags":["a"]})"}) {
    const auto refused = schema<Consumer>().insert(object(text), now);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().message,
              "schema violation (at least one of these fields must be non-empty: 'custom_id', 'username')");
    EXPECT_EQ(refused.error().fields,
              object(R"({"@entity":["at least one of these fields must be non-empty: 'custom_id', 'username'"]})"));
  }
  const auto consumer = read<Consumer>(made<Consumer>(R"({"custom_id":"7"})"));
  EXPECT_EQ(consumer.custom_id, "7");
  EXPECT_FALSE(consumer.username);
  EXPECT_FALSE(schema<Consumer>().core());
  EXPECT_EQ(schema<Consumer>().insert(object(R"({"username":""})"), now).error().fields,
            object(R"({"username":"length must be at least 1"})"));
}

TEST(KeyAuthCredentials, get_a_random_key) {
  std::set<std::string> keys;
  for (int i = 0; i < 100; i++) {
    const auto key = read<KeyAuthCredential>(made<KeyAuthCredential>(input(""))).key;
    EXPECT_EQ(key.size(), 32u);
    EXPECT_TRUE(std::all_of(key.begin(), key.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    })) << key;
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 100u);
  EXPECT_EQ(made<KeyAuthCredential>(input(R"("key":"mine")")).at("key"), "mine");
  auto row = made<KeyAuthCredential>(input(""));
  row["key"] = nullptr;
  EXPECT_EQ(schema<KeyAuthCredential>().check(row).error().message, "schema violation (key: required field missing)");
}

TEST(KeyAuthCredentials, have_kongs_fields) {
  const auto made_one = made<KeyAuthCredential>(input(R"("key":"k","id":"b1234567-0000-4000-8000-00000000000f")"));
  EXPECT_EQ(made_one, object(R"({"id":"b1234567-0000-4000-8000-00000000000f","created_at":1700000000,
      "consumer":{"id":"a1234567-0000-4000-8000-00000000000f"},"key":"k","tags":null,"ttl":null})"));
  EXPECT_TRUE(schema<KeyAuthCredential>().has_ttl());
  EXPECT_EQ(schema<KeyAuthCredential>().collection(), "key-auths");
  EXPECT_EQ(schema<KeyAuthCredential>().nested_collection(), "key-auth");
  EXPECT_EQ(schema<BasicAuthCredential>().collection(), "basic-auths");
  EXPECT_EQ(schema<Acl>().nested_collection(), "acls");
}

TEST(KeyAuthCredentials, live_as_long_as_they_are_told) {
  EXPECT_EQ(made<KeyAuthCredential>(input(R"("ttl":60)")).at("ttl"), 60);
  EXPECT_TRUE(made<KeyAuthCredential>(input(R"("ttl":0)")).at("ttl").is_null());
  for (const auto ttl : {"-1", "100000001"})
    EXPECT_EQ(schema<KeyAuthCredential>().insert(object(input(fmt::format(R"("ttl":{})", ttl))), now).error().fields,
              object(R"({"ttl":"value should be between 0 and 100000000"})"));
}

TEST(BasicAuthCredentials, keep_the_hash_of_the_password) {
  const auto& schema = model::schema<BasicAuthCredential>();
  // echo -n secreta1234567-0000-4000-8000-00000000000f | sha1sum
  const json::value hash = "6ace99a9d99cbc4cfd5c84d747dd403a5a85d04a",
                    other = "8fc65d56db7fe57998bfb5830171e71d28e120dd";
  const auto credential = made<BasicAuthCredential>(input(R"("username":"u","password":"secret")"));
  EXPECT_EQ(credential.at("password"), hash);
  const auto renamed = schema.update(credential, object(R"({"username":"v"})"), now);
  ASSERT_TRUE(renamed);
  EXPECT_EQ(renamed->at("password"), hash);
  EXPECT_EQ(schema.update(credential, object(R"({"password":"other"})"), now)->at("password"), other);
  const auto id = *Uuid::parse("c1234567-0000-4000-8000-00000000000f");
  EXPECT_EQ(schema.upsert(object(input(R"("username":"u","password":"other")")), id, now)->at("password"), other);
  EXPECT_EQ(schema.insert(object(input(R"("username":"u","password":"stored")")), now, false)->at("password"),
            "stored");
  EXPECT_TRUE(schema.transforms());
  EXPECT_FALSE(model::schema<Acl>().transforms());
}

TEST(Credentials, refuse_what_kong_refuses) {
  const std::tuple<const Schema*, std::string_view, std::string_view> cases[] = {
      {&schema<KeyAuthCredential>(), R"({})", R"({"consumer":"required field missing"})"},
      {&schema<KeyAuthCredential>(), R"({"consumer":{"id":"x"},"key":""})",
       R"({"consumer":{"id":"expected a valid UUID"},"key":"length must be at least 1"})"},
      {&schema<BasicAuthCredential>(), R"({})",
       R"({"consumer":"required field missing","username":"required field missing","password":"required field missing"})"},
      {&schema<Acl>(), R"({"consumer":null,"updated_at":1})",
       R"({"consumer":"required field missing","group":"required field missing","updated_at":"unknown field"})"},
  };
  for (const auto& [schema, text, fields] : cases) {
    const auto refused = schema->insert(object(text), now);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().fields, object(fields)) << json::serialize(refused.error().fields);
  }
}

TEST(Credentials, go_with_their_consumer) {
  for (const auto* schema : {&schema<KeyAuthCredential>(), &schema<BasicAuthCredential>(), &schema<Acl>()}) {
    EXPECT_TRUE(schema->field("consumer")->cascade) << schema->name();
    EXPECT_FALSE(schema->core()) << schema->name();
    EXPECT_EQ(schema->field("updated_at"), nullptr) << schema->name();
  }
  EXPECT_EQ(read<Acl>(made<Acl>(input(R"("group":"g")"))).group, "g");
}

}  // namespace
}  // namespace weir::model
