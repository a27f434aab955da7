#include "reconcile/replicas.h"

#include "base/log.h"
#include "reconcile/fields.h"

namespace weir::reconcile {
namespace {

Revisions parse_revisions(std::string_view text) {
  Revisions out;
  boost::system::error_code fault;
  const auto value = boost::json::parse(text, fault);
  if (fault || !value.is_object()) return out;
  for (const auto& [kind, revision] : value.get_object())
    if (const auto number = fields::number_at(value.get_object(), kind); number && *number >= 0)
      out[std::string(kind)] = static_cast<std::uint64_t>(*number);
  return out;
}

}  // namespace

std::string kind_key(const Kind& kind) {
  return fmt::format("{}.{}", kind.plural, kind.group);
}

std::string print_revisions(const Revisions& revisions) {
  Object out;
  for (const auto& [kind, revision] : revisions) out[kind] = revision;
  return boost::json::serialize(out);
}

void Replicas::seen(const Name& name, const Object* lease, Instant now) {
  if (name.name == own_) return;
  const auto* spec = lease ? fields::object_at(*lease, "spec") : nullptr;
  const auto renewed = spec ? fields::text_at(*spec, "renewTime") : std::string_view();
  if (!spec || renewed.empty() || fields::label(*lease, label) != "true") {
    others_.erase(name.name);
    dead_.erase(name.name);
    return;
  }
  if (const auto dead = dead_.find(name.name); dead != dead_.end()) {
    if (dead->second == renewed) return;  // changed by somebody, but not by its owner
    dead_.erase(dead);
  }
  auto& other = others_[name.name];
  if (other.renewed != renewed) other.seen_at = now;
  other.renewed = renewed;
  other.duration = std::chrono::seconds(
      std::clamp<std::int64_t>(fields::number_at(*spec, "leaseDurationSeconds").value_or(10), 1, 600));
  other.pod = fields::text_at(*spec, "holderIdentity");
  if (other.pod.empty()) other.pod = name.name;
  const auto* metadata = fields::object_at(*lease, "metadata");
  const auto* annotations = metadata ? fields::object_at(*metadata, "annotations") : nullptr;
  other.served = parse_revisions(annotations ? fields::text_at(*annotations, annotation) : std::string_view());
}

bool Replicas::age_out(Instant now) {
  bool any = false;
  for (auto at = others_.begin(); at != others_.end();) {
    if (now - at->second.seen_at < at->second.duration) {
      ++at;
      continue;
    }
    log::warn("replica is gone: its lease ran out", {{"replica", at->second.pod}});
    dead_[at->first] = at->second.renewed;
    at = others_.erase(at);
    any = true;
  }
  return any;
}

ServedBy Replicas::served_by(const Kind& kind, std::uint64_t revision) const {
  constexpr std::size_t named_max = 3;
  ServedBy out{.served = 1, .replicas = others_.size() + 1, .waiting_for = {}, .refused = {}};
  const auto key = others_.empty() ? std::string() : kind_key(kind);
  std::size_t missing = 0;
  for (const auto& [name, other] : others_) {
    const auto at = other.served.find(key);
    if (at != other.served.end() && at->second >= revision) {
      ++out.served;
      continue;
    }
    if (++missing > named_max) continue;
    if (!out.waiting_for.empty()) out.waiting_for += ", ";
    out.waiting_for += other.pod;
  }
  if (missing > named_max) out.waiting_for += fmt::format(" and {} more", missing - named_max);
  return out;
}

}  // namespace weir::reconcile
