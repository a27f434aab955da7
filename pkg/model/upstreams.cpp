// The entity "upstreams". Health checks and hashing are declared with Kong's fields and rules; values that would turn
// them on are refused, since this version balances by weighted round robin only.
#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {
namespace {

namespace json = boost::json;

const std::vector<std::string> hash_inputs{"none",   "consumer", "ip",        "header",
                                           "cookie", "path",     "query_arg", "uri_capture"};

Rule hash_input() {
  return [](Field& f) {
    initial("none")(f);
    one_of(hash_inputs)(f);
    supports_only({"none"}, "use none")(f);
  };
}

// Counters and intervals whose zero means "off".
Field off(std::string name, Type type, double high, std::string help) {
  return declare(std::move(name), type, std::move(help) + " 0 turns it off.",
                 {initial(0), between(0, high), supports_only({0}, "health checks follow later; use 0")});
}

Field statuses(std::initializer_list<int> defaults, std::string help) {
  json::array list(defaults.begin(), defaults.end());
  return declare("http_statuses", Type::array, std::move(help),
                 {list_of(Type::integer, {between(100, 999)}), initial(std::move(list))});
}

Field check_type() {
  return declare("type", Type::string, "What is checked.",
                 {initial("http"), one_of({"tcp", "http", "https", "grpc", "grpcs"})});
}

constexpr double seconds_max = 65535, count_max = 255;

Field active_checks() {
  return declare(
      "active", Type::record, "Probes sent by Weir.",
      {record(
          {check_type(),
           declare("timeout", Type::number, "Seconds until a probe fails.", {initial(1), between(0, seconds_max)}),
           declare("concurrency", Type::integer, "Probes at the same time.", {initial(10), between(1, 2147483648.0)}),
           declare("http_path", Type::string, "Path of a probe.", {initial("/"), check(check_path)}),
           declare("https_sni", Type::string, "Server name of a probe by TLS.", {check(check_sni)}),
           declare("https_verify_certificate", Type::boolean, "Whether the certificate is verified.", {initial(true)}),
           declare("headers", Type::map, "Headers of a probe.",
                   {lists_by_name(), keys({check(check_header_name)}), values({each({check(check_header_value)})})}),
           declare("healthy", Type::record, "When a target counts as healthy again.",
                   {record({off("interval", Type::number, seconds_max, "Seconds between probes of healthy targets."),
                            statuses({200, 302}, "Statuses of success."),
                            off("successes", Type::integer, count_max, "Successes that are needed.")})}),
           declare("unhealthy", Type::record, "When a target counts as unhealthy.",
                   {record({off("interval", Type::number, seconds_max, "Seconds between probes of unhealthy targets."),
                            statuses({429, 404, 500, 501, 502, 503, 504, 505}, "Statuses of failure."),
                            off("tcp_failures", Type::integer, count_max, "Failures to connect."),
                            off("timeouts", Type::integer, count_max, "Timeouts."),
                            off("http_failures", Type::integer, count_max, "Statuses of failure in a row.")})})})});
}

Field passive_checks() {
  return declare(
      "passive", Type::record, "What the traffic itself shows.",
      {record({check_type(),
               declare("healthy", Type::record, "When a target counts as healthy again.",
                       {record({statuses({200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
                                          305, 306, 307, 308},
                                         "Statuses of success."),
                                off("successes", Type::integer, count_max, "Successes that are needed.")})}),
               declare("unhealthy", Type::record, "When a target counts as unhealthy.",
                       {record({statuses({429, 500, 503}, "Statuses of failure."),
                                off("tcp_failures", Type::integer, count_max, "Failures to connect."),
                                off("timeouts", Type::integer, count_max, "Timeouts."),
                                off("http_failures", Type::integer, count_max, "Statuses of failure in a row.")})})})});
}

std::vector<std::string> all_but(std::string_view word) {
  std::vector<std::string> out;
  for (const auto& input : hash_inputs)
    if (input != word) out.push_back(input);
  return out;
}

const Declared<Upstream>& declared() {
  static const auto built =
      entity<Upstream>("upstreams")
          .endpoint_key("name")
          .field("name", &Upstream::name, "A host name; services with this host are balanced over its targets.",
                 unique(), check(check_upstream_name))
          .field("algorithm", &Upstream::algorithm, "How the next target is chosen.", nullable(),
                 one_of({"consistent-hashing", "least-connections", "round-robin", "latency"}),
                 supports_only({"round-robin"}, "use round-robin"))
          .field("hash_on", Type::string, "What is hashed to choose a target.", hash_input())
          .field("hash_fallback", Type::string, "What is hashed when hash_on yields nothing.", hash_input())
          .field("hash_on_header", Type::string, "The header to hash.", check(check_header_name))
          .field("hash_fallback_header", Type::string, "The header to hash as fallback.", check(check_header_name))
          .field("hash_on_cookie", Type::string, "The cookie to hash.", check(check_cookie_name))
          .field("hash_on_cookie_path", Type::string, "The path of the cookie that is set.", initial("/"),
                 check(check_path))
          .field("hash_on_query_arg", Type::string, "The query argument to hash.", len_min(1))
          .field("hash_fallback_query_arg", Type::string, "The query argument to hash as fallback.", len_min(1))
          .field("hash_on_uri_capture", Type::string, "The capture of the path to hash.", len_min(1))
          .field("hash_fallback_uri_capture", Type::string, "The capture of the path to hash as fallback.", len_min(1))
          .field("slots", &Upstream::slots, "Size of the hash ring; round robin does not use it.", nullable(),
                 between(10, 65536))
          .field("healthchecks", Type::record, "When targets are taken out of service and back.",
                 record({active_checks(), passive_checks(),
                         off("threshold", Type::number, 100, "Percent of the weight that must be available.")}))
          .field("tags", &Upstream::tags, tags_help, tags())
          .field("host_header", &Upstream::host_header, "The Host header for targets, instead of their own names.",
                 check(check_host_and_port))
          .field("client_certificate", Type::foreign, "The certificate to show to targets over TLS.",
                 foreign("certificates"), supports_only({}, "leave client_certificate out"))
          .field("use_srv_name", &Upstream::use_srv_name,
                 "Whether the name in an SRV record becomes the Host header of its target.", nullable())
          .rule(required_when("hash_on", "header", "hash_on_header"))
          .rule(required_when("hash_fallback", "header", "hash_fallback_header"))
          .rule(required_when("hash_on", "cookie", "hash_on_cookie"))
          .rule(required_when("hash_fallback", "cookie", "hash_on_cookie"))
          .rule(one_of_when("hash_on", "none", "hash_fallback", {"none"}))
          .rule(one_of_when("hash_on", "cookie", "hash_fallback", {"none"}))
          .rule(one_of_when("hash_on", "consumer", "hash_fallback", all_but("consumer")))
          .rule(one_of_when("hash_on", "ip", "hash_fallback", all_but("ip")))
          .rule(one_of_when("hash_on", "path", "hash_fallback", all_but("path")))
          .rule(required_when("hash_on", "query_arg", "hash_on_query_arg"))
          .rule(required_when("hash_fallback", "query_arg", "hash_fallback_query_arg"))
          .rule(required_when("hash_on", "uri_capture", "hash_on_uri_capture"))
          .rule(required_when("hash_fallback", "uri_capture", "hash_fallback_uri_capture"))
          .rule(distinct("hash_on_header", "hash_fallback_header"))
          .rule(distinct("hash_on_query_arg", "hash_fallback_query_arg"))
          .rule(distinct("hash_on_uri_capture", "hash_fallback_uri_capture"))
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Upstream>() {
  return declared().schema;
}
template <>
Upstream read<Upstream>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
