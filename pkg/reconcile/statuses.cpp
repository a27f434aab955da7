#include "reconcile/statuses.h"

#include "kube/moment.h"

namespace weir::reconcile {
namespace {

std::string now_text() {
  return kube::print_micro_time(std::chrono::system_clock::now()).substr(0, 19) + "Z";
}

const Object* status_of(const std::optional<Object>& object) {
  const auto* value = object ? object->if_contains("status") : nullptr;
  return value ? value->if_object() : nullptr;
}

// What is to be sent so that the object's status becomes this; nothing when it is that already.
std::optional<Writes::Request> request_for(const kube::Informers& informers, const Kind& kind, const Name& name,
                                           const Object& wanted, const ServedBy& by,
                                           const std::set<std::string_view>& ours) {
  const auto object = informers.get(kind, name);
  if (!object) return std::nullopt;
  const auto* present = status_of(object);
  auto finished = finish_status(wanted, by, present, ours, now_text());
  if (same_status(finished, present)) return std::nullopt;
  const bool shared = has_shared_lists(finished);
  Object metadata{{"name", name.name}};
  if (!name.space.empty()) metadata["namespace"] = name.space;
  if (shared) metadata["resourceVersion"] = object->at("metadata").at("resourceVersion");
  const Object body{{"apiVersion", kind.api_version()},
                    {"kind", kind.kind},
                    {"metadata", std::move(metadata)},
                    {"status", std::move(finished)}};
  const auto path = kind.path(name.space, name.name) + "/status?fieldManager=weir";
  // Entries of others in a shared list are only safe when nobody wrote in between: 409 then, and once more.
  return shared ? Writes::Request{"PATCH", path, boost::json::serialize(body), "application/merge-patch+json"}
                : Writes::Request{"PATCH", path + "&force=true", boost::json::serialize(body),
                                  "application/apply-patch+yaml"};
}

}  // namespace

Statuses::Statuses(kube::Informers& informers, Writes& writes, const Replicas& replicas, const Settings& settings,
                   std::function<bool()> leads)
    : informers_(informers),
      writes_(writes),
      replicas_(replicas),
      ours_{settings.controller, settings.ingress_controller},
      leads_(std::move(leads)) {}

void Statuses::expect(Translated unit) {
  if (!unit.status) return forget(unit.kind, unit.name);
  auto& waiting = waiting_[{kind_key(unit.kind), unit.name}];
  // The time goes on for one that is translated again before it was in force everywhere.
  const bool same = waiting.unit.generation == unit.generation;
  if (!same) waiting = {};
  waiting.unit = std::move(unit);
}

void Statuses::forget(const Kind& kind, const Name& name) {
  waiting_.erase({kind_key(kind), name});
}

void Statuses::clear() {
  waiting_.clear();
}

void Statuses::step(std::uint64_t adopted, const std::function<std::string(const Kind&, const Name&)>& refused,
                    Instant now) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    auto& waiting = at->second;
    const auto& unit = waiting.unit;
    if (unit.number > adopted) {
      ++at;
      continue;
    }
    auto by = replicas_.served_by(unit.kind, unit.revision);
    by.refused = refused(unit.kind, unit.name);
    if (by.all() || !by.refused.empty() || !claims_served(*unit.status)) {
      write(waiting, std::move(by));
      at = waiting_.erase(at);
      continue;
    }
    if (waiting.since == Instant{}) waiting.since = now;
    if (now - waiting.since >= patience && waiting.told != by.message()) {
      waiting.told = by.message();
      write(waiting, std::move(by));
    }
    ++at;
  }
}

void Statuses::write(const Waiting& waiting, ServedBy by) {
  const auto& unit = waiting.unit;
  const auto object = informers_.get(unit.kind, unit.name);
  if (!object || !request_for(informers_, unit.kind, unit.name, *unit.status, by, ours_)) return;
  writes_.put(fmt::format("status {}/{}", kind_key(unit.kind), unit.name.text()),
              {.kind = unit.kind,
               .name = unit.name,
               .make = [this, kind = unit.kind, name = unit.name, status = *unit.status, by = std::move(by)] {
                 return leads_() ? request_for(informers_, kind, name, status, by, ours_) : std::nullopt;
               }});
}

}  // namespace weir::reconcile
