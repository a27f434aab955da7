// The engine: completing, checking, merging, describing, through the entities that exist.
#include "model/schema.h"

#include <gtest/gtest.h>

#include "model/entities.h"
#include "model/rules.h"

namespace weir::model {
namespace {

namespace json = boost::json;

constexpr double now = 1700000000.123;

Object object(std::string_view text) {
  return json::parse(text).as_object();
}
json::value value(std::string_view text) {
  return json::parse(text);
}

TEST(Schema, fills_in_what_a_new_service_leaves_out) {
  const auto made = schema<Service>().insert(object(R"({"name":"s","host":"example.com"})"), now);
  ASSERT_TRUE(made) << made.error().message;
  auto expected = object(R"({"id":null,"created_at":1700000000,"updated_at":1700000000,"name":"s","retries":5,
    "protocol":"http","host":"example.com","port":80,"path":null,"connect_timeout":60000,"write_timeout":60000,
    "read_timeout":60000,"tags":null,"client_certificate":null,"tls_verify":null,"tls_verify_depth":null,
    "ca_certificates":null,"enabled":true})");
  expected["id"] = made->at("id");
  EXPECT_EQ(json::serialize(*made), json::serialize(expected));  // the order counts
  EXPECT_TRUE(Uuid::parse(made->at("id").as_string()));
}

TEST(Schema, fills_in_what_a_new_route_leaves_out) {
  const auto made =
      schema<Route>().insert(object(R"({"hosts":["example.com"],"id":"A1234567-0000-4000-8000-00000000000F"})"), now);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(*made, object(R"({"id":"a1234567-0000-4000-8000-00000000000f","created_at":1700000000,
    "updated_at":1700000000,"name":null,"protocols":["http","https"],"https_redirect_status_code":426,
    "strip_path":true,"preserve_host":false,"request_buffering":true,"response_buffering":true,"tags":null,
    "service":null,"snis":null,"sources":null,"destinations":null,"methods":null,"hosts":["example.com"],
    "paths":null,"headers":null,"regex_priority":0,"path_handling":"v0"})"));
}

TEST(Schema, fills_in_what_a_new_upstream_leaves_out) {
  const auto made =
      schema<Upstream>().insert(object(R"({"name":"u","id":"a1234567-0000-4000-8000-00000000000f"})"), now);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(*made, object(R"({"id":"a1234567-0000-4000-8000-00000000000f","created_at":1700000000,
    "updated_at":1700000000,"name":"u","algorithm":"round-robin","hash_on":"none","hash_fallback":"none",
    "hash_on_header":null,"hash_fallback_header":null,"hash_on_cookie":null,"hash_on_cookie_path":"/",
    "hash_on_query_arg":null,"hash_fallback_query_arg":null,"hash_on_uri_capture":null,
    "hash_fallback_uri_capture":null,"slots":10000,"healthchecks":{
      "active":{"type":"http","timeout":1,"concurrency":10,"http_path":"/","https_sni":null,
        "https_verify_certificate":true,"headers":null,
        "healthy":{"interval":0,"http_statuses":[200,302],"successes":0},
        "unhealthy":{"interval":0,"http_statuses":[429,404,500,501,502,503,504,505],"tcp_failures":0,"timeouts":0,
          "http_failures":0}},
      "passive":{"type":"http",
        "healthy":{"http_statuses":[200,201,202,203,204,205,206,207,208,226,300,301,302,303,304,305,306,307,308],
          "successes":0},
        "unhealthy":{"http_statuses":[429,500,503],"tcp_failures":0,"timeouts":0,"http_failures":0}},
      "threshold":0},
    "tags":null,"host_header":null,"client_certificate":null,"use_srv_name":false})"));
}

TEST(Schema, fills_in_what_a_new_target_leaves_out) {
  const auto made = schema<Target>().insert(
      object(R"({"target":"h","upstream":{"id":"b1234567-0000-4000-8000-00000000000f"}})"), now);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->at("target"), "h:8000");
  EXPECT_EQ(made->at("weight"), 100);
  EXPECT_EQ(made->at("created_at"), 1700000000.123);
  EXPECT_EQ(made->at("upstream"), value(R"({"id":"b1234567-0000-4000-8000-00000000000f"})"));
}

TEST(Schema, names_all_faults_at_once) {
  const auto made = schema<Service>().insert(
      object(R"({"name":"a b","port":70000,"retries":"5","protocol":"ftp","tags":["ok","a,b",1],"foo":1})"), now);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Problem::schema_violation);
  EXPECT_EQ(json::value(made.error().fields), value(R"({
    "name":"invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~",
    "port":"value should be between 0 and 65535","retries":"expected an integer",
    "protocol":"expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp",
    "host":"required field missing","foo":"unknown field",
    "tags":[null,"invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
      "expected a string"]})"));
  EXPECT_TRUE(
      made.error().message.starts_with("8 schema violations (foo: unknown field; host: required field missing; "))
      << made.error().message;
  EXPECT_NE(made.error().message.find("tags.3: expected a string"), std::string::npos) << made.error().message;
}

