#include <set>

#include "base/log.h"
#include "kube/lease.h"
#include "kube/lease_record.h"
#include "kube/moment.h"

namespace weir::kube {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr milliseconds between_writes{200};
constexpr milliseconds retry{1'000};
constexpr milliseconds attempt_at_most{5'000};  // without an answer; then the next one is sent
constexpr unsigned failures_quiet = 3;          // before the log says so

class LeasePresence final : public Presence {
 public:
  LeasePresence(Client& client, Options options) : client_(client), options_(std::move(options)) {}
  ~LeasePresence() override {
    if (uid_.empty()) return;
    // Ours only: another process of that name may have made its own.
    const json::object body{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"preconditions", {{"uid", uid_}}}};
    client_.request("DELETE", lease_path(options_.space, options_.name), json::serialize(body), "application/json",
                    [](Result<Answer>) {});
  }
  void start() { create(); }
  void tell(const std::string& annotation, std::string value) override;

 private:
  void create();
  void on_created(Result<Answer>);
  void write();
  void on_written(Result<Answer>);
  void failed(const Result<Answer>&);
  void sent();
  void again(milliseconds);
  json::object whole() const;
  json::object spec() const;
  template <class Then>
  auto guarded(Then then) {
    return [this, alive = std::weak_ptr(alive_), epoch = epoch_, then](Result<Answer> answer) {
      if (!alive.expired() && epoch == epoch_) (this->*then)(std::move(answer));
    };
  }

  Client& client_;
  const Options options_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::uint64_t epoch_ = 0;  // one request, or one wait

  std::map<std::string, std::string> told_;
  std::set<std::string> unsent_, on_the_way_;
  std::string uid_;
  bool in_flight_ = false, there_ = false, takes_over_ = false;
  Clock::time_point sent_at_{};
  unsigned failures_ = 0;
};

json::object LeasePresence::spec() const {
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(options_.duration).count());
  return {{"holderIdentity", options_.identity},
          {"leaseDurationSeconds", seconds},
          {"renewTime", print_micro_time(std::chrono::system_clock::now())}};
}

json::object LeasePresence::whole() const {
  json::object labels, annotations;
  for (const auto& [name, value] : options_.labels) labels[name] = value;
  for (const auto& [name, value] : told_) annotations[name] = value;
  json::object metadata{{"name", options_.name}, {"namespace", options_.space}, {"labels", std::move(labels)}};
  metadata["annotations"] = std::move(annotations);
  if (!options_.owner_pod_uid.empty())
    metadata["ownerReferences"] = json::array{
        {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", options_.identity}, {"uid", options_.owner_pod_uid}}};
  return {
      {"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}, {"metadata", std::move(metadata)}, {"spec", spec()}};
}

// Every request goes through here: one at a time, and no waiting for ever.
void LeasePresence::sent() {
  epoch_++;
  in_flight_ = true;
  sent_at_ = Clock::now();
  on_the_way_ = std::exchange(unsent_, {});
  client_.after(attempt_at_most, [this, alive = std::weak_ptr(alive_), epoch = epoch_] {
    if (!alive.expired() && epoch == epoch_) failed(fail("no answer within {} ms", attempt_at_most.count()));
  });
}

void LeasePresence::create() {
  sent();
  if (takes_over_) {  // one of that name is there, of a process that this one follows
    client_.request("PATCH", lease_path(options_.space, options_.name), json::serialize(whole()),
                    "application/merge-patch+json", guarded(&LeasePresence::on_created));
    return;
  }
  client_.request("POST", lease_path(options_.space), json::serialize(whole()), "application/json",
                  guarded(&LeasePresence::on_created));
}

void LeasePresence::on_created(Result<Answer> answer) {
  if (answer && answer->status == 409 && !takes_over_) {
    takes_over_ = true;
    return create();
  }
  if (answer && answer->status == 404) takes_over_ = false;  // gone in between
  if (!answer || !answer->ok()) return failed(answer);
  auto lease = LeaseRecord::parse(answer->body);
  if (!lease) return failed(std::unexpected(lease.error()));
  if (const auto* uid = lease->metadata.if_contains("uid"); uid && uid->is_string()) uid_ = uid->get_string();
  there_ = true;
  on_written(std::move(answer));
}

void LeasePresence::write() {
  if (!there_) return create();
  sent();
  json::object patch{{"spec", spec()}};
  if (!on_the_way_.empty()) {
    json::object annotations;
    for (const auto& name : on_the_way_) annotations[name] = told_.at(name);
    patch["metadata"] = json::object{{"annotations", std::move(annotations)}};
  }
  client_.request("PATCH", lease_path(options_.space, options_.name), json::serialize(patch),
                  "application/merge-patch+json", guarded(&LeasePresence::on_written));
}

void LeasePresence::on_written(Result<Answer> answer) {
  if (answer && answer->status == 404) {  // somebody deleted it
    there_ = takes_over_ = false;
    uid_.clear();
    return create();
  }
  if (!answer || !answer->ok()) return failed(answer);
  if (std::exchange(failures_, 0) > failures_quiet)
    log::notice("this replica's lease is written again", {{"lease", options_.space + "/" + options_.name}});
  on_the_way_.clear();
  in_flight_ = false;
  again(unsent_.empty() ? options_.renew : between_writes);
}

void LeasePresence::failed(const Result<Answer>& answer) {
  if (++failures_ == failures_quiet + 1)
    log::warn("this replica's lease cannot be written",
              {{"lease", options_.space + "/" + options_.name},
               {"error", answer ? answer->reason() : answer.error().message}});
  unsent_.merge(on_the_way_);
  on_the_way_.clear();
  in_flight_ = false;
  again(std::max<milliseconds>(retry, answer ? answer->retry_after : std::chrono::seconds(0)));
}

// From the last request on.
void LeasePresence::again(milliseconds wait) {
  epoch_++;
  const auto left = std::chrono::ceil<milliseconds>(sent_at_ + wait - Clock::now());
  client_.after(std::max(left, milliseconds(0)), [this, alive = std::weak_ptr(alive_), epoch = epoch_] {
    if (!alive.expired() && epoch == epoch_) write();
  });
}

void LeasePresence::tell(const std::string& annotation, std::string value) {
  const auto at = told_.find(annotation);
  if (at != told_.end() && at->second == value) return;
  told_[annotation] = std::move(value);
  unsent_.insert(annotation);
  if (!in_flight_ && failures_ == 0) again(between_writes);
}

}  // namespace

std::unique_ptr<Presence> Presence::start(Client& client, Options options) {
  auto out = std::make_unique<LeasePresence>(client, std::move(options));
  out->start();
  return out;
}

}  // namespace weir::kube
