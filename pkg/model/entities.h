// What users configure, as types: the form that the snapshot compiler reads. Fields and defaults are Kong 3.9's.
//
// A value of these types is made by read<T>() from an entity that satisfies its schema.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "model/schema.h"

namespace weir::model {

using Tags = std::vector<std::string>;

// Where requests are sent: one upstream application. Kong entity "services".
struct Service {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;  // Unix seconds
  std::optional<std::string> name;
  std::int64_t retries = 5;  // further attempts after the first, 0..32767
  std::string protocol = "http";
  std::string host;  // an upstream's name, a host name or an address
  std::uint16_t port = 80;
  std::optional<std::string> path;
  std::int64_t connect_timeout = 60000, write_timeout = 60000, read_timeout = 60000;  // ms
  std::optional<Tags> tags;
  std::optional<Uuid> client_certificate;
  std::optional<bool> tls_verify;
  std::optional<std::int64_t> tls_verify_depth;
  std::optional<std::vector<std::string>> ca_certificates;
  bool enabled = true;
};

struct Peer {                     // an element of sources and destinations; at least one is set
  std::optional<std::string> ip;  // address or CIDR
  std::optional<std::uint16_t> port;
};

// Which requests belong to a service. Kong entity "routes".
struct Route {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::optional<std::string> name;
  std::vector<std::string> protocols{"http", "https"};
  std::int64_t https_redirect_status_code = 426;
  bool strip_path = true, preserve_host = false, request_buffering = true, response_buffering = true;
  std::optional<Tags> tags;
  std::optional<Uuid> service;
  std::optional<std::vector<std::string>> snis;
  std::optional<std::vector<Peer>> sources, destinations;
  std::optional<std::vector<std::string>> methods, hosts, paths;
  std::optional<std::map<std::string, std::vector<std::string>>> headers;
  std::int64_t regex_priority = 0;
  std::string path_handling = "v0";
};

// A virtual host name that balances over targets. Kong entity "upstreams". Health checks and hashing fields are
// declared in the schema; those that this version cannot honour are refused there.
struct Upstream {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::string name;
  std::string algorithm = "round-robin";
  std::int64_t slots = 10000;
  std::optional<std::string> host_header;
  std::optional<Tags> tags;
  bool use_srv_name = false;
};

// One address of an upstream. Kong entity "targets".
struct Target {
  Uuid id;
  double created_at = 0, updated_at = 0;  // Unix seconds with milliseconds
  Uuid upstream;
  std::string target;         // host:port, IPv6 in brackets
  std::int64_t weight = 100;  // 0..65535; 0 gets no traffic
  std::optional<Tags> tags;
};

// Who calls. Kong entity "consumers".
struct Consumer {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::optional<std::string> username, custom_id;
  std::optional<Tags> tags;
};

// A plugin's configuration and what it is attached to. Kong entity "plugins".
struct Plugin {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::string name;
  std::optional<std::string> instance_name;
  std::optional<Uuid> route, service, consumer;
  Object config;  // complete by the plugin's own schema (plugin_schemas.h)
  std::vector<std::string> protocols{"grpc", "grpcs", "http", "https"};
  bool enabled = true;
  std::optional<Tags> tags;
};

// Credentials of the plugins key-auth, basic-auth and acl. Kong entities "keyauth_credentials",
// "basicauth_credentials" and "acls".
struct KeyAuthCredential {
  Uuid id;
  std::int64_t created_at = 0;
  Uuid consumer;
  std::string key;
  std::optional<std::int64_t> ttl;  // seconds that are left
  std::optional<Tags> tags;
};
struct BasicAuthCredential {
  Uuid id;
  std::int64_t created_at = 0;
  Uuid consumer;
  std::string username, password;  // password: sha1 in hex of password and consumer id
  std::optional<Tags> tags;
};
struct Acl {
  Uuid id;
  std::int64_t created_at = 0;
  Uuid consumer;
  std::string group;
  std::optional<Tags> tags;
};

// What is shown in TLS handshakes. Kong entity "certificates".
struct Certificate {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::string cert, key;                         // PEM; cert: the chain
  std::optional<std::string> cert_alt, key_alt;  // of another type of key
  std::optional<Tags> tags;
};

// A name of TLS handshakes and its certificate. Kong entity "snis".
struct Sni {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::string name;  // "a.example", "*.example", "a.*", "*"
  std::optional<Tags> tags;
  Uuid certificate;
};

// Whom to trust. Kong entity "ca_certificates".
struct CaCertificate {
  Uuid id;
  std::int64_t created_at = 0, updated_at = 0;
  std::string cert;
  std::optional<std::string> cert_digest;
  std::optional<Tags> tags;
};

template <class T>
const Schema& schema();
template <>
const Schema& schema<Service>();
template <>
const Schema& schema<Route>();
template <>
const Schema& schema<Upstream>();
template <>
const Schema& schema<Target>();
template <>
const Schema& schema<Consumer>();
template <>
const Schema& schema<Plugin>();
template <>
const Schema& schema<KeyAuthCredential>();
template <>
const Schema& schema<BasicAuthCredential>();
template <>
const Schema& schema<Acl>();
template <>
const Schema& schema<Certificate>();
template <>
const Schema& schema<Sni>();
template <>
const Schema& schema<CaCertificate>();

// entity: satisfies schema<T>().
template <class T>
T read(const Object& entity);
template <>
Service read<Service>(const Object&);
template <>
Route read<Route>(const Object&);
template <>
Upstream read<Upstream>(const Object&);
template <>
Target read<Target>(const Object&);
template <>
Consumer read<Consumer>(const Object&);
template <>
Plugin read<Plugin>(const Object&);
template <>
KeyAuthCredential read<KeyAuthCredential>(const Object&);
template <>
BasicAuthCredential read<BasicAuthCredential>(const Object&);
template <>
Acl read<Acl>(const Object&);
template <>
Certificate read<Certificate>(const Object&);
template <>
Sni read<Sni>(const Object&);
template <>
CaCertificate read<CaCertificate>(const Object&);

}  // namespace weir::model
