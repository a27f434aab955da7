#include "kube/lease_record.h"

#include <random>

#include <fmt/format.h>

namespace weir::kube {
namespace {

namespace json = boost::json;

std::string text(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  const auto* value = found ? found->if_string() : nullptr;
  return value ? std::string(*value) : std::string();
}

std::int64_t number(const json::object& object, std::string_view name) {
  const auto* found = object.if_contains(name);
  return found && found->is_int64() ? found->get_int64() : 0;
}

}  // namespace

std::string lease_path(std::string_view space, std::string_view name) {
  const auto path = fmt::format("/apis/coordination.k8s.io/v1/namespaces/{}/leases", space);
  return name.empty() ? path : fmt::format("{}/{}", path, name);
}

std::uint64_t random_up_to(std::uint64_t most) {
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(0, most)(engine);
}

Result<LeaseRecord> LeaseRecord::parse(std::string_view object) {
  json::error_code error;
  auto parsed = json::parse(object, error);
  auto* lease = error ? nullptr : parsed.if_object();
  auto* metadata = lease ? lease->if_contains("metadata") : nullptr;
  if (!metadata || !metadata->is_object()) return fail("the API server's answer is not a Lease");
  LeaseRecord out;
  out.metadata = std::move(metadata->get_object());
  out.metadata.erase("managedFields");
  const auto* found = lease->if_contains("spec");
  const auto* spec = found ? found->if_object() : nullptr;
  if (!spec) return out;  // nobody's
  out.holder = text(*spec, "holderIdentity");
  out.acquired = text(*spec, "acquireTime");
  out.renewed = text(*spec, "renewTime");
  out.duration_seconds = number(*spec, "leaseDurationSeconds");
  out.transitions = number(*spec, "leaseTransitions");
  return out;
}

LeaseRecord LeaseRecord::released(LeaseRecord record) {
  record.holder.clear();
  record.duration_seconds = 1;
  record.acquired = record.renewed = print_micro_time(std::chrono::system_clock::now());
  return record;
}

void LeaseRecord::take(const std::string& identity, std::int64_t seconds, Moment now) {
  if (holder != identity) {
    acquired = print_micro_time(now);
    if (!metadata.empty()) transitions++;  // a new lease has had no other holder
  }
  holder = identity;
  duration_seconds = seconds;
  renewed = print_micro_time(now);
}

std::string LeaseRecord::print(std::string_view space, std::string_view name) const {
  auto meta = metadata;
  meta["namespace"] = space;
  meta["name"] = name;
  return json::serialize(json::object{{"apiVersion", "coordination.k8s.io/v1"},
                                      {"kind", "Lease"},
                                      {"metadata", std::move(meta)},
                                      {"spec",
                                       {{"holderIdentity", holder},
                                        {"leaseDurationSeconds", duration_seconds},
                                        {"acquireTime", acquired},
                                        {"renewTime", renewed},
                                        {"leaseTransitions", transitions}}}});
}

}  // namespace weir::kube
