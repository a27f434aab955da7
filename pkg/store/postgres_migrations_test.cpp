#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "model/schema.h"
#include "store/postgres_schema.h"
#include "store/postgres_test_support.h"

namespace weir::store {
namespace {

using namespace std::chrono_literals;

struct Expected {
  std::string_view table, columns, constraints;
};
// As the reference of Kong's database lists them: u uuid, t text, ts timestamptz, b boolean, j jsonb, i integer, bi
// bigint, si smallint; "!" NOT NULL; d0, d3: the time in s, ms; PAIR: UNIQUE(id, ws_id).
// clang-format off
constexpr Expected expected[] = {
    {"workspaces", "id u!, name t, comment t, created_at ts=d0, meta j, config j, updated_at ts=d0",
     "PK(id); UNIQUE(name)"},
    {"services", "id u!, created_at ts, updated_at ts, name t, retries bi, protocol t, host t, port bi, path t, connect_timeout bi, write_timeout bi, read_timeout bi, tags t[], client_certificate_id u, tls_verify b, tls_verify_depth si, ca_certificates u[], ws_id u, enabled b=true",
     "PK(id); PAIR; UNIQUE(ws_id,name); FK(client_certificate_id,ws_id)->certificates(id,ws_id)"},
    {"routes", "id u!, created_at ts, updated_at ts, name t, service_id u, protocols t[], methods t[], hosts t[], paths t[], snis t[], sources j[], destinations j[], regex_priority bi, strip_path b, preserve_host b, tags t[], https_redirect_status_code i, headers j, path_handling t='v0', ws_id u, request_buffering b, response_buffering b, expression t, priority bi",
     "PK(id); PAIR; UNIQUE(ws_id,name); FK(service_id,ws_id)->services(id,ws_id)"},
    {"upstreams", "id u!, created_at ts=d3, name t, hash_on t, hash_fallback t, hash_on_header t, hash_fallback_header t, hash_on_cookie t, hash_on_cookie_path t, slots i!, healthchecks j, tags t[], algorithm t, host_header t, client_certificate_id u, ws_id u, hash_on_query_arg t, hash_fallback_query_arg t, hash_on_uri_capture t, hash_fallback_uri_capture t, use_srv_name b=false, updated_at ts=d0",
     "PK(id); PAIR; UNIQUE(ws_id,name); FK(client_certificate_id)->certificates(id)"},
    {"targets", "id u!, created_at ts=d3, upstream_id u, target t!, weight i!, tags t[], ws_id u, cache_key t, updated_at ts=d3",
     "PK(id); PAIR; UNIQUE(cache_key); FK(upstream_id,ws_id)->upstreams(id,ws_id) CASCADE"},
    {"consumers", "id u!, created_at ts=d0, username t, custom_id t, tags t[], ws_id u, updated_at ts=d0",
     "PK(id); PAIR; UNIQUE(ws_id,username); UNIQUE(ws_id,custom_id)"},
    {"plugins", "id u!, created_at ts=d0, name t!, consumer_id u, service_id u, route_id u, config j!, enabled b!, cache_key t, protocols t[], tags t[], ws_id u, instance_name t, updated_at ts=d0",
     "PK(id); PAIR; UNIQUE(cache_key); UNIQUE(ws_id,instance_name); FK(consumer_id,ws_id)->consumers(id,ws_id) CASCADE; FK(service_id,ws_id)->services(id,ws_id) CASCADE; FK(route_id,ws_id)->routes(id,ws_id) CASCADE"},
    {"certificates", "id u!, created_at ts=d0, cert t, key t, tags t[], ws_id u, cert_alt t, key_alt t, updated_at ts=d0",
     "PK(id); PAIR"},
    {"snis", "id u!, created_at ts=d0, name t!, certificate_id u, tags t[], ws_id u, updated_at ts=d0",
     "PK(id); PAIR; UNIQUE(name); FK(certificate_id,ws_id)->certificates(id,ws_id)"},
    {"ca_certificates", "id u!, created_at ts=d0, cert t!, tags t[], cert_digest t!, updated_at ts=d0",
     "PK(id); UNIQUE(cert_digest)"},
    {"sm_vaults", "id u!, ws_id u, prefix t, name t!, description t, config j!, created_at ts=d0, updated_at ts, tags t[]",
     "PK(id); PAIR; UNIQUE(prefix); UNIQUE(prefix,ws_id)"},
    {"key_sets", "id u!, name t, tags t[], ws_id u, created_at ts, updated_at ts",
     "PK(id); UNIQUE(name)"},
    {"keys", "id u!, set_id u, name t, cache_key t, ws_id u, kid t, jwk t, pem j, tags t[], created_at ts, updated_at ts",
     "PK(id); UNIQUE(name); UNIQUE(cache_key); UNIQUE(kid,set_id); FK(set_id)->key_sets(id) CASCADE"},
    {"filter_chains", "id u!, name t, enabled b=true, route_id u, service_id u, ws_id u, cache_key t, filters j[], tags t[], created_at ts, updated_at ts",
     "PK(id); UNIQUE(name); UNIQUE(cache_key); FK(route_id)->routes(id) CASCADE; FK(service_id)->services(id) CASCADE"},
    {"tags", "entity_id u!, entity_name t, tags t[]",
     "PK(entity_id)"},
    {"parameters", "key t!, value t!, created_at ts",
     "PK(key)"},
    {"cluster_events", "id u!, node_id u!, at ts!, nbf ts, expire_at ts!, channel t, data t",
     "PK(id)"},
    {"clustering_data_planes", "id u!, hostname t!, ip t!, last_seen ts=d0, config_hash t!, ttl ts, version t, sync_status t!='unknown', updated_at ts=d0, labels j, cert_details j, rpc_capabilities t[]",
     "PK(id)"},
    {"clustering_rpc_requests", "id bi!=serial, node_id u!, reply_to u!, ttl ts!, payload json!",
     "PK(id)"},
    {"clustering_sync_version", "version bi!=serial",
     "PK(version)"},
    {"schema_meta", "key t!, subsystem t!, last_executed t, executed t[], pending t[]",
     "PK(key,subsystem)"},
    {"locks", "key t!, owner t, ttl ts",
     "PK(key)"},
    {"keyauth_credentials", "id u!, created_at ts=d0, consumer_id u, key t, tags t[], ttl ts, ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,key); CONSUMER"},
    {"basicauth_credentials", "id u!, created_at ts=d0, consumer_id u, username t, password t, tags t[], ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,username); CONSUMER"},
    {"hmacauth_credentials", "id u!, created_at ts=d0, consumer_id u, username t, secret t, tags t[], ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,username); CONSUMER"},
    {"jwt_secrets", "id u!, created_at ts=d0, consumer_id u, key t, secret t, algorithm t, rsa_public_key t, tags t[], ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,key); CONSUMER"},
    {"acls", "id u!, created_at ts=d0, consumer_id u, group t, cache_key t, tags t[], ws_id u",
     "PK(id); PAIR; UNIQUE(cache_key); CONSUMER"},
    {"oauth2_credentials", "id u!, created_at ts=d0, name t, consumer_id u, client_id t, client_secret t, redirect_uris t[], tags t[], client_type t, hash_secret b, ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,client_id); CONSUMER"},
    {"oauth2_authorization_codes", "id u!, created_at ts=d0, credential_id u, service_id u, code t, authenticated_userid t, scope t, ttl ts, challenge t, challenge_method t, ws_id u, plugin_id u",
     "PK(id); PAIR; UNIQUE(ws_id,code); CREDENTIAL; FK(plugin_id)->plugins(id) CASCADE"},
    {"oauth2_tokens", "id u!, created_at ts=d0, credential_id u, service_id u, access_token t, refresh_token t, token_type t, expires_in i, authenticated_userid t, scope t, ttl ts, ws_id u",
     "PK(id); PAIR; UNIQUE(ws_id,access_token); UNIQUE(ws_id,refresh_token); CREDENTIAL"},
    {"ratelimiting_metrics", "identifier t!, period t!, period_date ts!, service_id u!=nil, route_id u!=nil, value i, ttl ts",
     "PK(identifier,period,period_date,service_id,route_id)"},
    {"response_ratelimiting_metrics", "identifier t!, period t!, period_date ts!, service_id u!=nil, route_id u!=nil, value i",
     "PK(identifier,period,period_date,service_id,route_id)"},
    {"sessions", "id u!, session_id t, expires i, data t, created_at ts, ttl ts",
     "PK(id); UNIQUE(session_id)"},
    {"session_metadatas", "id u!, session_id u, sid t, subject t, audience t, created_at ts",
     "PK(id); FK(session_id)->sessions(id) CASCADE"},
    {"acme_storage", "id u!, key t, value t, created_at ts, ttl ts",
     "PK(id); UNIQUE(key)"},
};
// clang-format on

std::vector<std::string> split(std::string_view text, std::string_view by) {
  std::vector<std::string> out;
  for (;;) {
    const auto at = text.find(by);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + by.size());
  }
}

// "timestamp with time zone", "not null", default -> "ts!=d0".
std::string notation(const std::vector<std::string>& column) {
  static const std::map<std::string, std::string> types{
      {"uuid", "u"},    {"text", "t"},    {"timestamp with time zone", "ts"},
      {"boolean", "b"}, {"jsonb", "j"},   {"json", "json"},
      {"integer", "i"}, {"bigint", "bi"}, {"smallint", "si"}};
  static const std::map<std::string, std::string> defaults{{"<null>", ""},
                                                           {"(CURRENT_TIMESTAMP(0) AT TIME ZONE 'UTC'::text)", "=d0"},
                                                           {"(CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC'::text)", "=d3"},
                                                           {"'00000000-0000-0000-0000-000000000000'::uuid", "=nil"},
                                                           {"true", "=true"},
                                                           {"false", "=false"},
                                                           {"'v0'::text", "='v0'"},
                                                           {"'unknown'::text", "='unknown'"}};
  auto type = column[1];
  const bool list = type.ends_with("[]");
  if (list) type.resize(type.size() - 2);
  const auto short_type = types.contains(type) ? types.at(type) : type;
  const auto initial = defaults.contains(column[3])        ? defaults.at(column[3])
                       : column[3].starts_with("nextval(") ? "=serial"
                                                           : "=" + column[3];
  return column[0] + " " + short_type + (list ? "[]" : "") + (column[2] == "t" ? "!" : "") + initial;
}

// The words of this file's table for what PostgreSQL prints.
std::string constraint(std::string text) {
  const auto replace = [&](std::string_view from, std::string_view to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  replace("PRIMARY KEY ", "PK");
  replace("FOREIGN KEY ", "FK");
  replace("UNIQUE ", "UNIQUE");
  replace(" REFERENCES ", "->");
  replace(" ON DELETE CASCADE", " CASCADE");
  replace(", ", ",");
  replace("\"", "");
  return text == "UNIQUE(id,ws_id)" ? "PAIR" : text;
}

std::set<std::string> wanted_constraints(const Expected& table) {
  std::set<std::string> out;
  for (const auto& one : split(table.constraints, "; ")) {
    if (one == "CONSUMER") {
      out.insert("FK(consumer_id,ws_id)->consumers(id,ws_id) CASCADE");
    } else if (one == "CREDENTIAL") {
      out.insert("FK(credential_id,ws_id)->oauth2_credentials(id,ws_id) CASCADE");
      out.insert("FK(service_id,ws_id)->services(id,ws_id) CASCADE");
    } else {
      out.insert(one);
    }
  }
  if (table.columns.find("ws_id u") != std::string_view::npos) out.insert("FK(ws_id)->workspaces(id)");
  return out;
}

struct Told {
  std::vector<std::string> lines;
  Tell tell = [this](const std::string& line) { lines.push_back(line); };
  bool has(std::string_view line) const { return std::ranges::find(lines, line) != lines.end(); }
};

std::string bootstrapped() {
  auto& cluster = PostgresCluster::shared();
  const auto name = cluster.create_database();
  const auto done = migrations_bootstrap(cluster.server(name), 10s, [](const std::string&) {});
  EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().message);
  return name;
}

TEST(PostgresMigrations, make_the_tables_of_the_reference) {
  auto& cluster = PostgresCluster::shared();
  const auto database = bootstrapped();
  std::map<std::string, std::vector<std::string>> columns;
  for (const auto& row : cluster.sql(
           database,
           "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, "
           "d.adrelid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_attrdef d ON d.adrelid = "
           "c.oid AND d.adnum = a.attnum WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND "
           "a.attnum "
           "> 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"))
    columns[row[0]].push_back(notation({row.begin() + 1, row.end()}));
  std::map<std::string, std::set<std::string>> constraints;
  for (const auto& row : cluster.sql(database,
                                     "SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE "
                                     "connamespace = 'public'::regnamespace"))
    constraints[row[0]].insert(constraint(row[1]));

  EXPECT_EQ(columns.size(), std::size(expected));
  for (const auto& table : expected) {
    const std::string name(table.table);
    EXPECT_EQ(columns[name], split(table.columns, ", ")) << name;
    EXPECT_EQ(constraints[name], wanted_constraints(table)) << name;
  }
}

TEST(PostgresMigrations, make_kongs_triggers_indexes_and_first_rows) {
  auto& cluster = PostgresCluster::shared();
  const auto database = bootstrapped();
  const auto count = [&](const std::string& sql) { return cluster.sql(database, sql)[0][0]; };
  EXPECT_EQ(count("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%_sync_tags_trigger'"), "19");
  EXPECT_EQ(count("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '%_ttl_trigger'"), "8");
  EXPECT_EQ(count("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '%gin (tags)'"), "20");
  EXPECT_EQ(count("SELECT count(*) FROM workspaces WHERE name = 'default'"), "1");
  EXPECT_EQ(count("SELECT count(*) FROM parameters WHERE key = 'cluster_id' AND value::uuid IS NOT NULL"), "1");
  EXPECT_EQ(count("SELECT last_executed FROM schema_meta WHERE key = 'schema_meta' AND subsystem = 'core'"),
            "024_380_to_390");
  EXPECT_EQ(count("SELECT executed[1] FROM schema_meta WHERE subsystem = 'key-auth'"), "000_base_key_auth");
  EXPECT_EQ(count("SELECT count(*) FROM locks"), "0");
  // The triggers do what they are for.
  cluster.sql(database, "INSERT INTO services (id, tags) VALUES ('a1234567-0000-4000-8000-000000000001', '{a,b}')");
  EXPECT_EQ(count("SELECT entity_name || tags::text FROM tags"), "services{a,b}");
  cluster.sql(database, "DELETE FROM services");
  EXPECT_EQ(count("SELECT count(*) FROM tags"), "0");
  for (int i = 0; i < 3; i++)
    cluster.sql(database,
                "INSERT INTO cluster_events (id, node_id, at, expire_at) VALUES (gen_random_uuid(), gen_random_uuid(), "
                "now(), now() - interval '1 s')");
  EXPECT_EQ(count("SELECT count(*) FROM cluster_events"), "0");
}

TEST(PostgresMigrations, give_every_declared_field_a_column) {
  auto& cluster = PostgresCluster::shared();
  const auto database = bootstrapped();
  ASSERT_GE(model::schemas().size(), 4u);
  for (const auto* schema : model::schemas()) {
    std::set<std::string> columns;
    for (const auto& row : cluster.sql(database, "SELECT attname FROM pg_attribute WHERE attnum > 0 AND attrelid = '" +
                                                     std::string(schema->name()) + "'::regclass"))
      columns.insert(row[0]);
    for (const auto& field : schema->fields())
      EXPECT_TRUE(columns.contains(field.type == model::Type::foreign ? field.name + "_id" : field.name))
          << schema->name() << "." << field.name;
    EXPECT_EQ(columns.contains("cache_key"), !schema->cache_key().empty()) << schema->name();
  }
}

TEST(PostgresMigrations, are_told_and_happen_once) {
  auto& cluster = PostgresCluster::shared();
  const auto server = cluster.server(cluster.create_database());
  auto state = migration_state(server);
  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(state->reachable);
  EXPECT_FALSE(state->bootstrapped);
  Told told;
  const auto early = migrations_up(server, 5s, told.tell);
  ASSERT_FALSE(early.has_value());
  EXPECT_TRUE(early.error().message.starts_with("Database needs bootstrapping or is older than Kong 1.0."));
  ASSERT_TRUE(migrations_bootstrap(server, 5s, told.tell).has_value());
  EXPECT_TRUE(told.has("bootstrapping database..."));
  EXPECT_TRUE(told.has("migrating core on database '" + server.database + "'..."));
  EXPECT_TRUE(told.has("core migrated up to: 000_base (executed)"));
  EXPECT_TRUE(told.has("Database is up-to-date"));
  state = migration_state(server);
  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(state->bootstrapped);
  EXPECT_TRUE(state->missing.empty() && state->pending.empty() && state->newer.empty());
  EXPECT_TRUE(std::ranges::find(state->executed, "core: 024_380_to_390") != state->executed.end());

  Told again;
  ASSERT_TRUE(migrations_bootstrap(server, 5s, again.tell).has_value());
  ASSERT_TRUE(migrations_up(server, 5s, again.tell).has_value());
  ASSERT_TRUE(migrations_finish(server, 5s, again.tell).has_value());
  EXPECT_EQ(again.lines, (std::vector<std::string>{"Database is already bootstrapped", "Database is already up-to-date",
                                                   "No pending migrations to finish"}));
  ASSERT_TRUE(migrations_reset(server, again.tell).has_value());
  EXPECT_EQ(cluster.sql(server.database,
                        "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                        "'public'::regnamespace")[0][0],
            "0");
}

TEST(PostgresMigrations, of_two_nodes_at_once_do_not_hurt_each_other) {
  auto& cluster = PostgresCluster::shared();
  const auto server = cluster.server(cluster.create_database());
  std::array<Told, 4> told;
  std::array<std::string, 4> errors;
  std::vector<std::thread> nodes;
  for (std::size_t i = 0; i < told.size(); i++)
    nodes.emplace_back([&, i] {
      if (auto done = migrations_bootstrap(server, 20s, told[i].tell); !done) errors[i] = done.error().message;
    });
  for (auto& node : nodes) node.join();
  EXPECT_EQ(errors, (std::array<std::string, 4>{}));
  EXPECT_EQ(std::ranges::count_if(told, [](const auto& one) { return one.has("bootstrapping database..."); }), 1);
  EXPECT_EQ(std::ranges::count_if(told, [](const auto& one) { return one.has("Database is already bootstrapped"); }),
            3);
  EXPECT_EQ(cluster.sql(server.database, "SELECT count(*) FROM workspaces")[0][0], "1");
}

TEST(PostgresMigrations, wait_for_a_lock_until_it_expires_by_the_databases_clock) {
  auto& cluster = PostgresCluster::shared();
  const auto server = cluster.server(bootstrapped());
  cluster.sql(server.database,
              "UPDATE schema_meta SET executed = array_remove(executed, '024_380_to_390') WHERE subsystem = 'core'; "
              "INSERT INTO locks VALUES ('migrations', 'somebody', now() + interval '1 hour')");
  Told told;
  const auto refused = migrations_up(server, 1s, told.tell);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("another node"), std::string::npos);
  cluster.sql(server.database, "UPDATE locks SET ttl = now() - interval '1 s'");
  EXPECT_TRUE(migrations_up(server, 1s, told.tell).has_value());
  EXPECT_EQ(cluster.sql(server.database, "SELECT count(*) FROM locks")[0][0], "0");
}

TEST(PostgresMigrations, take_a_database_of_kong_3_9_as_it_is_and_bring_older_ones_up) {
  auto& cluster = PostgresCluster::shared();
  const auto server = cluster.server(bootstrapped());
  const auto sql = [&](const std::string& text) { return cluster.sql(server.database, text); };
  // Kong has more subsystems, enabled or not; 3.10 one more migration, whose tables are known.
  sql("INSERT INTO schema_meta (key, subsystem, executed) VALUES ('schema_meta', 'my-plugin', '{001_a}'); UPDATE "
      "schema_meta SET executed = array_append(executed, '025_390_to_3100') WHERE subsystem = 'core'");
  auto state = migration_state(server);
  ASSERT_TRUE(state.has_value());
  EXPECT_TRUE(state->missing.empty() && state->newer.empty());

  // 3.4.
  sql("UPDATE schema_meta SET last_executed = '020_330_to_340', executed = executed[1:19] WHERE subsystem = 'core'; "
      "UPDATE schema_meta SET executed = executed[1:4] WHERE subsystem = 'rate-limiting'; "
      "ALTER TABLE clustering_data_planes DROP COLUMN labels, DROP COLUMN rpc_capabilities; "
      "DROP TABLE clustering_rpc_requests; "
      "INSERT INTO plugins (id, name, enabled, config) VALUES (gen_random_uuid(), 'rate-limiting', true, "
      "'{\"minute\":5,\"redis_host\":\"cache\"}')");
  state = migration_state(server);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->missing,
            (std::vector<std::string>{"core: 021_340_to_350", "core: 022_350_to_360", "core: 023_360_to_370",
                                      "core: 024_380_to_390", "rate-limiting: 006_350_to_360"}));
  Told told;
  const auto up = migrations_up(server, 5s, told.tell);
  ASSERT_TRUE(up.has_value()) << up.error().message;
  EXPECT_TRUE(told.has("core migrated up to: 024_380_to_390 (executed)"));
  EXPECT_FALSE(told.has("core migrated up to: 000_base (executed)"));
  EXPECT_EQ(sql("SELECT config -> 'redis' ->> 'host' FROM plugins")[0][0], "cache");
  EXPECT_EQ(sql("SELECT count(labels) FROM clustering_data_planes")[0][0], "0");
  EXPECT_TRUE(migration_state(server)->missing.empty());
}

