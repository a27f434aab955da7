#include <algorithm>

#include "store/same.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

namespace json = boost::json;
using model::Problem;

constexpr double now = 1700000000.125;

Declarative read(std::string_view text) {
  auto out = parse_declarative(text, now);
  EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message);
  return out ? std::move(*out) : Declarative{};
}
json::value faults(std::string_view text) {
  const auto out = parse_declarative(text, now);
  EXPECT_FALSE(out.has_value());
  if (out) return nullptr;
  EXPECT_EQ(out.error().code, Problem::declarative_invalid);
  EXPECT_TRUE(out.error().message.starts_with("declarative config is invalid: {")) << out.error().message;
  return out.error().fields;
}
std::string error_text(std::string_view text) {
  const auto fields = faults(text);
  const auto* error = fields.is_object() ? fields.get_object().if_contains("error") : nullptr;
  return error != nullptr ? std::string(error->as_string()) : json::serialize(fields);
}
const Object& entity(const Declarative& read, const Schema& schema, std::size_t index = 0) {
  for (const auto& [kind, held] : read.entities)
    if (kind == &schema && index-- == 0) return held;
  ADD_FAILURE() << "no such entity";
  static const Object none;
  return none;
}

TEST(Declarative, reads_nested_entities_of_a_yaml_file) {
  const auto out = read(R"(
# a comment
_format_version: "3.0"
_transform: true
_comment: hello
_ignore: [whatever]
services:
- name: s
  url: http://hello:80/base
  tags: ["1", two]
  routes:
  - name: r
    hosts: [hello.com, '*.hello.com']
    strip_path: false
    paths:
    - /a
upstreams:
- name: hello
  targets:
  - target: 127.0.0.1:3000
  - target: 127.0.0.1:4000
    weight: 300
)");
  ASSERT_EQ(out.entities.size(), 5u);
  const auto& service = entity(out, services());
  EXPECT_EQ(service.at("host"), "hello");
  EXPECT_EQ(service.at("path"), "/base");
  EXPECT_EQ(service.at("tags"), (json::array{"1", "two"}));
  const auto& route = entity(out, routes());
  EXPECT_EQ(route.at("service"), (Object{{"id", service.at("id")}}));
  EXPECT_EQ(route.at("strip_path"), false);
  EXPECT_EQ(route.at("created_at"), 1700000000);
  EXPECT_EQ(entity(out, targets(), 1).at("weight"), 300);
  EXPECT_EQ(entity(out, targets()).at("upstream"), (Object{{"id", entity(out, upstreams()).at("id")}}));
}

TEST(Declarative, reads_json_as_well_and_flow_yaml_that_looks_like_it) {
  EXPECT_EQ(read(R"({"_format_version":"3.0","services":[{"name":"s","host":"h"}]})").entities.size(), 1u);
  EXPECT_EQ(read(R"({_format_version: "3.0", services: [{name: s, host: h}]})").entities.size(), 1u);
  EXPECT_TRUE(read(R"(_format_version: 3.0)").entities.empty());
}

TEST(Declarative, gives_kongs_ids_which_stay_the_same) {
  // uuid5(uuid5("fd02801f-0957-4a15-a55a-c8d9606f30b5", kind), name)
  const auto id = [](std::string_view kind, std::string_view name) {
    return Uuid::from_name(Uuid::from_name(*Uuid::parse("fd02801f-0957-4a15-a55a-c8d9606f30b5"), kind), name).text();
  };
  const auto text =
      R"({"_format_version":"3.0","services":[{"name":"s","host":"h","routes":[{"name":"r","paths":["/"]},{"paths":["/x"]},{"paths":["/x"]}]}],
      "upstreams":[{"name":"u","targets":[{"target":"h:80"}]}]})";
  const auto out = read(text);
  EXPECT_EQ(id_text(entity(out, services())), id("services", "s"));
  EXPECT_EQ(id_text(entity(out, routes())), id("routes", "r"));
  EXPECT_EQ(id_text(entity(out, targets())), id("targets", "h:80:" + id("upstreams", "u")));
  const auto again = parse_declarative(text, now + 100);
  ASSERT_EQ(again->entities.size(), out.entities.size());
  for (std::size_t i = 0; i < out.entities.size(); i++)
    EXPECT_EQ(again->entities[i].second.at("id"), out.entities[i].second.at("id"));
  EXPECT_NE(entity(out, routes(), 1).at("id"), entity(out, routes(), 2).at("id"));
  // So a reload changes nothing.
  const auto store = opened();
  EXPECT_EQ(store->replace_all(out.entities)->size(), 6u);
  EXPECT_TRUE(store->replace_all(again->entities)->empty());
}

