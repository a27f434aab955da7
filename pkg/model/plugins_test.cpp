// The entity "plugins" and what a plugin's configuration may declare, by a plugin made for the test.
#include <gtest/gtest.h>

#include "model/entities.h"
#include "model/form.h"
#include "model/plugin_schemas.h"
#include "model/schema_builder.h"

namespace weir::model {

struct TestRedis {
  std::optional<std::string> host;
  std::optional<std::int64_t> port = 6379;
};
template <>
const Members<TestRedis>& members<TestRedis>() {
  static const auto built = Members<TestRedis>()
                                .field("host", &TestRedis::host, "Host.")
                                .field("port", &TestRedis::port, "Port.", between(0, 65535));
  return built;
}

namespace {

namespace json = boost::json;

constexpr double now = 1700000000;

struct Config {
  std::vector<std::string> names{"apikey"};
  std::optional<std::vector<std::string>> allow, deny;
  std::optional<double> minute;
  double ratio = 0.5;
  std::string policy = "local";
  std::optional<std::map<std::string, std::string>> headers;
  TestRedis redis;
  bool hide = false;
};

const Declared<Config>& declared() {
  static const auto built = SchemaBuilder<Config>("tester")
                                .field("names", &Config::names, "Names.", each({check(check_header_name)}))
                                .field("allow", &Config::allow, "Allowed.")
                                .field("deny", &Config::deny, "Denied.", as_set())
                                .field("minute", &Config::minute, "Per minute.", greater_than(0))
                                .field("ratio", &Config::ratio, "Share.", between(0, 1))
                                .field("policy", &Config::policy, "Policy.", one_of({"local", "redis"}))
                                .field("headers", &Config::headers, "Headers.", keys({check(check_header_name)}),
                                       values({referenceable(), len_min(0)}))
                                .field("redis", &Config::redis, "Redis.")
                                .field("hide", &Config::hide, "Hide.")
                                .deprecated("redis_host", {"redis", "host"})
                                .deprecated("redis_port", {"redis", "port"})
                                .rule(at_most_one_of({"allow", "deny"}))
                                .build();
  return built;
}

struct Other {
  std::string path;
};
const Declared<Other>& other() {
  static const auto built = SchemaBuilder<Other>("other").field("path", &Other::path, "Where.").build();
  return built;
}

class Plugins : public ::testing::Test {
 protected:
  void SetUp() override {
    install_plugin_schemas({{"tester", &declared().schema, false, 7}, {"other", &other().schema, true, 1}});
  }
  void TearDown() override { install_plugin_schemas({}); }
};

Object object(std::string_view text) {
  return json::parse(text).as_object();
}
Object made(std::string_view text) {
  auto out = schema<Plugin>().insert(object(text), now);
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? std::move(*out) : Object{};
}

constexpr std::string_view defaults = R"({"names":["apikey"],"allow":null,"deny":null,"minute":null,"ratio":0.5,
    "policy":"local","headers":null,"redis":{"host":null,"port":6379},"hide":false})";

TEST_F(Plugins, have_a_complete_configuration_by_the_schema_of_their_name) {
  auto plugin = made(R"({"name":"tester"})");
  EXPECT_EQ(plugin.at("config"), json::parse(defaults));
  EXPECT_EQ(plugin.at("protocols"), json::parse(R"(["grpc","grpcs","http","https"])"));
  EXPECT_EQ(plugin.at("enabled"), true);
  for (const auto name : {"instance_name", "route", "service", "consumer", "tags"})
    EXPECT_TRUE(plugin.at(name).is_null()) << name;
  EXPECT_TRUE(schema<Plugin>().check(plugin));
  EXPECT_EQ(*declared().schema.complete_config({}), object(defaults));
}

TEST_F(Plugins, are_read_with_their_configuration) {
  const auto plugin = read<Plugin>(made(R"({"name":"tester","route":{"id":"a1234567-0000-4000-8000-00000000000f"},
      "config":{"minute":2.5,"headers":{"X-A":""},"redis":{"host":"r"},"names":["a","b"]}})"));
  EXPECT_EQ(plugin.route, Uuid::parse("a1234567-0000-4000-8000-00000000000f"));
  EXPECT_FALSE(plugin.service);
  const auto config = declared().read(plugin.config);
  EXPECT_EQ(config.minute, 2.5);
  EXPECT_EQ(config.headers->at("X-A"), "");
  EXPECT_EQ(config.redis.host, "r");
  EXPECT_EQ(config.redis.port, 6379);
  EXPECT_EQ(config.names, (std::vector<std::string>{"a", "b"}));
}

