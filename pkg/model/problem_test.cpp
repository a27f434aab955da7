#include "model/problem.h"

#include <gtest/gtest.h>

namespace weir::model {
namespace {

namespace json = boost::json;

Object object(std::string_view text) {
  return json::parse(text).as_object();
}

TEST(Problem, prints_keys_as_penlight_does) {
  struct {
    std::string_view key, text;
  } const cases[] = {
      {R"x({"id":"x"})x", R"x({id="x"})x"},
      {R"x({"service":null,"consumer":{"id":"1"},"name":"rewriter","route":null})x",
       R"x({consumer={id="1"},name="rewriter",route=null,service=null})x"},
      {R"x({"a-b":true,"n":1.5,"l":["x",2]})x", R"x({["a-b"]=true,l={"x",2},n=1.5})x"},
      {R"x({"name":"a\"b\\c\nd\u0001"})x", R"x({name="a\"b\\c\nd\001"})x"},
      {"{}", "{}"},
  };
  for (const auto& c : cases) EXPECT_EQ(key_text(object(c.key)), c.text);
}

TEST(Problem, bounds_the_depth_that_it_prints) {
  json::value deep = 1;
  for (int i = 0; i < 1000; i++) deep = Object{{"a", std::move(deep)}};
  EXPECT_LT(key_text(deep.as_object()).size(), 1000u);
}

TEST(Problem, summarises_one_fault_and_several) {
  struct {
    std::string_view fields, message;
  } const cases[] = {
      {R"x({"name":"required field missing"})x", "schema violation (name: required field missing)"},
      {R"x({"@entity":["whole"]})x", "schema violation (whole)"},
      {R"x({"z":"1","a":"2"})x", "2 schema violations (a: 2; z: 1)"},
      {R"x({"b":"2","@entity":["first","second"],"a":"1"})x", "4 schema violations (first; second; a: 1; b: 2)"},
      {R"x({"config":{"minute":"expected a number","hour":"x"}})x",
       "2 schema violations (config.hour: x; config.minute: expected a number)"},
      {R"x({"protocols":[null,"expected one of: http, https"]})x",
       "schema violation (protocols.2: expected one of: http, https)"},
      {R"x({"sources":[{"@entity":["at least one"]},{"ip":"bad"}]})x",
       "2 schema violations (sources.1: at least one; sources.2.ip: bad)"},
      {R"x({"healthchecks":{"active":{"timeout":"bad"}}})x", "schema violation (healthchecks.active.timeout: bad)"},
  };
  for (const auto& c : cases) EXPECT_EQ(schema_violation(object(c.fields)).message, c.message);
  EXPECT_EQ(invalid_options(object(R"x({"tags":"invalid filter syntax"})x")).message,
            "invalid option (tags: invalid filter syntax)");
  EXPECT_EQ(invalid_options(object(R"x({"a":"1","b":"2"})x")).message, "2 option violations (a: 1; b: 2)");
}

TEST(Problem, has_kongs_number_name_status_and_body) {
  const auto id = "8a3c8e62-6d4b-4e3a-9d3e-000000000001";
  struct {
    Problem problem;
    unsigned status;
    std::string_view body;
  } const cases[] = {
      {schema_violation(object(R"x({"host":"required field missing"})x")), 400,
       R"x({"code":2,"name":"schema violation","message":"schema violation (host: required field missing)",
           "fields":{"host":"required field missing"}})x"},
      {primary_key_violation(id), 400,
       R"x({"code":3,"name":"primary key violation","fields":{"id":"8a3c8e62-6d4b-4e3a-9d3e-000000000001"},
           "message":"primary key violation on key '{id=\"8a3c8e62-6d4b-4e3a-9d3e-000000000001\"}'"})x"},
      {foreign_missing("service", object(R"x({"id":"x"})x"), "services"), 400,
       R"x({"code":4,"name":"foreign key violation","fields":{"service":{"id":"x"}},
           "message":"the foreign key '{id=\"x\"}' does not reference an existing 'services' entity."})x"},
      {foreign_referenced("routes", "services"), 400,
       R"x({"code":4,"name":"foreign key violation","fields":{"@referenced_by":"routes"},
           "message":"an existing 'routes' entity references this 'services' entity"})x"},
      {unique_violation(object(R"x({"name":"x"})x")), 409,
       R"x({"code":5,"name":"unique constraint violation","fields":{"name":"x"},
           "message":"UNIQUE violation detected on '{name=\"x\"}'"})x"},
      {missing(id), 404,
       R"x({"code":6,"name":"not found","fields":{"id":"8a3c8e62-6d4b-4e3a-9d3e-000000000001"},
           "message":"could not find the entity with primary key '{id=\"8a3c8e62-6d4b-4e3a-9d3e-000000000001\"}'"})x"},
      {missing_by("name", "x"), 404,
       R"x({"code":6,"name":"not found","fields":{"name":"x"},"message":"could not find the entity with '{name=\"x\"}'"})x"},
      {database_failed("disk I/O error in /var/lib/weir"), 500, R"x({"message":"An unexpected error occurred"})x"},
      {{Problem::invalid_size, "size must be a number", {}, {}},
       400,
       R"x({"code":9,"name":"invalid size","message":"size must be a number"})x"},
      {invalid_unique("name", "Invalid name ('1.2.3.4'); no ip addresses allowed"), 400,
       R"x({"code":10,"name":"invalid unique name","message":"Invalid name ('1.2.3.4'); no ip addresses allowed"})x"},
      {invalid_options(object(R"x({"tags":"invalid filter syntax"})x")), 400,
       R"x({"code":11,"name":"invalid options","message":"invalid option (tags: invalid filter syntax)",
           "options":{"tags":"invalid filter syntax"}})x"},
      {{Problem::operation_unsupported, "cannot create 'routes' entities when not using a database", {}, {}},
       405,
       R"x({"code":12,"name":"operation unsupported",
           "message":"cannot create 'routes' entities when not using a database"})x"},
      {foreign_unresolved("service", object(R"x({"name":"non-existing"})x"), "services"), 400,
       R"x({"code":13,"name":"foreign keys unresolved",
           "message":"foreign key unresolved (service.name: the foreign key cannot be resolved with '{name=\"non-existing\"}' for an existing 'services' entity)",
           "fields":{"service":{"name":"the foreign key cannot be resolved with '{name=\"non-existing\"}' for an existing 'services' entity"}}})x"},
      {declarative_invalid(object(R"x({"services":"expected an array"})x")), 400,
       R"x({"code":14,"name":"invalid declarative configuration","fields":{"services":"expected an array"},
           "message":"declarative config is invalid: {services=\"expected an array\"}"})x"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(c.problem.http_status(), c.status) << c.body;
    EXPECT_EQ(c.problem.body(), object(c.body)) << json::serialize(c.problem.body());
  }
}

}  // namespace
}  // namespace weir::model
