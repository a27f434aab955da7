// GET /upstreams/{u}/health: which addresses the targets of an upstream have on this node.
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "base/text.h"
#include "model/entities.h"

namespace weir::admin {

namespace {

namespace json = boost::json;
using model::Outcome;

Object weights(std::uint64_t total, std::uint64_t available) {
  return {{"total", total}, {"unavailable", total - available}, {"available", available}};
}

// The compiled target of an entity; made from the entity when the snapshot has none (weight 0, not compiled yet).
snapshot::Target compiled(const snapshot::Backend* backend, const model::Target& entity) {
  if (backend)
    for (const auto& target : backend->targets)
      if (target->origin.id == entity.id) return *target;
  snapshot::Target out;
  const auto parts = text::split_host_port(entity.target);
  out.origin = {"", "targets", entity.id, entity.target, 0};
  if (parts) {
    out.host = parts->host;
    out.port = parts->port;
    out.is_ip = text::is_ip(parts->host);
  }
  out.weight = static_cast<std::uint16_t>(entity.weight);
  return out;
}

struct TargetHealth {
  Object entity;
  std::string health;
  Object data;  // host, port, dns, nodeWeight, weight, addresses
  std::uint64_t total = 0, available = 0;
};

TargetHealth judge_target(const Context& context, const snapshot::Backend* backend, const Object& entity) {
  const auto target = compiled(backend, model::read<model::Target>(entity));
  const auto seen = context.node.target(target);
  TargetHealth out{shown(model::schema<model::Target>(), entity), {}, {}};
  // No health checks yet: an address that is known counts as available.
  out.health = target.weight == 0 || seen.resolved ? "HEALTHCHECKS_OFF" : "DNS_ERROR";
  json::array addresses;
  for (const auto& address : seen.addresses) {
    out.total += address.weight;
    addresses.push_back(
        Object{{"ip", address.ip}, {"port", address.port}, {"weight", address.weight}, {"health", out.health}});
  }
  if (!seen.resolved) out.total = target.weight;
  out.available = seen.resolved ? out.total : 0;
  out.data = {{"host", target.host},
              {"port", target.port},
              {"dns", seen.dns},
              {"nodeWeight", target.weight},
              {"weight", weights(out.total, out.available)},
              {"addresses", std::move(addresses)}};
  return out;
}

Outcome<std::vector<Object>> all_targets(const Context& context, const Uuid& upstream) {
  std::vector<Object> out;
  store::PageQuery query;
  query.size = 1000;
  query.parent_field = "upstream";
  query.parent = upstream;
  while (true) {
    auto page = context.store.page(model::schema<model::Target>(), query);
    if (!page) return std::unexpected(page.error());
    std::ranges::move(page->rows, std::back_inserter(out));
    if (!page->next_offset) return out;
    query.offset = *page->next_offset;
  }
}

Object of_balancer(const Context& context, const Uuid& upstream, const std::vector<TargetHealth>& targets) {
  std::uint64_t total = 0, available = 0;
  json::array hosts;
  for (const auto& target : targets) {
    total += target.total;
    available += target.available;
    Object host = target.data;
    for (auto& address : host["addresses"].get_array()) {
      auto& shape = address.get_object();
      shape.erase("health");
      shape["healthy"] = target.health != "DNS_ERROR";
    }
    hosts.push_back(std::move(host));
  }
  const Object data{
      {"id", upstream.text()},
      {"health", "HEALTHCHECKS_OFF"},
      {"balancer_health", available > 0 ? "HEALTHY" : "UNHEALTHY"},
      {"details", Object{{"healthy", available > 0}, {"weight", weights(total, available)}, {"hosts", hosts}}}};
  return {{"data", data}, {"next", nullptr}, {"node_id", context.node.node_id()}};
}

// What the store holds of an upstream; the rest is known on the control thread.
struct Rows {
  Uuid id;
  std::string name;
  std::vector<Object> targets;
  bool whole = false;  // the balancer as one
};

Answer show_rows(const Context& context, const Rows& rows) {
  const auto snapshot = context.node.snapshot();
  const auto* backend = snapshot ? snapshot->find_backend(rows.name) : nullptr;
  std::vector<TargetHealth> targets;
  for (const auto& entity : rows.targets) targets.push_back(judge_target(context, backend, entity));
  if (rows.whole) return answer_json(200, of_balancer(context, rows.id, targets));
  json::array data;
  for (auto& target : targets) {
    target.entity["health"] = target.health;
    target.entity["data"] = std::move(target.data);
    data.push_back(std::move(target.entity));
  }
  return answer_json(200, Object{{"data", std::move(data)}, {"next", nullptr}, {"node_id", context.node.node_id()}});
}

Answer show_health(const Context& context, const Call& call) {
  const auto upstream = find(context, model::schema<model::Upstream>(), call.params[0]);
  if (!upstream) return answer_problem(upstream.error());
  if (!*upstream) return not_found();
  const auto id = id_of(**upstream);
  auto targets = all_targets(context, id);
  if (!targets) return answer_problem(targets.error());
  const auto* whole = call.arg("balancer_health");
  const auto rows =
      std::make_shared<const Rows>(Rows{id, std::string((*upstream)->at("name").get_string()), std::move(*targets),
                                        whole && (*whole == "1" || *whole == "true")});
  Answer answer;
  answer.then = [&context, rows](const auto& done) { done(show_rows(context, *rows)); };
  return answer;
}

}  // namespace

void add_health(Table& table, const Context& context) {
  table.add("GET", "/upstreams/{upstreams}/health",
            {[&context](const Call& call) { return show_health(context, call); },
             "Addresses and health of an upstream's targets on this node",
             "",
             "",
             200,
             {"balancer_health"}});
}

}  // namespace weir::admin