TEST(Declarative, resolves_references_by_name_and_by_id) {
  const auto out = read(R"(
_format_version: "3.0"
routes:
- {name: a, paths: [/a], service: s}
- {name: b, paths: [/b], service: A1234567-0000-4000-8000-00000000000F}
- {name: c, paths: [/c], service: {name: s}}
- {name: d, paths: [/d], service: {id: a1234567-0000-4000-8000-00000000000f}}
- {name: e, paths: [/e], service: null}
targets:
- {target: "h:1", upstream: u}
services:
- {name: s, host: h, id: a1234567-0000-4000-8000-00000000000f}
upstreams:
- name: u
)");
  for (std::size_t i = 0; i < 4; i++)
    EXPECT_EQ(entity(out, routes(), i).at("service"), (Object{{"id", "a1234567-0000-4000-8000-00000000000f"}})) << i;
  EXPECT_TRUE(entity(out, routes(), 4).at("service").is_null());
  EXPECT_EQ(entity(out, targets()).at("upstream"), (Object{{"id", entity(out, upstreams()).at("id")}}));
}

TEST(Declarative, tells_all_faults_at_once_where_they_are) {
  EXPECT_EQ(faults(R"(
_format_version: "3.0"
_extra: 1
services:
- {name: good, host: h}
- {name: bad, host: h, port: 70000, colour: red, filter_chains: [{name: x}], plugins: [{name: x}]}
- 5
- {name: outer, host: h, routes: [{paths: [nope]}, {paths: [/], service: good}]}
routes:
- {name: r, paths: [/], service: missing}
jwt_secrets: [{username: x}]
what: []
upstreams: {}
)"),
            json::parse(R"x({
    "_extra": "unknown field",
    "services": [null, {"port": "value should be between 0 and 65535", "colour": "unknown field",
                        "filter_chains": "this version of Weir does not support 'filter_chains'; remove them",
                        "plugins": [{"name": "plugin 'x' not enabled; add it to the 'plugins' configuration property"}]},
                 "expected a record",
                 {"routes": [{"paths": ["should start with: / (fixed path) or ~/ (regex path)"]}, {"service": "unknown field"}]}],
    "routes": [{"service": "invalid reference 'service: missing' (no such entry in 'services')"}],
    "jwt_secrets": "this version of Weir does not support 'jwt_secrets'; remove them",
    "what": "unknown field",
    "upstreams": "expected an array"})x"));
}

TEST(Declarative, refuses_what_is_declared_twice) {
  EXPECT_EQ(faults(R"({"_format_version":"3.0","services":[{"name":"x","host":"h"},{"name":"x","host":"g"},
      {"id":"a1234567-0000-4000-8000-00000000000f","host":"h"},{"id":"a1234567-0000-4000-8000-00000000000F","host":"h"}],
      "upstreams":[{"name":"u","targets":[{"target":"h"},{"target":"h:8000"}]}]})"),
            json::parse(R"({
    "services": [null, {"name": "uniqueness violation: 'services' entity with name set to 'x' already declared"}, null,
                 {"id": "uniqueness violation: 'services' entity with primary key set to 'a1234567-0000-4000-8000-00000000000f' already declared"}],
    "upstreams": [{"targets": [null, {"target": "uniqueness violation: 'targets' entity with target set to 'h:8000' already declared"}]}]})"));
}

TEST(Declarative, checks_the_head_of_the_document) {
  for (const auto& [text, expected] : std::vector<std::pair<const char*, const char*>>{
           {"{}", R"({"_format_version":"required field missing"})"},
           {"_format_version: '4.0'", R"({"_format_version":"expected one of: 1.1, 2.1, 3.0"})"},
           {"_format_version: [3]", R"({"_format_version":"expected one of: 1.1, 2.1, 3.0"})"},
           {"{_format_version: '3.0', _transform: 1}", R"({"_transform":"expected a boolean"})"},
           {"{_format_version: '3.0', _comment: 1}", R"({"_comment":"expected a string"})"},
           {"{_format_version: '3.0', _ignore: 1}", R"({"_ignore":"expected an array"})"}})
    EXPECT_EQ(faults(text), json::parse(expected)) << text;
}

