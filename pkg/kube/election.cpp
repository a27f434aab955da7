#include "base/log.h"
#include "kube/lease.h"
#include "kube/lease_record.h"
#include "kube/moment.h"

namespace weir::kube {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

// An attempt that has no answer by then is not waited for: the next one may reach the server.
constexpr milliseconds attempt_at_most{5'000};

class LeaseElection final : public Election {
 public:
  LeaseElection(Client& client, Options options, std::function<void(bool)> changed)
      : client_(client), options_(std::move(options)), changed_(std::move(changed)) {}
  ~LeaseElection() override {
    if (leads_ && known_) put(LeaseRecord::released(*known_), [](Result<Answer>) {});
  }
  void start() { attempt(); }
  bool leads() const override { return leads_; }
  const std::string& fault() const override { return fault_; }

 private:
  void attempt();
  void on_read(Result<Answer>);
  void take();
  void on_written(Result<Answer>);
  void observe(LeaseRecord);
  void lost_touch();
  void refused(const char* verb, const Result<Answer>&);
  void set_leads(bool);
  void again(milliseconds);
  bool held_by_another() const;
  void put(const LeaseRecord&, Client::Done);
  template <class Then>
  auto guarded(Then then) {
    return [this, alive = std::weak_ptr(alive_), epoch = epoch_, then](Result<Answer> answer) {
      if (!alive.expired() && epoch == epoch_) (this->*then)(std::move(answer));
    };
  }

  Client& client_;
  const Options options_;
  const std::function<void(bool)> changed_;
  const std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::uint64_t epoch_ = 0;  // one attempt

  bool leads_ = false;
  std::string fault_;
  std::optional<LeaseRecord> known_;  // as it was seen last
  Clock::time_point seen_at_{};       // when it was last seen to differ; other clocks do not count
  Clock::time_point attempt_at_{}, renewed_at_{};
};

void LeaseElection::attempt() {
  epoch_++;
  attempt_at_ = Clock::now();
  const auto limit = std::min(attempt_at_most, options_.renew_deadline / 2);
  client_.after(limit, [this, alive = std::weak_ptr(alive_), epoch = epoch_, limit] {
    if (alive.expired() || epoch != epoch_) return;
    refused("reach", fail("no answer within {} ms", limit.count()));
  });
  // The leader writes at once: it knows what is there.
  if (leads_ && known_) return take();
  client_.request("GET", lease_path(options_.space, options_.name), {}, {}, guarded(&LeaseElection::on_read));
}

void LeaseElection::on_read(Result<Answer> answer) {
  if (answer && answer->status == 404) {
    known_.reset();
    return take();
  }
  if (!answer || !answer->ok()) return refused("read", answer);
  auto record = LeaseRecord::parse(answer->body);
  if (!record) return refused("read", std::unexpected(record.error()));
  observe(std::move(*record));
  if (held_by_another()) {
    fault_.clear();
    lost_touch();
    return again(options_.retry);
  }
  take();
}

void LeaseElection::observe(LeaseRecord record) {
  if (!known_ || !known_->same_state(record)) seen_at_ = Clock::now();
  known_ = std::move(record);
}

bool LeaseElection::held_by_another() const {
  return !known_->holder.empty() && known_->holder != options_.identity &&
         Clock::now() < seen_at_ + std::chrono::seconds(known_->duration_seconds);
}

void LeaseElection::take() {
  const auto now = std::chrono::system_clock::now();
  const auto seconds = std::max<std::int64_t>(1, std::chrono::ceil<std::chrono::seconds>(options_.duration).count());
  if (!known_) {
    LeaseRecord record;
    record.take(options_.identity, seconds, now);
    const auto body = record.print(options_.space, options_.name);
    client_.request("POST", lease_path(options_.space), body, "application/json", guarded(&LeaseElection::on_written));
    return;
  }
  auto record = *known_;
  record.take(options_.identity, seconds, now);
  put(record, guarded(&LeaseElection::on_written));
}

void LeaseElection::put(const LeaseRecord& record, Client::Done done) {
  client_.request("PUT", lease_path(options_.space, options_.name), record.print(options_.space, options_.name),
                  "application/json", std::move(done));
}

void LeaseElection::on_written(Result<Answer> answer) {
  if (answer && (answer->status == 409 || answer->status == 404)) {
    // Somebody wrote in between: read what it is now, soon.
    fault_.clear();
    known_.reset();
    lost_touch();
    return again(options_.retry / 10);
  }
  if (!answer || !answer->ok()) return refused("write", answer);
  auto record = LeaseRecord::parse(answer->body);
  if (!record) return refused("write", std::unexpected(record.error()));
  observe(std::move(*record));
  fault_.clear();
  renewed_at_ = attempt_at_;
  again(options_.retry);
  client_.after(std::chrono::ceil<milliseconds>(renewed_at_ + options_.renew_deadline - Clock::now()),
                [this, alive = std::weak_ptr(alive_)] {
                  if (!alive.expired()) lost_touch();
                });
  set_leads(true);
}

// No longer leading once the deadline is over, or at once when somebody else is known to hold the lease.
void LeaseElection::lost_touch() {
  if (!leads_) return;
  const bool taken = known_ && !known_->holder.empty() && known_->holder != options_.identity;
  if (taken || Clock::now() >= renewed_at_ + options_.renew_deadline) set_leads(false);
}

void LeaseElection::refused(const char* verb, const Result<Answer>& answer) {
  fault_ = fmt::format("cannot {} lease {}/{}: {}", verb, options_.space, options_.name,
                       answer ? answer->reason() : answer.error().message);
  if (answer && answer->status == 404) known_.reset();
  lost_touch();
  again(std::max<milliseconds>(options_.retry, answer ? answer->retry_after : std::chrono::seconds(0)));
}

void LeaseElection::set_leads(bool leads) {
  if (std::exchange(leads_, leads) == leads) return;
  log::notice(leads ? "this replica leads" : "this replica leads no longer",
              {{"lease", options_.space + "/" + options_.name}, {"identity", options_.identity}});
  changed_(leads);
}

// Those who wait for the lease come at times of their own, so that not all write at once.
void LeaseElection::again(milliseconds wait) {
  epoch_++;
  if (!leads_) wait += milliseconds(random_up_to(static_cast<std::uint64_t>(wait.count())));
  client_.after(wait, [this, alive = std::weak_ptr(alive_), epoch = epoch_] {
    if (!alive.expired() && epoch == epoch_) attempt();
  });
}

}  // namespace

std::unique_ptr<Election> Election::start(Client& client, Options options, std::function<void(bool leads)> changed) {
  auto out = std::make_unique<LeaseElection>(client, std::move(options), std::move(changed));
  out->start();
  return out;
}

}  // namespace weir::kube
