#include "store/postgres_schema.h"

#include <fmt/format.h>

namespace weir::store {
namespace {

// Kong's names and wording of constraints matter: its errors are told by them.
constexpr std::string_view functions = R"(
CREATE OR REPLACE FUNCTION sync_tags() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF (TG_OP = 'DELETE') THEN
      DELETE FROM tags WHERE entity_id = OLD.id;
      RETURN OLD;
    END IF;
    INSERT INTO tags VALUES (NEW.id, TG_TABLE_NAME, NEW.tags)
      ON CONFLICT (entity_id) DO UPDATE SET tags = EXCLUDED.tags;
    RETURN NEW;
  END;
$$;
CREATE OR REPLACE FUNCTION batch_delete_expired_rows() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    EXECUTE FORMAT('WITH rows AS (SELECT ctid FROM %s WHERE %s < CURRENT_TIMESTAMP AT TIME ZONE ''UTC'' ORDER BY %s '
                   'LIMIT 2 FOR UPDATE SKIP LOCKED) DELETE FROM %s WHERE ctid IN (TABLE rows)',
                   TG_TABLE_NAME, TG_ARGV[0], TG_ARGV[0], TG_TABLE_NAME);
    RETURN NULL;
  END;
$$;
)";

// {d0}, {d3}: the server's time in seconds, milliseconds. {ws}: the workspace. {pair}: what foreign keys point at.
constexpr std::string_view core_tables = R"(
CREATE TABLE IF NOT EXISTS schema_meta (
  key text NOT NULL, subsystem text NOT NULL, last_executed text, executed text[], pending text[],
  PRIMARY KEY (key, subsystem));
CREATE TABLE IF NOT EXISTS locks (key text PRIMARY KEY, owner text, ttl timestamptz);
CREATE TABLE IF NOT EXISTS workspaces (
  id uuid PRIMARY KEY, name text UNIQUE, comment text, created_at timestamptz {d0}, meta jsonb, config jsonb,
  updated_at timestamptz {d0});
CREATE TABLE IF NOT EXISTS tags (entity_id uuid PRIMARY KEY, entity_name text, tags text[]);
CREATE TABLE IF NOT EXISTS parameters (key text PRIMARY KEY, value text NOT NULL, created_at timestamptz);
CREATE TABLE IF NOT EXISTS cluster_events (
  id uuid PRIMARY KEY, node_id uuid NOT NULL, at timestamptz NOT NULL, nbf timestamptz,
  expire_at timestamptz NOT NULL, channel text, data text);
CREATE TABLE IF NOT EXISTS clustering_data_planes (
  id uuid PRIMARY KEY, hostname text NOT NULL, ip text NOT NULL, last_seen timestamptz {d0}, config_hash text NOT NULL,
  ttl timestamptz, version text, sync_status text NOT NULL DEFAULT 'unknown', updated_at timestamptz {d0},
  labels jsonb, cert_details jsonb, rpc_capabilities text[]);
CREATE TABLE IF NOT EXISTS clustering_rpc_requests (
  id bigserial PRIMARY KEY, node_id uuid NOT NULL, reply_to uuid NOT NULL, ttl timestamptz NOT NULL,
  payload json NOT NULL);
CREATE TABLE IF NOT EXISTS clustering_sync_version (version bigserial PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ca_certificates (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, cert text NOT NULL, tags text[], cert_digest text NOT NULL UNIQUE,
  updated_at timestamptz {d0});
CREATE TABLE IF NOT EXISTS certificates (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, cert text, key text, tags text[], {ws}, cert_alt text,
  key_alt text, updated_at timestamptz {d0}, {pair});
CREATE TABLE IF NOT EXISTS services (
  id uuid PRIMARY KEY, created_at timestamptz, updated_at timestamptz, name text, retries bigint, protocol text,
  host text, port bigint, path text, connect_timeout bigint, write_timeout bigint, read_timeout bigint, tags text[],
  client_certificate_id uuid, tls_verify boolean, tls_verify_depth smallint, ca_certificates uuid[], {ws},
  enabled boolean DEFAULT true, {pair},
  CONSTRAINT services_ws_id_name_unique UNIQUE (ws_id, name),
  CONSTRAINT services_client_certificate_id_fkey FOREIGN KEY (client_certificate_id, ws_id)
    REFERENCES certificates (id, ws_id));
CREATE TABLE IF NOT EXISTS routes (
  id uuid PRIMARY KEY, created_at timestamptz, updated_at timestamptz, name text, service_id uuid, protocols text[],
  methods text[], hosts text[], paths text[], snis text[], sources jsonb[], destinations jsonb[],
  regex_priority bigint, strip_path boolean, preserve_host boolean, tags text[], https_redirect_status_code integer,
  headers jsonb, path_handling text DEFAULT 'v0', {ws}, request_buffering boolean, response_buffering boolean,
  expression text, priority bigint, {pair},
  CONSTRAINT routes_ws_id_name_unique UNIQUE (ws_id, name),
  CONSTRAINT routes_service_id_fkey FOREIGN KEY (service_id, ws_id) REFERENCES services (id, ws_id));
CREATE TABLE IF NOT EXISTS upstreams (
  id uuid PRIMARY KEY, created_at timestamptz {d3}, name text, hash_on text, hash_fallback text, hash_on_header text,
  hash_fallback_header text, hash_on_cookie text, hash_on_cookie_path text, slots integer NOT NULL, healthchecks jsonb,
  tags text[], algorithm text, host_header text, client_certificate_id uuid REFERENCES certificates (id), {ws},
  hash_on_query_arg text, hash_fallback_query_arg text, hash_on_uri_capture text, hash_fallback_uri_capture text,
  use_srv_name boolean DEFAULT false, updated_at timestamptz {d0}, {pair},
  CONSTRAINT upstreams_ws_id_name_unique UNIQUE (ws_id, name));
CREATE TABLE IF NOT EXISTS targets (
  id uuid PRIMARY KEY, created_at timestamptz {d3}, upstream_id uuid, target text NOT NULL, weight integer NOT NULL,
  tags text[], {ws}, cache_key text UNIQUE, updated_at timestamptz {d3}, {pair},
  CONSTRAINT targets_upstream_id_fkey FOREIGN KEY (upstream_id, ws_id) REFERENCES upstreams (id, ws_id)
    ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS consumers (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, username text, custom_id text, tags text[], {ws},
  updated_at timestamptz {d0}, {pair},
  CONSTRAINT consumers_ws_id_username_unique UNIQUE (ws_id, username),
  CONSTRAINT consumers_ws_id_custom_id_unique UNIQUE (ws_id, custom_id));
CREATE TABLE IF NOT EXISTS plugins (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, name text NOT NULL, consumer_id uuid, service_id uuid,
  route_id uuid, config jsonb NOT NULL, enabled boolean NOT NULL, cache_key text UNIQUE, protocols text[], tags text[],
  {ws}, instance_name text, updated_at timestamptz {d0}, {pair},
  CONSTRAINT plugins_ws_id_instance_name_unique UNIQUE (ws_id, instance_name),
  CONSTRAINT plugins_consumer_id_fkey FOREIGN KEY (consumer_id, ws_id) REFERENCES consumers (id, ws_id)
    ON DELETE CASCADE,
  CONSTRAINT plugins_service_id_fkey FOREIGN KEY (service_id, ws_id) REFERENCES services (id, ws_id)
    ON DELETE CASCADE,
  CONSTRAINT plugins_route_id_fkey FOREIGN KEY (route_id, ws_id) REFERENCES routes (id, ws_id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS snis (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, name text NOT NULL UNIQUE, certificate_id uuid, tags text[], {ws},
  updated_at timestamptz {d0}, {pair},
  CONSTRAINT snis_certificate_id_fkey FOREIGN KEY (certificate_id, ws_id) REFERENCES certificates (id, ws_id));
CREATE TABLE IF NOT EXISTS sm_vaults (
  id uuid PRIMARY KEY, {ws}, prefix text UNIQUE, name text NOT NULL, description text, config jsonb NOT NULL,
  created_at timestamptz {d0}, updated_at timestamptz, tags text[], {pair}, UNIQUE (prefix, ws_id));
CREATE TABLE IF NOT EXISTS key_sets (
  id uuid PRIMARY KEY, name text UNIQUE, tags text[], {ws}, created_at timestamptz, updated_at timestamptz);
CREATE TABLE IF NOT EXISTS keys (
  id uuid PRIMARY KEY, set_id uuid REFERENCES key_sets (id) ON DELETE CASCADE, name text UNIQUE, cache_key text UNIQUE,
  {ws}, kid text, jwk text, pem jsonb, tags text[], created_at timestamptz, updated_at timestamptz,
  UNIQUE (kid, set_id));
CREATE TABLE IF NOT EXISTS filter_chains (
  id uuid PRIMARY KEY, name text UNIQUE, enabled boolean DEFAULT true,
  route_id uuid REFERENCES routes (id) ON DELETE CASCADE, service_id uuid REFERENCES services (id) ON DELETE CASCADE,
  {ws}, cache_key text UNIQUE, filters jsonb[], tags text[], created_at timestamptz, updated_at timestamptz);
)";

// {consumer}: whose credential it is.
constexpr std::string_view plugin_tables = R"(
CREATE TABLE IF NOT EXISTS keyauth_credentials (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, consumer_id uuid, key text, tags text[], ttl timestamptz, {ws},
  {pair}, {consumer}, CONSTRAINT keyauth_credentials_ws_id_key_unique UNIQUE (ws_id, key));
CREATE TABLE IF NOT EXISTS basicauth_credentials (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, consumer_id uuid, username text, password text, tags text[], {ws},
  {pair}, {consumer}, CONSTRAINT basicauth_credentials_ws_id_username_unique UNIQUE (ws_id, username));
CREATE TABLE IF NOT EXISTS hmacauth_credentials (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, consumer_id uuid, username text, secret text, tags text[], {ws},
  {pair}, {consumer}, CONSTRAINT hmacauth_credentials_ws_id_username_unique UNIQUE (ws_id, username));
CREATE TABLE IF NOT EXISTS jwt_secrets (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, consumer_id uuid, key text, secret text, algorithm text,
  rsa_public_key text, tags text[], {ws},
  {pair}, {consumer}, CONSTRAINT jwt_secrets_ws_id_key_unique UNIQUE (ws_id, key));
CREATE TABLE IF NOT EXISTS acls (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, consumer_id uuid, "group" text, cache_key text UNIQUE, tags text[],
  {ws}, {pair}, {consumer});
CREATE TABLE IF NOT EXISTS oauth2_credentials (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, name text, consumer_id uuid, client_id text, client_secret text,
  redirect_uris text[], tags text[], client_type text, hash_secret boolean, {ws},
  {pair}, {consumer}, CONSTRAINT oauth2_credentials_ws_id_client_id_unique UNIQUE (ws_id, client_id));
CREATE TABLE IF NOT EXISTS oauth2_authorization_codes (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, credential_id uuid, service_id uuid, code text,
  authenticated_userid text, scope text, ttl timestamptz, challenge text, challenge_method text, {ws},
  plugin_id uuid REFERENCES plugins (id) ON DELETE CASCADE, {pair}, {credential},
  CONSTRAINT oauth2_authorization_codes_ws_id_code_unique UNIQUE (ws_id, code));
CREATE TABLE IF NOT EXISTS oauth2_tokens (
  id uuid PRIMARY KEY, created_at timestamptz {d0}, credential_id uuid, service_id uuid, access_token text,
  refresh_token text, token_type text, expires_in integer, authenticated_userid text, scope text, ttl timestamptz,
  {ws}, {pair}, {credential},
  CONSTRAINT oauth2_tokens_ws_id_access_token_unique UNIQUE (ws_id, access_token),
  CONSTRAINT oauth2_tokens_ws_id_refresh_token_unique UNIQUE (ws_id, refresh_token));
CREATE TABLE IF NOT EXISTS ratelimiting_metrics (
  identifier text NOT NULL, period text NOT NULL, period_date timestamptz NOT NULL, service_id uuid NOT NULL {nil},
  route_id uuid NOT NULL {nil}, value integer, ttl timestamptz,
  PRIMARY KEY (identifier, period, period_date, service_id, route_id));
CREATE TABLE IF NOT EXISTS response_ratelimiting_metrics (
  identifier text NOT NULL, period text NOT NULL, period_date timestamptz NOT NULL, service_id uuid NOT NULL {nil},
  route_id uuid NOT NULL {nil}, value integer,
  PRIMARY KEY (identifier, period, period_date, service_id, route_id));
CREATE TABLE IF NOT EXISTS sessions (
  id uuid PRIMARY KEY, session_id text UNIQUE, expires integer, data text, created_at timestamptz, ttl timestamptz);
CREATE TABLE IF NOT EXISTS session_metadatas (
  id uuid PRIMARY KEY, session_id uuid REFERENCES sessions (id) ON DELETE CASCADE, sid text, subject text,
  audience text, created_at timestamptz);
CREATE TABLE IF NOT EXISTS acme_storage (
  id uuid PRIMARY KEY, key text UNIQUE, value text, created_at timestamptz, ttl timestamptz);
)";

struct Index {
  std::string_view table, name, columns;
};
constexpr Index indexes[] = {
    {"routes", "routes_service_id_idx", "service_id"},
    {"plugins", "plugins_name_idx", "name"},
    {"plugins", "plugins_consumer_id_idx", "consumer_id"},
    {"plugins", "plugins_service_id_idx", "service_id"},
    {"plugins", "plugins_route_id_idx", "route_id"},
    {"targets", "targets_target_idx", "target"},
    {"targets", "targets_upstream_id_idx", "upstream_id"},
    {"snis", "snis_certificate_id_idx", "certificate_id"},
    {"consumers", "consumers_username_idx", "lower(username)"},
    {"services", "services_fkey_client_certificate", "client_certificate_id"},
    {"upstreams", "upstreams_fkey_client_certificate", "client_certificate_id"},
    {"cluster_events", "idx_cluster_events_at", "at"},
    {"cluster_events", "idx_cluster_events_channel", "channel"},
    {"cluster_events", "cluster_events_expire_at_idx", "expire_at"},
    {"clustering_data_planes", "clustering_data_planes_ttl_idx", "ttl"},
    {"clustering_rpc_requests", "clustering_rpc_requests_node_id_idx", "node_id"},
    {"locks", "locks_ttl_idx", "ttl"},
    {"tags", "tags_entity_name_idx", "entity_name"},
    {"keyauth_credentials", "keyauth_credentials_consumer_id_idx", "consumer_id"},
    {"keyauth_credentials", "keyauth_credentials_ttl_idx", "ttl"},
    {"basicauth_credentials", "basicauth_consumer_id_idx", "consumer_id"},
    {"hmacauth_credentials", "hmacauth_credentials_consumer_id_idx", "consumer_id"},
    {"jwt_secrets", "jwt_secrets_consumer_id_idx", "consumer_id"},
    {"jwt_secrets", "jwt_secrets_secret_idx", "secret"},
    {"acls", "acls_consumer_id_idx", "consumer_id"},
    {"acls", "acls_group_idx", "\"group\""},
    {"oauth2_credentials", "oauth2_credentials_consumer_id_idx", "consumer_id"},
    {"oauth2_credentials", "oauth2_credentials_secret_idx", "client_secret"},
    {"oauth2_authorization_codes", "oauth2_authorization_codes_authenticated_userid_idx", "authenticated_userid"},
    {"oauth2_authorization_codes", "oauth2_authorization_codes_ttl_idx", "ttl"},
    {"oauth2_authorization_codes", "oauth2_authorization_credential_id_idx", "credential_id"},
    {"oauth2_authorization_codes", "oauth2_authorization_service_id_idx", "service_id"},
    {"oauth2_tokens", "oauth2_tokens_authenticated_userid_idx", "authenticated_userid"},
    {"oauth2_tokens", "oauth2_tokens_ttl_idx", "ttl"},
    {"oauth2_tokens", "oauth2_tokens_credential_id_idx", "credential_id"},
    {"oauth2_tokens", "oauth2_tokens_service_id_idx", "service_id"},
    {"ratelimiting_metrics", "ratelimiting_metrics_idx", "service_id, route_id, period_date, period"},
    {"ratelimiting_metrics", "ratelimiting_metrics_ttl_idx", "ttl"},
    {"sessions", "session_sessions_expires_idx", "expires"},
    {"sessions", "sessions_ttl_idx", "ttl"},
    {"session_metadatas", "session_id_idx", "session_id"},
    {"session_metadatas", "subject_audience_idx", "subject, audience"},
    {"acme_storage", "acme_storage_ttl_idx", "ttl"},
};

// What Kong calls the index and the trigger; the odd names are Kong's.
struct Tagged {
  std::string_view table, index, trigger;
};
constexpr Tagged tagged[] = {
    {"services", "services_tags_idx", "services_sync_tags_trigger"},
    {"routes", "routes_tags_idx", "routes_sync_tags_trigger"},
    {"upstreams", "upstreams_tags_idx", "upstreams_sync_tags_trigger"},
    {"targets", "targets_tags_idx", "targets_sync_tags_trigger"},
    {"consumers", "consumers_tags_idx", "consumers_sync_tags_trigger"},
    {"plugins", "plugins_tags_idx", "plugins_sync_tags_trigger"},
    {"certificates", "certificates_tags_idx", "certificates_sync_tags_trigger"},
    {"snis", "snis_tags_idx", "snis_sync_tags_trigger"},
    {"ca_certificates", "ca_certificates_tags_idx", "ca_certificates_sync_tags_trigger"},
    {"sm_vaults", "sm_vaults_tags_idx", "sm_vaults_sync_tags_trigger"},
    {"keys", "keys_tags_idx", "keys_sync_tags_trigger"},
    {"key_sets", "key_sets_tags_idx", "key_sets_sync_tags_trigger"},
    {"filter_chains", "filter_chains_tags_idx", "filter_chains_sync_tags_trigger"},
    {"keyauth_credentials", "keyauth_tags_idex_tags_idx", "keyauth_sync_tags_trigger"},
    {"basicauth_credentials", "basicauth_tags_idex_tags_idx", "basicauth_sync_tags_trigger"},
    {"hmacauth_credentials", "hmacauth_tags_idex_tags_idx", "hmacauth_sync_tags_trigger"},
    {"jwt_secrets", "jwtsecrets_tags_idex_tags_idx", "jwtsecrets_sync_tags_trigger"},
    {"acls", "acls_tags_idex_tags_idx", "acls_sync_tags_trigger"},
    {"oauth2_credentials", "oauth2_credentials_tags_idex_tags_idx", "oauth2_credentials_sync_tags_trigger"},
};

struct Expiring {
  std::string_view table, column;
};
constexpr Expiring expiring[] = {{"cluster_events", "expire_at"},
                                 {"clustering_data_planes", "ttl"},
                                 {"keyauth_credentials", "ttl"},
                                 {"oauth2_authorization_codes", "ttl"},
                                 {"oauth2_tokens", "ttl"},
                                 {"ratelimiting_metrics", "ttl"},
                                 {"sessions", "ttl"},
                                 {"acme_storage", "ttl"}};

constexpr std::string_view first_rows = R"(
INSERT INTO workspaces (id, name) VALUES (gen_random_uuid(), 'default') ON CONFLICT (name) DO NOTHING;
INSERT INTO parameters (key, value, created_at) VALUES ('cluster_id', gen_random_uuid()::text, CURRENT_TIMESTAMP(0))
  ON CONFLICT (key) DO NOTHING;
)";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Writes out the words in braces. The names of constraints carry the table's.
std::string expanded(std::string_view tables) {
  std::string out;
  while (!tables.empty()) {
    const auto end = tables.find(";\n");
    std::string one(tables.substr(0, end == std::string_view::npos ? tables.size() : end + 2));
    tables.remove_prefix(one.size());
    constexpr std::string_view start = "CREATE TABLE IF NOT EXISTS ";
    const auto at = one.find(start);
    if (at == std::string::npos) continue;
    const auto from = at + start.size();
    const auto table = one.substr(from, one.find(' ', from) - from);
    replace_all(one, "{d0}", "DEFAULT (CURRENT_TIMESTAMP(0) AT TIME ZONE 'UTC')");
    replace_all(one, "{d3}", "DEFAULT (CURRENT_TIMESTAMP(3) AT TIME ZONE 'UTC')");
    replace_all(one, "{nil}", "DEFAULT '00000000-0000-0000-0000-000000000000'");
    replace_all(one, "{ws}", "ws_id uuid REFERENCES workspaces (id)");
    replace_all(one, "{pair}", fmt::format("CONSTRAINT {}_id_ws_id_unique UNIQUE (id, ws_id)", table));
    replace_all(one, "{consumer}",
                fmt::format("CONSTRAINT {}_consumer_id_fkey FOREIGN KEY (consumer_id, ws_id) REFERENCES consumers (id, "
                            "ws_id) ON DELETE CASCADE",
                            table));
    replace_all(
        one, "{credential}",
        fmt::format("CONSTRAINT {0}_credential_id_fkey FOREIGN KEY (credential_id, ws_id) REFERENCES "
                    "oauth2_credentials (id, ws_id) ON DELETE CASCADE, CONSTRAINT {0}_service_id_fkey FOREIGN KEY "
                    "(service_id, ws_id) REFERENCES services (id, ws_id) ON DELETE CASCADE",
                    table));
    out += one;
  }
  return out;
}

std::string indexes_and_triggers() {
  std::string out;
  for (const auto& index : indexes)
    out += fmt::format("CREATE INDEX IF NOT EXISTS {} ON {} ({});\n", index.name, index.table, index.columns);
  out += "CREATE INDEX IF NOT EXISTS tags_tags_idx ON tags USING gin (tags);\n";
  for (const auto& one : tagged)
    out += fmt::format(
        "CREATE INDEX IF NOT EXISTS {1} ON {0} USING gin (tags);\n"
        "DROP TRIGGER IF EXISTS {2} ON {0};\n"
        "CREATE TRIGGER {2} AFTER INSERT OR UPDATE OF tags OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION "
        "sync_tags();\n",
        one.table, one.index, one.trigger);
  for (const auto& one : expiring)
    out += fmt::format(
        "DROP TRIGGER IF EXISTS {0}_ttl_trigger ON {0};\n"
        "CREATE TRIGGER {0}_ttl_trigger AFTER INSERT ON {0} FOR EACH STATEMENT EXECUTE FUNCTION "
        "batch_delete_expired_rows('{1}');\n",
        one.table, one.column);
  return out;
}

}  // namespace

std::span<const PostgresSubsystem> postgres_subsystems() {
  static const std::vector<PostgresSubsystem> all{
      {"core",
       {"000_base",       "003_100_to_110", "004_110_to_120", "005_120_to_130", "006_130_to_140", "007_140_to_150",
        "008_150_to_200", "009_200_to_210", "010_210_to_211", "011_212_to_213", "012_213_to_220", "013_220_to_230",
        "014_230_to_270", "015_270_to_280", "016_280_to_300", "017_300_to_310", "018_310_to_320", "019_320_to_330",
        "020_330_to_340", "021_340_to_350", "022_350_to_360", "023_360_to_370", "024_380_to_390"},
       true},
      {"acl", {"000_base_acl", "002_130_to_140", "003_200_to_210", "004_212_to_213"}, true},
      {"acme", {"000_base_acme", "001_280_to_300", "002_320_to_330", "003_350_to_360"}},
      {"ai-proxy", {"001_360_to_370"}},
      {"basic-auth", {"000_base_basic_auth", "002_130_to_140", "003_200_to_210"}, true},
      {"bot-detection", {"001_200_to_210"}},
      {"hmac-auth", {"000_base_hmac_auth", "002_130_to_140", "003_200_to_210"}},
      {"http-log", {"001_280_to_300"}},
      {"ip-restriction", {"001_200_to_210"}},
      {"jwt", {"000_base_jwt", "002_130_to_140", "003_200_to_210"}},
      {"key-auth", {"000_base_key_auth", "002_130_to_140", "003_200_to_210", "004_320_to_330"}, true},
      {"oauth2",
       {"000_base_oauth2", "003_130_to_140", "004_200_to_210", "005_210_to_211", "006_320_to_330", "007_320_to_330"}},
      {"opentelemetry", {"001_331_to_332"}},
      {"post-function", {"001_280_to_300"}},
      {"pre-function", {"001_280_to_300"}},
      {"rate-limiting",
       {"000_base_rate_limiting", "003_10_to_112", "004_200_to_210", "005_320_to_330", "006_350_to_360"},
       true},
      {"response-ratelimiting", {"000_base_response_rate_limiting", "001_350_to_360"}},
      {"session", {"000_base_session", "001_add_ttl_index", "002_320_to_330"}},
  };
  return all;
}

std::span<const std::string_view> postgres_known_newer() {
  static constexpr std::string_view names[] = {"025_390_to_3100"};
  return names;
}

std::string postgres_schema_sql() {
  std::string out(functions);
  out += expanded(core_tables);
  out += expanded(plugin_tables);
  out += indexes_and_triggers();
  out += first_rows;
  return out;
}

std::string postgres_upgrade_sql() {
  // Configurations of rate-limiting before 3.6 named their Redis settings redis_host, ...; later ones have a record.
  return R"(
ALTER TABLE clustering_data_planes ADD COLUMN IF NOT EXISTS labels jsonb;
ALTER TABLE clustering_data_planes ADD COLUMN IF NOT EXISTS cert_details jsonb;
ALTER TABLE clustering_data_planes ADD COLUMN IF NOT EXISTS rpc_capabilities text[];
UPDATE plugins SET config = config || jsonb_build_object('redis', jsonb_build_object(
    'host', config -> 'redis_host', 'port', config -> 'redis_port', 'username', config -> 'redis_username',
    'password', config -> 'redis_password', 'database', config -> 'redis_database', 'timeout', config -> 'redis_timeout',
    'ssl', config -> 'redis_ssl', 'ssl_verify', config -> 'redis_ssl_verify',
    'server_name', config -> 'redis_server_name'))
  WHERE name = 'rate-limiting' AND config ? 'redis_host' AND jsonb_typeof(config -> 'redis') IS DISTINCT FROM 'object';
)";
}

}  // namespace weir::store
