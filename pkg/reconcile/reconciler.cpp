#include "reconcile/reconciler.h"

#include <condition_variable>
#include <future>

#include "base/log.h"
#include "kube/lease.h"
#include "reconcile/loop.h"

namespace weir::reconcile {
namespace {

class Live final : public Reconciler {
 public:
  Live(Settings settings, std::function<void(Batch)> batch) : settings_(std::move(settings)), batch_(std::move(batch)) {
    // Outside of a pod: any name that no other process has.
    if (settings_.pod_name.empty()) settings_.pod_name = "weir-" + Uuid::random().text().substr(0, 8);
  }
  ~Live() override;

  Result<> start(kube::Access access);
  void adopted(std::uint64_t number, std::vector<Refusal> refused) override {
    client_->post([this, number, refused = std::move(refused)]() mutable {
      if (!loop_) return;
      loop_->adopted(number, std::move(refused));
      announce();
      refresh();
    });
  }
  Counts counts() const override;
  const metrics::Histogram& event_to_served() const override { return event_to_served_; }

 private:
  // Hands on what the informers say, and takes the counts after each burst.
  struct Handler final : kube::Informers::Handler {
    explicit Handler(Live& live) : live_(live) {}
    void changed(const Kind& kind, const Name& name) override {
      if (live_.loop_) live_.loop_->changed(kind, name);
    }
    void idle() override {
      if (!live_.loop_) return;
      live_.loop_->idle();
      live_.refresh();
    }
    Live& live_;
  };
  void begin();
  void announce();
  void refresh();
  void refresh_later();
  void end();

  Settings settings_;
  std::function<void(Batch)> batch_;
  metrics::Histogram event_to_served_{metrics::own_latency_bounds};
  std::unique_ptr<kube::Client> client_;
  // Of the kube thread.
  Handler handler_{*this};
  std::unique_ptr<kube::Informers> informers_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<kube::Election> election_;
  std::unique_ptr<kube::Presence> presence_;
  mutable std::mutex counts_mutex_;
  Counts counts_;
};

Result<> Live::start(kube::Access access) {
  auto client = kube::Client::start(std::move(access), {});
  if (!client) return std::unexpected(client.error());
  client_ = std::move(*client);
  client_->post([this] { begin(); });
  return {};
}

void Live::begin() {
  loop_ = std::make_unique<Loop>(*client_, settings_, batch_, event_to_served_);
  informers_ = kube::Informers::make(*client_, handler_);
  loop_->begin(*informers_);
  election_ = kube::Election::start(
      *client_, {.space = settings_.own_namespace, .name = std::string(election_lease), .identity = settings_.pod_name},
      [this](bool leads) {
        if (!loop_) return;
        loop_->leads(leads);
        refresh();
      });
  refresh_later();
}

// Others wait for this replica only once it serves everything.
void Live::announce() {
  if (presence_ || !loop_->served_all()) return;
  presence_ = kube::Presence::start(*client_, {.space = settings_.own_namespace,
                                               .name = presence_lease(settings_),
                                               .identity = settings_.pod_name,
                                               .labels = {{std::string(Replicas::label), "true"}},
                                               .owner_pod_uid = settings_.pod_uid});
  loop_->present(
      [this](std::string revisions) { presence_->tell(std::string(Replicas::annotation), std::move(revisions)); });
}

void Live::refresh() {
  Counts next;
  next.fault = election_ ? election_->fault() : "";
  loop_->count(next);
  next.watches = informers_->counts();
  // One watch that runs shows that the server is there.
  next.reachable = std::ranges::any_of(next.watches, [](const auto& watch) { return watch.second.fault.empty(); });
  std::lock_guard lock(counts_mutex_);
  counts_ = std::move(next);
}

// For what changes without an event: faults of watches, ages.
void Live::refresh_later() {
  client_->after(std::chrono::seconds(1), [this] {
    if (!loop_) return;
    refresh();
    refresh_later();
  });
}

Counts Live::counts() const {
  std::lock_guard lock(counts_mutex_);
  return counts_;
}

void Live::end() {
  presence_.reset();
  election_.reset();
  loop_.reset();
  informers_.reset();
}

Live::~Live() {
  if (!client_) return;
  // Leases are given back by requests; the client lets those that are on their way be answered.
  std::promise<void> ended;
  client_->post([&] {
    end();
    ended.set_value();
  });
  ended.get_future().wait();
  client_.reset();
}

}  // namespace

Result<std::unique_ptr<Reconciler>> Reconciler::start(kube::Access access, Settings settings,
                                                      std::function<void(Batch)> batch) {
  auto live = std::make_unique<Live>(std::move(settings), std::move(batch));
  if (auto started = live->start(std::move(access)); !started) return std::unexpected(started.error());
  return live;
}

}  // namespace weir::reconcile
