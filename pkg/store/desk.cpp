#include "store/desk.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/inbox.h"
#include "base/log.h"

namespace weir::store {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds idle_max{60'000};  // so that a clock that is wrong about `due` does no harm
// Work that was posted goes first, but not for ever: a flood of Admin requests must not keep changes of other nodes
// out.
constexpr int turns_before_following = 8;

bool same_faults(const std::vector<Fault>& a, const std::vector<Fault>& b) {
  return std::ranges::equal(a, b, [](const Fault& x, const Fault& y) {
    return x.schema == y.schema && x.id == y.id && x.message == y.message;
  });
}

class Thread final : public Desk {
 public:
  Thread(Postgres* postgres, std::function<void(Followed)> followed)
      : postgres_(postgres),
        followed_(std::move(followed)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        inbox_([this] { wake(); }) {
    WEIR_ASSERT(wake_ >= 0);
    thread_ = std::thread([this] { run(); });
  }
  ~Thread() override {
    // Behind all that was posted before it.
    inbox_.post([this] { ending_ = true; });
    thread_.join();
    ::close(wake_);
  }

  void post(Work work) override { inbox_.post(std::move(work)); }

 private:
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);  // fails only when it is awake anyway
  }

  // True when there was work.
  bool run_posted() {
    std::uint64_t count = 0;
    if (::read(wake_, &count, sizeof count) != sizeof count) return false;
    inbox_.run();
    return true;
  }

  // What comes first: the wake of a post, a notice of the database, or the time to look.
  void wait() {
    auto left = idle_max;
    if (postgres_ != nullptr)
      left = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(postgres_->due() - Clock::now()),
                        std::chrono::milliseconds(0), idle_max);
    pollfd watched[2] = {{wake_, POLLIN, 0}, {postgres_ != nullptr ? postgres_->fd() : -1, POLLIN, 0}};
    ::poll(watched, 2, static_cast<int>(left.count()));
    noticed_ = watched[1].revents != 0;
  }

  void follow() {
    auto followed = postgres_->follow();
    if (followed.changes.empty() && followed.keys.empty() && followed.committed_at.empty() && !followed.all_stale &&
        same_faults(followed.faults, faults_))
      return;
    faults_ = followed.faults;
    followed_(std::move(followed));
  }

  void run() {
    while (!ending_) {
      wait();
      bool worked = false;
      for (int turn = 0; turn < turns_before_following && run_posted(); turn++) worked = true;
      if (postgres_ == nullptr || ending_) continue;
      if (worked || noticed_ || postgres_->due() <= Clock::now()) follow();
    }
    run_posted();  // what the last work posted
  }

  Postgres* postgres_;
  std::function<void(Followed)> followed_;
  int wake_;
  Inbox inbox_;
  std::vector<Fault> faults_;  // as told last
  bool noticed_ = false, ending_ = false;
  std::thread thread_;
};

// ---- looking rows up on a desk --------------------------------------------------------------------------------------

// Rows with a ttl show what is left of it.
double expiry_of(const Schema& schema, const std::vector<Row>& rows, double now) {
  double out = 0;
  if (schema.field("ttl") == nullptr) return out;
  for (const auto& row : rows) {
    const auto* ttl = row->if_contains("ttl");
    if (ttl == nullptr || !ttl->is_number()) continue;
    const double until = now + ttl->to_number<double>();
    out = out == 0 ? until : std::min(out, until);
  }
  return out;
}

class DeskLookup final : public Lookup {
 public:
  DeskLookup(Desk& desk, Store& store) : desk_(desk), store_(store) {}

  void find(const LookupKey& key, std::function<void(Found, double)> done) override {
    desk_.post([&store = store_, schema = key.schema, field = std::string(key.field), value = std::string(key.value),
                done = std::move(done)] {
      const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
      auto found = store.find_all(*schema, field, value);
      if (!found) {
        log::warn("rows could not be looked up", {{"entity", schema->name()}, {"error", found.error().message}});
        return done({true, {}}, 0);
      }
      std::vector<Row> rows;
      rows.reserve(found->size());
      for (auto& row : *found) rows.push_back(std::make_shared<const Object>(std::move(row)));
      const double expires_at = expiry_of(*schema, rows, now);
      done({false, std::move(rows)}, expires_at);
    });
  }

 private:
  Desk& desk_;
  Store& store_;
};

}  // namespace

std::unique_ptr<Desk> Desk::start(Postgres* postgres, std::function<void(Followed)> followed) {
  return std::make_unique<Thread>(postgres, std::move(followed));
}

std::unique_ptr<Lookup> desk_lookup(Desk& desk, Store& store) {
  return std::make_unique<DeskLookup>(desk, store);
}

}  // namespace weir::store