TEST(PostgresMigrations, refuse_what_is_too_new_too_old_or_half_done) {
  auto& cluster = PostgresCluster::shared();
  const auto server = cluster.server(bootstrapped());
  const auto sql = [&](const std::string& text) { return cluster.sql(server.database, text); };
  Told told;
  sql("UPDATE schema_meta SET executed = array_append(executed, '030_310_to_400') WHERE subsystem = 'core'");
  EXPECT_EQ(migration_state(server)->newer, std::vector<std::string>{"core: 030_310_to_400"});
  const auto newer = migrations_up(server, 5s, told.tell);
  ASSERT_FALSE(newer.has_value());
  EXPECT_NE(newer.error().message.find("030_310_to_400"), std::string::npos);

  sql("UPDATE schema_meta SET executed = executed[1:10] WHERE subsystem = 'core'");
  const auto older = migrations_up(server, 5s, told.tell);
  ASSERT_FALSE(older.has_value());
  EXPECT_NE(older.error().message.find("older than 3.4"), std::string::npos);

  const auto second = cluster.server(bootstrapped());
  cluster.sql(second.database,
              "UPDATE schema_meta SET pending = '{006_350_to_360}', executed = executed[1:4] WHERE "
              "subsystem = 'rate-limiting'");
  const auto half = migrations_finish(second, 5s, told.tell);
  ASSERT_FALSE(half.has_value());
  EXPECT_NE(half.error().message.find("rate-limiting: 006_350_to_360"), std::string::npos);
}