TEST(Declarative, moves_paths_of_older_formats_to_the_new_form) {
  const auto paths = [](std::string_view version, std::string_view path) {
    const auto out = read(fmt::format(R"({{"_format_version":"{}","routes":[{{"paths":["{}"]}}]}})", version, path));
    return std::string(entity(out, routes()).at("paths").at(0).as_string());
  };
  EXPECT_EQ(paths("1.1", "/plain/path"), "/plain/path");
  EXPECT_EQ(paths("2.1", "/a/./b//c%41"), "/a/b/cA");
  EXPECT_EQ(paths("2.1", "/users/(\\\\d+)$"), "~/users/(\\d+)$");
  EXPECT_EQ(paths("1.1", "/a%20b[0-9]"), "~/a b[0-9]");
  EXPECT_EQ(paths("3.0", "~/users/(\\\\d+)$"), "~/users/(\\d+)$");
}

TEST(Declarative, says_where_the_text_is_broken) {
  const auto deep = std::string(100000, '[');
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"services: [", "line 1"},
           {"a: b: c", "line 1"},
           {"a: 1\na: 2", "the key 'a' is given twice at line 2"},
           {"? [a]\n: b", "a key that is no text"},
           {"a: !!python/object:x {}\nb: !foo 1", "unknown tag"},
           {"a: 1\n---\nb: 1", "more than one document"},
           {"", "expected an object"},
           {"just text", "expected an object"},
           {"{\"a\": tru", "JSON"},
           {deep, ""},
           {"a: " + std::string(100, '[') + std::string(100, ']'), "nested too deep"},
           {"{\"a\":" + deep, ""},
           {"a: *b", "line 1"},
           {"a: &a [*a]", "alias"},
           {"<<: 5", "'<<' wants a map"}}) {
    const auto said = error_text(text);
    EXPECT_TRUE(said.starts_with("failed parsing declarative configuration: ")) << said;
    EXPECT_NE(said.find(part), std::string::npos) << said << "\n expected: " << part;
  }
  EXPECT_NE(error_text(std::string(65 << 20, ' ')).find("larger than 64 MiB"), std::string::npos);
}

TEST(Declarative, bounds_what_aliases_expand_to) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; i++) {
    bomb += fmt::format("a{}: &a{} [", i, i);
    for (int k = 0; k < 10; k++) bomb += fmt::format("{}*a{}", k ? "," : "", i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(error_text(bomb).find("aliases expand to too much"), std::string::npos);
  const auto text = "a: &a " + std::string(1 << 20, 'x') + "\nb: [" + [] {
    std::string many;
    for (int i = 0; i < 10000; i++) many += "*a,";
    return many;
  }() + "]\n";
  EXPECT_NE(error_text(text).find("aliases expand to too much"), std::string::npos);
}

TEST(Declarative, knows_anchors_and_merge_keys) {
  const auto out = read(R"(
_format_version: "3.0"
_ignore:
- &defaults {retries: 2, port: 81, host: h}
services:
- <<: *defaults
  name: a
- {<<: [*defaults, {protocol: https}], name: b, port: 82}
)");
  EXPECT_EQ(entity(out, services()).at("port"), 81);
  EXPECT_EQ(entity(out, services()).at("retries"), 2);
  EXPECT_EQ(entity(out, services(), 1).at("port"), 82);
  EXPECT_EQ(entity(out, services(), 1).at("protocol"), "https");
}

TEST(Declarative, types_plain_scalars_by_the_core_schema) {
  const auto type_fault = [](std::string_view field, std::string_view value) {
    const auto out = parse_declarative(
        fmt::format("{{_format_version: '3.0', services: [{{host: h, {}: {}}}]}}", field, value), now);
    return out ? std::string("good") : std::string(out.error().fields.at("services").at(0).at(field).as_string());
  };
  EXPECT_EQ(type_fault("port", "80"), "good");
  EXPECT_EQ(type_fault("port", "0x50"), "good");
  EXPECT_EQ(type_fault("port", "0o120"), "good");
  EXPECT_EQ(type_fault("port", "8e1"), "good");
  EXPECT_EQ(type_fault("port", "'80'"), "expected an integer");
  EXPECT_EQ(type_fault("port", "8.5"), "expected an integer");
  EXPECT_EQ(type_fault("port", ".inf"), "expected an integer");
  EXPECT_EQ(type_fault("port", "99999999999999999999999"), "value should be between 0 and 65535");
  EXPECT_EQ(type_fault("enabled", "True"), "good");
  EXPECT_EQ(type_fault("enabled", "yes"), "expected a boolean");
  EXPECT_EQ(type_fault("name", "80"), "expected a string");
  EXPECT_EQ(type_fault("name", "'80'"), "good");
  EXPECT_EQ(type_fault("name", "!!str 80"), "good");
  EXPECT_EQ(type_fault("name", "~"), "good");
  EXPECT_EQ(type_fault("name", "no"), "good");
}

// ---- consumers, credentials, plugins --------------------------------------------------------------------------------

class DeclarativePlugins : public ::testing::Test {
 protected:
  DeclarativePlugins() { install_test_plugins(); }
  ~DeclarativePlugins() override { model::install_plugin_schemas({}); }
};

constexpr std::string_view whole = R"(
_format_version: "3.0"
plugins:
- {name: limit, config: {minute: 1}}
- {name: limit, consumer: bob, route: r}
services:
- name: s
  host: h
  plugins: [{name: key-auth, config: {key_names: [k]}}]
  routes:
  - name: r
    paths: [/]
    plugins: [{name: limit, instance_name: mine}]
consumers:
- username: alice
  plugins: [{name: limit}]
  keyauth_credentials: [{key: alice-key, ttl: 100}]
  basicauth_credentials: [{username: alice, password: secret}]
  acls: [{group: one}, {group: two}]
- username: bob
keyauth_credentials:
- {key: bob-key, consumer: bob}
acls:
- {group: one, consumer: bob}
)";

