// What a plugin is: a kind (key-auth), declared once with its configuration's schema, and its configured instances.
//
// One file per plugin, plugin/<name>.cpp; plugin/all.cpp lists the kinds.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/schema.h"
#include "plugin/exchange.h"

namespace weir::plugin {

class Services;

// A configured instance: immutable, shared by all workers; any worker's thread calls it, several at once. What must
// survive a change of its configuration (counters, queues) is kept by Services under its id.
//
// Steps of rewrite and access may be called again after Step::wait, from their beginning.
class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual Step rewrite(Exchange&) const { return Step::next; }  // global instances only, before routing
  virtual Step access(Exchange&) const { return Step::next; }
  virtual void header_filter(Exchange&) const {}
  virtual void body_filter(Exchange&, std::string& /*body*/) const {}  // after want_response_body only
  virtual void log(Exchange&) const {}
};

enum Phase : std::uint8_t {
  phase_rewrite = 1,
  phase_access = 2,
  phase_header_filter = 4,
  phase_body_filter = 8,
  phase_log = 16
};

// Where an instance is attached.
struct Scope {
  Uuid id;           // of the plugins entity
  std::string name;  // instance_name, may be empty
  std::optional<Uuid> route, service, consumer;
};

struct Kind {
  std::string_view name;  // "key-auth"
  int priority = 0;       // larger runs first; Kong's
  std::uint8_t phases = 0;
  bool consumer_scope = true;        // false: `consumer` must be null
  const model::Schema& (*config)();  // the schema of `config`; its name is the kind's
  // The error names what in the configuration cannot be used.
  Result<std::unique_ptr<const Plugin>> (*make)(const model::Object& config, const Scope&, Services&);
};

std::span<const Kind* const> kinds();  // by falling priority
const Kind* find_kind(std::string_view name);

// Those that the setting `plugins` names: "bundled" (all), "off" (none), or a list in which `bundled` may stand. By
// falling priority; the error names what is unknown and what is known.
Result<std::vector<const Kind*>> enabled_kinds(std::string_view setting);

// Tells the entity `plugins` which configurations there are (model/plugin_schemas.h). enabled: the setting `plugins`
// ("bundled", "off" or a list); the error names an unknown one. Once, at start-up, before threads.
Result<> install(std::string_view enabled);

// Each in its own file.
const Kind& acl();
const Kind& basic_auth();
const Kind& correlation_id();
const Kind& cors();
const Kind& file_log();
const Kind& http_log();
const Kind& ip_restriction();
const Kind& key_auth();
const Kind& prometheus();
const Kind& rate_limiting();
const Kind& request_size_limiting();
const Kind& request_termination();
const Kind& request_transformer();
const Kind& response_transformer();

}  // namespace weir::plugin