TEST(Schema, takes_no_default_for_an_explicit_null) {
  const auto made = schema<Service>().insert(object(R"({"host":"h","retries":null})"), now);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->at("retries").is_null());
  EXPECT_EQ(read<Service>(*made).retries, 5);  // what Kong's data path does with it, too
  const auto refused = schema<Service>().insert(object(R"({"host":"h","port":null})"), now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fields, object(R"({"port":"required field missing"})"));
}

TEST(Schema, upsert_keeps_the_given_id_and_starts_anew) {
  const auto id = *Uuid::parse("a1234567-0000-4000-8000-00000000000f");
  const auto made = schema<Service>().upsert(object(R"({"host":"h","created_at":12,"updated_at":13})"), id, now);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(text_of(made->at("id")), id.text());
  EXPECT_EQ(made->at("created_at"), 12);
  EXPECT_EQ(made->at("updated_at"), 1700000000);
  EXPECT_TRUE(schema<Service>().upsert(object(R"({"host":"h","id":"A1234567-0000-4000-8000-00000000000F"})"), id, now));
  const auto other =
      schema<Service>().upsert(object(R"({"host":"h","id":"b1234567-0000-4000-8000-00000000000f"})"), id, now);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().fields, object(R"({"id":"immutable field cannot be updated"})"));
}

TEST(Schema, update_merges_records_deeply_and_everything_else_whole) {
  const auto& schema = model::schema<Upstream>();
  const auto made = schema.insert(object(R"({"name":"u","tags":["a","b"],"slots":50})"), now);
  ASSERT_TRUE(made);
  const auto changed =
      schema.update(*made, object(R"({"healthchecks":{"active":{"timeout":7}},"tags":["c"],"slots":null})"), now + 10);
  ASSERT_TRUE(changed) << changed.error().message;
  auto expected = *made;
  expected["healthchecks"].at("active").at("timeout") = 7;
  expected["tags"] = value(R"(["c"])");
  expected["slots"] = nullptr;
  expected["updated_at"] = 1700000010;
  EXPECT_EQ(*changed, expected);
}

TEST(Schema, update_checks_the_whole_entity) {
  const auto& schema = model::schema<Route>();
  const auto made = schema.insert(object(R"({"paths":["/a"]})"), now);
  ASSERT_TRUE(made);
  const auto changed = schema.update(*made, object(R"({"paths":null,"wieght":1})"), now);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().fields, object(R"({"wieght":"unknown field",
              "@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]})"));
  const auto moved = schema.update(*made, object(R"({"id":"b1234567-0000-4000-8000-00000000000f"})"), now);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().fields, object(R"({"id":"immutable field cannot be updated"})"));
}

TEST(Schema, checks_rows_as_they_are) {
  const auto& schema = model::schema<Target>();
  auto row = *schema.insert(object(R"({"target":"h","upstream":{"id":"b1234567-0000-4000-8000-00000000000f"}})"), now);
  EXPECT_TRUE(schema.check(row));
  row["weight"] = -1;
  EXPECT_EQ(schema.check(row).error().message, "schema violation (weight: value should be between 0 and 65535)");
  row["weight"] = 1;
  row.erase("id");
  EXPECT_EQ(schema.check(row).error().message, "schema violation (id: required field missing)");
}

TEST(Schema, validate_needs_no_id) {
  EXPECT_TRUE(schema<Route>().validate(object(R"({"hosts":["a.com"]})")));
  EXPECT_FALSE(schema<Route>().validate(object(R"({"hosts":["a.com"],"id":"x"})")));
}