TEST_F(DeclarativePlugins, are_read_at_the_top_and_below_their_parents) {
  const auto out = read(whole);
  const auto alice = id_text(entity(out, consumers())), bob = id_text(entity(out, consumers(), 1));
  EXPECT_EQ(entity(out, plugins()).at("config"), (Object{{"minute", 1}, {"policy", "local"}}));
  EXPECT_EQ(entity(out, plugins(), 1).at("consumer"), (Object{{"id", bob}}));
  EXPECT_EQ(entity(out, plugins(), 1).at("route"), (Object{{"id", id_text(entity(out, routes()))}}));
  EXPECT_EQ(entity(out, plugins(), 2).at("service"), (Object{{"id", id_text(entity(out, services()))}}));
  EXPECT_EQ(entity(out, plugins(), 3).at("route"), (Object{{"id", id_text(entity(out, routes()))}}));
  EXPECT_TRUE(entity(out, plugins(), 3).at("service").is_null());
  EXPECT_EQ(entity(out, plugins(), 4).at("consumer"), (Object{{"id", alice}}));
  EXPECT_EQ(entity(out, key_auths()).at("key"), "alice-key");
  EXPECT_EQ(entity(out, key_auths()).at("ttl"), 100);
  EXPECT_EQ(entity(out, key_auths(), 1).at("consumer"), (Object{{"id", bob}}));
  EXPECT_EQ(entity(out, acls(), 2).at("consumer"), (Object{{"id", bob}}));
  EXPECT_EQ(entity(out, basic_auths()).at("password").as_string().size(), 40u);
  const auto store = opened();
  EXPECT_TRUE(store->replace_all(out.entities).has_value());
}

TEST_F(DeclarativePlugins, have_kongs_ids) {
  const auto id = [](std::string_view kind, std::string_view name) {
    return Uuid::from_name(Uuid::from_name(*Uuid::parse("fd02801f-0957-4a15-a55a-c8d9606f30b5"), kind), name).text();
  };
  const auto out = read(whole);
  const auto alice = id("consumers", "alice");
  EXPECT_EQ(id_text(entity(out, consumers())), alice);
  EXPECT_EQ(id_text(entity(out, key_auths())), id("keyauth_credentials", "alice-key"));
  EXPECT_EQ(id_text(entity(out, basic_auths())), id("basicauth_credentials", "alice"));
  EXPECT_EQ(id_text(entity(out, acls())), id("acls", "acls:*:" + alice + ":one"));
  EXPECT_EQ(id_text(entity(out, plugins())), id("plugins", "plugins:*:limit:::"));
  EXPECT_EQ(id_text(entity(out, plugins(), 2)), id("plugins", "plugins:*:key-auth::" + id("services", "s") + ":"));
  EXPECT_EQ(id_text(entity(out, plugins(), 3)), id("plugins", "mine"));
}

TEST_F(DeclarativePlugins, take_passwords_as_they_are_when_told_so) {
  const auto out = read(R"({_format_version: "3.0", _transform: false, consumers: [{username: a,
      basicauth_credentials: [{username: a, password: hashed}]}]})");
  EXPECT_EQ(entity(out, basic_auths()).at("password"), "hashed");
}

