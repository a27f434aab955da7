// The work of compile(): one Compiler lives for one call. Its methods lie in compile*.cpp, a file for each kind of
// objects.
//
// Works on its own copy of the tables: what it writes first is copied, from then on it is changed in place.
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "snapshot/snapshot.h"
#include "snapshot/tables.h"

namespace weir::snapshot {

// A fault's place: by kind of object, id and cause. An object may be faulty by itself and lack its parent, too.
enum class Cause : char { itself = 0, relation = 1, name = 2 };

std::string id_bytes(const Uuid&);
std::string pair_key(const Uuid& first, const Uuid& second);
// Objects of one name, in the order of their ids.
std::string name_key(const std::string& name, const Uuid&);
// Of objects of one name, in the order of their ids, the one that is in force: Kubernetes' goes before the database's,
// that before the file's.
int rank_of_source(std::string_view source);
template <class Pointer>
Pointer first_of_name(const std::vector<Pointer>& all) {
  return *std::ranges::min_element(all, {}, [](const auto& each) { return rank_of_source(each->origin.source); });
}
// "upstream <id> of postgres", or "WeirUpstream a/b of kube".
std::string in_words(const Origin&, std::string_view what);

class Compiler {
 public:
  Compiler(const SnapshotPtr& previous, std::string_view source, plugin::Services*, const PluginMakers&);

  // Parents first, so that at each step what stands above is final.
  void apply(const store::Changes&, std::span<const model::GatewayChange>);
  SnapshotPtr finish();

 private:
  using Tables = Snapshot::Tables;

  // compile_upstreams.cpp
  void apply_upstream(const store::Change&);
  void apply_target(const store::Change&);
  std::shared_ptr<const CompiledTarget> compile_target(const store::Change&);
  bool touch_upstream(const Uuid&);
  void report_missing_upstream(const CompiledTarget&);
  template <class Visit>
  void each_target_of(const Uuid& upstream, Visit&&);
  Slot acquire_name(const std::string&);
  void release_name(const std::string&);
  void settle_name(const std::string&);
  void drop_name(const std::string&);
  std::shared_ptr<const CompiledUpstream> upstream_of(const std::string& name);
  std::shared_ptr<const Backend> balanced(const CompiledUpstream&);
  std::shared_ptr<const Backend> plain_host(const std::string& name);

  // compile_services.cpp
  void apply_service(const store::Change&);
  bool check_service(const model::Service&, const Origin&);
  void put_service(Slot, std::shared_ptr<Service>);
  Slot take_service_slot(const Uuid&);
  const ServiceUse& refer_to_service(const Uuid&);
  const ServiceUse& leave_service(const Uuid&);
  void settle_service(const Uuid&);
  void apply_route(const store::Change&);
  void add_route(std::shared_ptr<CompiledRoute>);
  void remove_route(const CompiledRoute&);
  void report_missing_service(const CompiledRoute&);

  // compile_certificates.cpp
  void apply_certificate(const store::Change&);
  void apply_sni(const store::Change&);
  void settle_sni(const std::string& name);
  template <class Visit>
  void each_sni_of(const Uuid& certificate, Visit&&);
  void report_missing_certificate(const CompiledSni&);

  // compile_gateway.cpp
  void apply_gateway(const model::GatewayChange&);
  void apply_entry(const model::GatewayChange&);
  void apply_gateway_route(const model::GatewayChange&);
  static std::shared_ptr<const net::UpstreamTls> upstream_tls(const model::BackendTls&);
  void add_gateway_route(std::shared_ptr<CompiledGatewayRoute>);
  void remove_gateway_route(const CompiledGatewayRoute&);
  void check_services_of(const CompiledGatewayRoute&);

  // compile_plugins.cpp
  void apply_plugin(const store::Change&);
  void put_plugin(const PluginPtr& old, const PluginPtr& made);
  void put_filters(const model::GatewayRoute*, const Uuid& id, const Origin&);
  void mark_stale(const PluginInstance&);
  void settle_chains();
  void put_route_chain(const Route&, const std::optional<Uuid>& service, std::shared_ptr<const Chain>);

  // compile.cpp
  Origin origin(const store::Change&, std::string name, std::int64_t generation) const;
  void report(std::string_view kind, const Origin&, Cause, std::string message);
  void report(const Origin& of, Cause cause, std::string message) { report(of.kind, of, cause, std::move(message)); }
  void clear_fault(std::string_view kind, const Uuid&, Cause);

  std::string_view source_;
  plugin::Services* plugin_services_;
  PluginMakers makers_;
  std::uint64_t revision_;
  std::shared_ptr<Tables> tables_;
  Tables& t_;
  std::set<std::string> touched_names_, touched_snis_;
  std::vector<std::string> left_names_;
  std::set<Uuid> left_services_;
  std::set<Uuid> stale_services_, stale_routes_;  // whose chains must be made anew
  bool global_is_stale_ = false;
  std::vector<Slot> changed_backends_;
};

}  // namespace weir::snapshot