TEST(PostgresMigrations, make_and_use_the_schema_that_is_set) {
  auto& cluster = PostgresCluster::shared();
  auto server = cluster.server(cluster.create_database());
  server.schema = "gateway";
  Told told;
  ASSERT_TRUE(migrations_bootstrap(server, 5s, told.tell).has_value());
  EXPECT_EQ(cluster.sql(server.database, "SELECT count(*) FROM gateway.workspaces")[0][0], "1");
  EXPECT_EQ(cluster.sql(server.database, "SELECT to_regclass('public.workspaces')")[0][0], "<null>");
  cluster.sql(server.database, "CREATE TABLE public.mine (a int)");
  ASSERT_TRUE(migrations_reset(server, told.tell).has_value());
  EXPECT_EQ(cluster.sql(server.database, "SELECT to_regclass('public.mine')")[0][0], "mine");
}

TEST(PostgresMigrations, say_that_the_server_is_away) {
  auto server = PostgresCluster::shared().server("nowhere");
  const auto state = migration_state(server);
  ASSERT_TRUE(state.has_value());
  EXPECT_FALSE(state->reachable);
  Told told;
  const auto refused = migrations_bootstrap(server, 1s, told.tell);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("nowhere"), std::string::npos);
}

}  // namespace
}  // namespace weir::store