TEST_F(DeclarativePlugins, name_faults_where_they_are) {
  EXPECT_EQ(faults(R"(
_format_version: "3.0"
consumers:
- {tags: [a]}
- username: a
  plugins: [{name: key-auth}, {name: limit, config: {minute: x}}, {name: limit, consumer: a}]
  keyauth_credentials: [{consumer: a}]
- username: a
plugins:
- {name: nope}
- {name: limit}
- {name: limit, tags: [b]}
- {name: limit, service: missing}
acls:
- {group: g, consumer: nobody}
)"),
            json::parse(R"x({
    "consumers": [{"@entity": ["at least one of these fields must be non-empty: 'custom_id', 'username'"]},
                  {"plugins": [{"consumer": "value must be null"}, {"config": {"minute": "expected an integer"}}, {"consumer": "unknown field"}],
                   "keyauth_credentials": [{"consumer": "unknown field"}]},
                  {"username": "uniqueness violation: 'consumers' entity with username set to 'a' already declared"}],
    "plugins": [{"name": "plugin 'nope' not enabled; add it to the 'plugins' configuration property"}, null,
                {"name": "uniqueness violation: 'plugins' entity with name set to 'limit' already declared"},
                {"service": "invalid reference 'service: missing' (no such entry in 'services')"}],
    "acls": [{"consumer": "invalid reference 'consumer: nobody' (no such entry in 'consumers')"}]})x"));
}

TEST_F(DeclarativePlugins, are_exported_and_read_again_as_they_were) {
  const auto store = opened();
  ASSERT_TRUE(store->replace_all(read(whole).entities).has_value());
  const auto text = print_declarative(*store);
  ASSERT_TRUE(text.has_value());
  EXPECT_TRUE(text->find("\n_transform: false\n") != std::string::npos) << *text;
  const auto again = parse_declarative(*text, 5);
  ASSERT_TRUE(again.has_value()) << again.error().message << *text;
  EXPECT_EQ(again->entities.size(), read(whole).entities.size());
  for (const auto& [schema, entity] : again->entities) {
    auto held = **store->find(*schema, id_value(entity)), seen = entity;
    for (auto* row : {&held, &seen}) row->erase("ttl");  // a second may have passed
    EXPECT_TRUE(same(held, seen)) << json::serialize(held) << "\n" << json::serialize(seen);
  }
}

// ---- export ---------------------------------------------------------------------------------------------------------

TEST(Export, can_be_read_again_as_the_same_entities) {
  const auto store = opened();
  const auto service =
      put(*store, services(),
          R"({"name":"s","host":"h","retries":null,"tags":["yes","1.0","a: b","quote\"","ümläut","- x"]})");
  put(*store, routes(),
      child("service", service, R"("name":"r","paths":["~/(?<x>\\d+)$"],"headers":{"x-1":["a","b c"]},"tags":[])"));
  put(*store, routes(), R"({"hosts":["*.x.y"],"protocols":["https"]})");
  const auto upstream = put(*store, upstreams(), R"({"name":"u","slots":10})");
  put(*store, targets(), child("upstream", upstream, R"("target":"[::1]:80","weight":0)"), 1700000000.0);
  put(*store, targets(), child("upstream", upstream, R"("target":"h:80")"), 1700000000.123);

  const auto text = print_declarative(*store);
  ASSERT_TRUE(text.has_value());
  EXPECT_TRUE(text->starts_with("_format_version: \"3.0\"\n")) << *text;
  EXPECT_EQ(text->find("path: null"), std::string::npos) << *text;
  EXPECT_NE(text->find("retries: null"), std::string::npos) << *text;
  const auto again = parse_declarative(*text, 5);
  ASSERT_TRUE(again.has_value()) << again.error().message << *text;
  ASSERT_EQ(again->entities.size(), 6u);
  for (const auto& [schema, entity] : again->entities) {
    const auto held = store->find(*schema, id_value(entity));
    ASSERT_TRUE(held->has_value());
    EXPECT_TRUE(same(**held, entity)) << json::serialize(**held) << "\n" << json::serialize(entity);
  }
}

TEST(Export, of_nothing_is_a_document) {
  EXPECT_EQ(*print_declarative(*opened()), "_format_version: \"3.0\"\n");
}

}  // namespace
}  // namespace weir::store
