#include "reconcile/writes.h"

#include "base/log.h"
#include "reconcile/fields.h"

namespace weir::reconcile {

void Writes::put(const std::string& key, Job job) {
  auto& entry = jobs_[key];
  entry.job = std::make_shared<Job>(std::move(job));
  // One that is on its way, or in a pause, is followed by this when it is done.
  if (entry.sent || entry.queued) return;
  entry.queued = true;
  ready_.push_back(key);
  send_ready();
}

void Writes::clear() {
  for (auto at = jobs_.begin(); at != jobs_.end();)
    if (at->second.sent) {
      at->second.job = at->second.sent;
      ++at;
    } else {
      at = jobs_.erase(at);
    }
  ready_.clear();
}

void Writes::send_ready() {
  if (std::exchange(sending_, true)) return;  // an answer that is there at once
  while (!ready_.empty() && on_their_way_ < on_their_way_max) {
    const auto key = std::move(ready_.front());
    ready_.pop_front();
    const auto at = jobs_.find(key);
    if (at == jobs_.end()) continue;
    at->second.queued = false;
    if (!send(key, at->second)) finish(at);
  }
  sending_ = false;
}

bool Writes::send(const std::string& key, Entry& entry) {
  auto request = entry.job->make();
  if (!request) return false;
  entry.sent = entry.job;
  ++on_their_way_;
  client_.request(std::move(request->method), std::move(request->path), std::move(request->body),
                  std::move(request->content_type),
                  [this, key, alive = std::weak_ptr(alive_)](Result<kube::Answer> answer) {
                    if (!alive.expired()) answered(key, std::move(answer));
                  });
  return true;
}

void Writes::answered(const std::string& key, Result<kube::Answer> answer) {
  --on_their_way_;
  const auto at = jobs_.find(key);
  auto& entry = at->second;
  const auto job = entry.sent;
  const auto status = answer ? answer->status : 0;
  if (answer && answer->ok()) {
    ++written_;
    fault_.clear();
    keep(*job, answer->body);
  } else if (status != 404 && status != 409) {
    ++faults_;
    fault_ =
        fmt::format("{} {}: {}", job->kind.kind, job->name.text(), answer ? answer->reason() : answer.error().message);
    if (entry.attempts == 0) log::warn("write to Kubernetes failed", {{"error", fault_}});
  }
  if (status == 409 && !job->once) {
    read_again(key, *job);
  } else {
    entry.sent.reset();
    // Refused for what it says: the same would be refused again. Denied: until somebody allows it.
    const bool retry = !job->once && (status == 0 || status == 429 || status >= 500 || status == 401 || status == 403);
    if (retry)
      again(key, entry, answer ? std::chrono::milliseconds(answer->retry_after) : std::chrono::milliseconds(0));
    else if (entry.job != job) {
      entry.attempts = 0;
      entry.queued = true;
      ready_.push_back(key);
    } else {
      finish(at);
    }
  }
  send_ready();
}

void Writes::again(const std::string& key, Entry& entry, std::chrono::milliseconds at_least) {
  const auto pause = std::clamp(pause_min * (1u << std::min(entry.attempts++, 8u)), pause_min, pause_max);
  entry.queued = true;
  client_.after(std::max(pause, at_least), [this, key, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    const auto at = jobs_.find(key);
    if (at == jobs_.end() || at->second.sent || !at->second.queued) return;
    ready_.push_back(key);
    send_ready();
  });
}

// Somebody else wrote it meanwhile: with the object as it is now.
void Writes::read_again(const std::string& key, const Job& job) {
  ++on_their_way_;
  client_.request("GET", job.kind.path(job.name.space, job.name.name), "", "",
                  [this, key, job, alive = std::weak_ptr(alive_)](Result<kube::Answer> answer) {
                    if (alive.expired()) return;
                    --on_their_way_;
                    if (answer && answer->ok()) keep(job, answer->body);
                    const auto at = jobs_.find(key);
                    at->second.sent.reset();
                    if (answer && answer->status == 404)
                      finish(at);
                    else
                      again(key, at->second, std::chrono::milliseconds(0));
                    send_ready();
                  });
}

void Writes::keep(const Job& job, const std::string& body) {
  boost::system::error_code fault;
  auto value = boost::json::parse(body, fault);
  // A deletion is answered by a Status, an event is of a kind that nobody watches.
  if (job.once || fault || !value.is_object() || fields::text_at(value.get_object(), "kind") != job.kind.kind) return;
  informers_.put(job.kind, std::move(value.get_object()));
}

void Writes::finish(std::map<std::string, Entry>::iterator at) {
  jobs_.erase(at);
}

}  // namespace weir::reconcile