TEST_F(Plugins, name_faults_of_the_configuration_below_it) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {R"({})", R"({"name":"required field missing"})"},
      {R"({"name":"nope","config":{"x":1}})",
       R"x({"name":"plugin 'nope' not enabled; add it to the 'plugins' configuration property"})x"},
      {R"({"name":"nope","config":7})",
       R"x({"name":"plugin 'nope' not enabled; add it to the 'plugins' configuration property","config":"expected a record"})x"},
      {R"({"name":"tester","config":null})", R"({"config":"required field missing"})"},
      {R"({"name":"tester","config":[]})", R"({"config":"expected a record"})"},
      {R"({"name":"tester","config":{"minute":0,"ratio":2,"policy":"x","colour":1,"redis":{"port":-1,"name":2},"names":["a","b c"],"hide":null}})",
       R"x({"config":{"minute":"value must be greater than 0","ratio":"value should be between 0 and 1",
          "policy":"expected one of: local, redis","colour":"unknown field","hide":"required field missing",
          "redis":{"port":"value should be between 0 and 65535","name":"unknown field"},
          "names":[null,"bad header name 'b c', allowed characters are A-Z, a-z, 0-9, '_', and '-'"]}})x"},
      {R"({"name":"tester","config":{"allow":["a"],"deny":["b"]}})",
       R"({"config":{"@entity":["only one or none of these fields must be set: 'allow', 'deny'"]}})"},
      {R"({"name":"tester","consumer":{"id":"a1234567-0000-4000-8000-00000000000f"}})",
       R"({"consumer":"value must be null"})"},
      {R"({"name":"other","protocols":["ftp"]})",
       R"({"protocols":["expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"],
          "config":{"path":"required field missing"}})"},
      {R"({"name":"other","config":{"path":"/"},"run_on":"first"})", R"({"run_on":"unknown field"})"},
  };
  for (const auto& [input, fields] : cases) {
    const auto refused = schema<Plugin>().insert(object(input), now);
    ASSERT_FALSE(refused) << input;
    EXPECT_EQ(refused.error().fields, object(fields)) << input << json::serialize(refused.error().fields);
    EXPECT_FALSE(schema<Plugin>().validate(object(input))) << input;
  }
  EXPECT_EQ(schema<Plugin>().insert(object(R"({"name":"tester","config":{"minute":"5"}})"), now).error().message,
            "schema violation (config.minute: expected a number)");
  EXPECT_TRUE(schema<Plugin>().insert(
      object(R"({"name":"other","config":{"path":"/"},"consumer":{"id":"a1234567-0000-4000-8000-00000000000f"}})"),
      now));
}

TEST_F(Plugins, merge_a_patch_into_the_configuration) {
  const auto plugin =
      made(R"({"name":"tester","config":{"redis":{"host":"r","port":1},"names":["a","b"],"minute":5}})");
  const auto changed = schema<Plugin>().update(
      plugin, object(R"({"config":{"redis":{"port":2},"names":["c"],"minute":null}})"), now + 1);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->at("config").at("redis"), json::parse(R"({"host":"r","port":2})"));
  EXPECT_EQ(changed->at("config").at("names"), json::parse(R"(["c"])"));
  EXPECT_TRUE(changed->at("config").at("minute").is_null());
  EXPECT_FALSE(schema<Plugin>().update(plugin, object(R"({"config":{"wrong":1}})"), now));
}

TEST_F(Plugins, take_old_names_and_echo_them) {
  const auto plugin = made(R"({"name":"tester","config":{"redis_host":"old","redis":{"port":5}}})");
  EXPECT_EQ(plugin.at("config").at("redis"), json::parse(R"({"host":"old","port":5})"));
  EXPECT_FALSE(plugin.at("config").as_object().contains("redis_host"));
  const auto shown = schema<Plugin>().shown(plugin);
  EXPECT_EQ(shown.at("config").at("redis_host"), "old");
  EXPECT_EQ(shown.at("config").at("redis_port"), 5);
  EXPECT_EQ(shown.size(), schema<Plugin>().fields().size());
  // What was shown can be sent back.
  EXPECT_TRUE(schema<Plugin>().insert(shown, now));

  const auto changed = schema<Plugin>().update(plugin, object(R"({"config":{"redis_host":"new"}})"), now);
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->at("config").at("redis"), json::parse(R"({"host":"new","port":5})"));

  const auto refused = schema<Plugin>().insert(
      object(R"({"name":"tester","config":{"redis_host":"a","redis":{"host":"b"},"redis_port":"x","colour":1}})"), now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fields, object(R"x({"config":{"colour":"unknown field","redis_port":"expected an integer",
      "redis_host":"both deprecated and new field are used but their values mismatch: redis_host = \"a\" vs redis.host = \"b\""}})x"))
      << json::serialize(refused.error().fields);
}