TEST(Schema, refuses_hostile_values_by_a_message) {
  struct {
    std::string_view field;
    json::value value;
    std::string_view message;
  } const cases[] = {
      {"name", json::value(std::string_view("a\0b", 3)), "invalid value: expected valid utf-8 without NUL characters"},
      {"name", "\xff", "invalid value: expected valid utf-8 without NUL characters"},
      {"name", "\xed\xa0\x80", "invalid value: expected valid utf-8 without NUL characters"},
      {"name", "", "length must be at least 1"},
      {"name", 1, "expected a string"},
      {"regex_priority", 1e300, "value should be between -9007199254740991 and 9007199254740991"},
      {"regex_priority", 18446744073709551615ull, "value should be between -9007199254740991 and 9007199254740991"},
      {"regex_priority", std::numeric_limits<double>::infinity(), "expected an integer"},
      {"regex_priority", std::numeric_limits<double>::quiet_NaN(), "expected an integer"},
      {"regex_priority", 1.5, "expected an integer"},
      {"created_at", -1, "expected a valid timestamp"},
      {"created_at", 1e18, "expected a valid timestamp"},
      {"created_at", "now", "expected an integer"},
      {"id", "x", "expected a valid UUID"},
      {"service", "x", "expected a record"},
      {"strip_path", "yes", "expected a boolean"},
      {"methods", "GET", "expected a set"},
      {"hosts", "a.com", "expected an array"},
      {"headers", json::array{}, "expected a map"},
      {"protocols", json::array{}, "length must be at least 1"},
  };
  for (const auto& c : cases) {
    Object input{{"paths", json::array{"/"}}};
    input[c.field] = c.value;
    const auto made = schema<Route>().insert(input, now);
    ASSERT_FALSE(made) << c.field << ": " << c.message;
    EXPECT_EQ(text_of(value_of(made.error().fields, c.field)), c.message) << made.error().message;
  }
}

TEST(Schema, accepts_whole_numbers_however_they_are_written) {
  const auto made = schema<Route>().insert(object(R"({"hosts":["a.com"],"regex_priority":5.0})"), now);
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->at("regex_priority").is_int64());
}

TEST(Schema, bounds_what_an_answer_lists) {
  json::array many(100000, json::value(""));
  Object input{{"tags", many}, {"paths", json::array{"/"}}};
  for (int i = 0; i < 1000; i++) input[std::string("\xff") + std::to_string(i)] = i;
  input[std::string(100000, 'x')] = 1;
  const auto made = schema<Route>().insert(input, now);
  ASSERT_FALSE(made);
  EXPECT_LT(made.error().message.size(), 100000u);
}

TEST(Schema, wants_the_id_of_a_parent) {
  struct {
    std::string_view service, faults;
  } const cases[] = {
      {R"({"name":"s"})", R"({"service":{"id":"missing primary key","name":"not a primary key"}})"},
      {R"({"id":"s"})", R"({"service":{"id":"expected a valid UUID"}})"},
      {R"({"id":7})", R"({"service":{"id":"expected a string"}})"},
  };
  for (const auto& c : cases) {
    auto input = object(R"({"hosts":["a.com"]})");
    input["service"] = value(c.service);
    const auto made = schema<Route>().insert(input, now);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().fields, object(c.faults));
  }
}

TEST(Schema, describes_itself_as_kong_does) {
  const auto described = schema<Target>().describe();
  EXPECT_EQ(described.at("fields").at(0), value(R"({"id":{"type":"string",
    "description":"Identifies the entity; made up when left out.","uuid":true,"auto":true}})"));
  const auto& fields = described.at("fields").as_array();
  const auto field = [&](std::string_view name) {
    for (const auto& f : fields)
      if (f.as_object().contains(name)) return f.at(name);
    return json::value();
  };
  EXPECT_EQ(field("upstream").at("type"), "foreign");
  EXPECT_EQ(field("upstream").at("reference"), "upstreams");
  EXPECT_EQ(field("weight").at("default"), 100);
  EXPECT_EQ(field("weight").at("between"), value("[0,65535]"));
  EXPECT_EQ(field("tags").at("elements").at("type"), "string");
  EXPECT_EQ(schema<Service>().describe().at("shorthand_fields").at(0).at("url").at("type"), "string");
  EXPECT_GE(schema<Service>().describe().at("entity_checks").as_array().size(), 5u);
}

TEST(Schema, every_field_of_every_entity_has_help_and_a_json_schema) {
  for (const auto* schema : schemas()) {
    const auto document = schema->json_schema();
    for (const auto& field : schema->fields()) {
      EXPECT_FALSE(field.help.empty()) << schema->name() << "." << field.name;
      EXPECT_TRUE(document.at("properties").as_object().contains(field.name));
    }
    EXPECT_TRUE(schema->has_tags());
    EXPECT_EQ(find_schema(schema->name()), schema);
  }
  EXPECT_EQ(find_schema("apis"), nullptr);
}

TEST(Schema, its_json_schema_says_what_is_read_only_and_what_is_required) {
  const auto document = schema<Route>().json_schema();
  const auto& properties = document.at("properties");
  EXPECT_EQ(properties.at("id").at("readOnly"), true);
  EXPECT_EQ(properties.at("https_redirect_status_code").at("enum"), value("[426,301,302,307,308]"));
  EXPECT_EQ(properties.at("service").at("required"), value(R"(["id"])"));
  EXPECT_EQ(schema<Service>().json_schema().at("required"), value(R"(["host"])"));
  EXPECT_EQ(schema<Service>().json_schema().at("properties").at("url").at("writeOnly"), true);
}

}  // namespace
}  // namespace weir::model
