#include "reconcile/events.h"

#include "kube/moment.h"
#include "reconcile/fields.h"
#include "reconcile/replicas.h"

namespace weir::reconcile {

// Limits of events.k8s.io/v1.
constexpr std::size_t note_max = 1024, reason_max = 128;

namespace {

// Not in the middle of a character of UTF-8.
std::string cut(const std::string& text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace

Events::Events(kube::Informers& informers, Writes& writes, std::string instance)
    : informers_(informers), writes_(writes), instance_(std::move(instance)) {
  if (instance_.empty()) instance_ = "weir";
  if (instance_.size() > 128) instance_.resize(128);
}

void Events::tell(const Kind& kind, const Name& name, std::int64_t generation, const std::string& reason,
                  const std::string& message, std::chrono::steady_clock::time_point now) {
  const auto key = fmt::format("{}/{}", kind_key(kind), name.text());
  const auto at = told_.find(key);
  if (message.empty()) {
    if (at == told_.end()) return;
    told_.erase(at);
    if (may_tell(now)) write(kind, name, false, "InForce", "All of it is in force.");
    return;
  }
  const auto digest = digest_of(fmt::format("{}\n{}\n{}", generation, reason, message));
  if (at != told_.end() && at->second == digest) return;
  told_.insert_or_assign(key, digest);
  if (may_tell(now)) write(kind, name, true, reason.empty() ? "Invalid" : reason, message);
}

void Events::forget(const Kind& kind, const Name& name) {
  told_.erase(fmt::format("{}/{}", kind_key(kind), name.text()));
}

bool Events::may_tell(std::chrono::steady_clock::time_point now) {
  if (filled_at_ != std::chrono::steady_clock::time_point{})
    tokens_ = std::min(burst, tokens_ + std::chrono::duration<double>(now - filled_at_).count() * per_second);
  filled_at_ = now;
  if (tokens_ < 1) {
    ++suppressed_;
    return false;
  }
  tokens_ -= 1;
  return true;
}

void Events::write(const Kind& kind, const Name& name, bool warning, const std::string& reason,
                   const std::string& message) {
  const auto object = informers_.get(kind, name);
  if (!object) return;
  // Events of cluster-scoped objects are kept in "default".
  const auto space = name.space.empty() ? std::string("default") : name.space;
  const auto id = Uuid::random().text();
  Object event{
      {"apiVersion", kinds::event.api_version()},
      {"kind", kinds::event.kind},
      {"metadata", {{"name", fmt::format("{}.{}", name.name.substr(0, 200), id.substr(0, 13))}, {"namespace", space}}},
      {"eventTime", kube::print_micro_time(std::chrono::system_clock::now())},
      {"reportingController", "weir.dev/weir"},
      {"reportingInstance", instance_},
      {"action", "Translate"},
      {"reason", cut(reason, reason_max)},
      {"type", warning ? "Warning" : "Normal"},
      {"note", cut(message, note_max)},
      {"regarding",
       {{"apiVersion", kind.api_version()},
        {"kind", kind.kind},
        {"name", name.name},
        {"namespace", name.space},
        {"uid", fields::meta(*object, "uid")},
        {"resourceVersion", fields::meta(*object, "resourceVersion")}}}};
  writes_.put(fmt::format("event {}", ++made_),
              {.kind = kinds::event,
               .name = Name{space, id},
               .make =
                   [body = boost::json::serialize(event), path = kinds::event.path(space)] {
                     return std::optional(Writes::Request{"POST", path, body, "application/json"});
                   },
               .once = true});
}

}  // namespace weir::reconcile