TEST_F(Plugins, rows_of_other_versions_are_adapted) {
  auto row = made(R"({"name":"tester"})");
  row["config"] = object(R"({"minute":7,"extra":{"a":1},"redis":{"gone":1},"hide":null,"redis_port":8})");
  EXPECT_FALSE(schema<Plugin>().check(row));
  schema<Plugin>().adapt(row);
  EXPECT_TRUE(schema<Plugin>().check(row));
  auto expected = object(defaults);
  expected["minute"] = 7;
  expected["redis"].at("port") = 8;
  EXPECT_EQ(row.at("config"), expected);

  row["name"] = "nope";  // no schema to adapt to: stays, and is refused by its name
  schema<Plugin>().adapt(row);
  EXPECT_EQ(row.at("config"), expected);
  EXPECT_FALSE(schema<Plugin>().check(row));

  auto service = *schema<Service>().insert(object(R"({"host":"h"})"), now);
  service["port"] = nullptr;
  schema<Service>().adapt(service);
  EXPECT_EQ(service.at("port"), 80);
}

TEST_F(Plugins, types_of_a_form_follow_the_plugin) {
  auto form = object(R"({"name":"tester","config":{"minute":"5","names":"a","redis":{"port":"1"},"redis_port":"1"}})");
  infer(schema<Plugin>(), form);
  EXPECT_EQ(form.at("config"), json::parse(R"({"minute":5,"names":["a"],"redis":{"port":1},"redis_port":1})"));
  auto patch = object(R"({"config":{"minute":"6"}})");
  const auto current = object(R"({"name":"tester"})");
  infer(schema<Plugin>(), patch, &current);
  EXPECT_EQ(patch.at("config").at("minute"), 6);
}

TEST_F(Plugins, are_described_with_their_own_configuration) {
  const auto described = describe_plugin(*find_plugin_schema("tester"));
  Object fields;
  for (const auto& field : described.at("fields").as_array())
    for (const auto& pair : field.as_object()) fields[pair.key()] = pair.value();
  EXPECT_TRUE(fields.at("consumer").at("eq").is_null());
  EXPECT_FALSE(fields.at("route").as_object().contains("eq"));
  EXPECT_EQ(fields.at("protocols").at("default").as_array().size(), 4u);
  const auto& config = fields.at("config").as_object();
  EXPECT_EQ(config.at("type"), "record");
  EXPECT_EQ(config.at("required"), true);
  EXPECT_EQ(config.at("fields").at(3),
            json::parse(R"({"minute":{"type":"number","description":"Per minute.","gt":0}})"));
  EXPECT_EQ(config.at("fields").at(6).at("headers").at("values").at("referenceable"), true);
  EXPECT_EQ(config.at("fields").at(7).at("redis").at("default"), json::parse(R"({"port":6379})"));
  EXPECT_EQ(config.at("entity_checks"), json::parse(R"([{"mutually_exclusive":["allow","deny"]}])"));
  EXPECT_EQ(config.at("shorthand_fields").at(0).at("redis_host").at("type"), "string");
  EXPECT_TRUE(config.at("shorthand_fields").at(0).at("redis_host").as_object().contains("deprecation"));
  EXPECT_TRUE(describe_plugin(*find_plugin_schema("other")).at("fields").at(2).at("consumer").is_object());

  const auto entity = schema<Plugin>().describe();
  for (const auto& field : entity.at("fields").as_array()) {
    const auto* own = field.as_object().if_contains("config");
    EXPECT_TRUE(!own || own->at("abstract") == json::value(true));
  }
  EXPECT_FALSE(schema<Plugin>().json_schema().at("properties").at("config").as_object().contains("properties"));
}

TEST(Rules, count_how_many_fields_are_given) {
  struct {
    CrossRule rule;
    std::string_view input, message;
  } const cases[] = {
      {any_of({"a", "b"}), R"({"a":[],"b":null})", "at least one of these fields must be non-empty: 'a', 'b'"},
      {any_of({"a", "b"}), R"({"a":[1]})", ""},
      {exactly_one_of({"a", "b"}), R"({"a":[1],"b":[1]})", "exactly one of these fields must be non-empty: 'a', 'b'"},
      {exactly_one_of({"a", "b"}), R"({})", "exactly one of these fields must be non-empty: 'a', 'b'"},
      {exactly_one_of({"a", "b"}), R"({"b":"x"})", ""},
      {at_most_one_of({"a", "b"}), R"({"a":1,"b":2})", "only one or none of these fields must be set: 'a', 'b'"},
      {at_most_one_of({"a", "b"}), R"({})", ""},
      {all_or_none_of({"a", "b"}), R"({"a":1})", "all or none of these fields must be set: 'a', 'b'"},
      {all_or_none_of({"a", "b"}), R"({"a":1,"b":2})", ""},
  };
  for (const auto& c : cases) {
    Object faults;
    std::vector<std::string> messages;
    c.rule.check(object(c.input), faults, messages);
    EXPECT_EQ(messages.empty() ? "" : messages.front(), c.message) << c.input;
    faults["a"] = "wrong";
    messages.clear();
    c.rule.check(object(c.input), faults, messages);
    EXPECT_TRUE(messages.empty());  // that fault is enough
  }
}

}  // namespace
}  // namespace weir::model
