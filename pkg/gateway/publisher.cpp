#include "gateway/publisher.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/log.h"

namespace weir::gateway {

Publisher::Publisher(boost::asio::io_context& io, net::Resolver& resolver, plugin::Services& plugins)
    : io_(io), resolver_(resolver), plugins_(plugins), snapshot_(snapshot::compile(nullptr, {}, "")) {}

void Publisher::serve(std::vector<proxy::Worker*> workers) {
  workers_ = std::move(workers);
  publish([] {});
}

void Publisher::compile(const store::Changes& changes, std::string_view source,
                        std::span<const model::GatewayChange> gateway) {
  retired_.push_back(std::exchange(snapshot_, snapshot::compile(snapshot_, changes, source, &plugins_, gateway)));
}

void Publisher::invalidate(const std::optional<std::vector<std::string>>& keys) {
  for (auto* worker : workers_) worker->invalidate(keys);
}

void Publisher::publish(std::function<void()> adopted) {
  watch_names();
  if (workers_.empty()) return boost::asio::post(io_, std::move(adopted));
  struct Round {
    std::atomic<std::size_t> left;
    std::function<void()> adopted;
  };
  auto round = std::make_shared<Round>(workers_.size(), std::move(adopted));
  const auto started = std::chrono::steady_clock::now();
  const auto revision = snapshot_->revision();
  for (auto* worker : workers_) {
    worker->publish(snapshot_, [this, round, revision, started] {
      if (round->left.fetch_sub(1) != 1) return;  // the last worker reports for all
      boost::asio::post(io_, [this, round, revision, started] {
        adopted_revision_ = std::max(adopted_revision_, revision);
        last_change_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
        retire();
        round->adopted();
      });
    });
  }
}

// Upstreams' host names are resolved from the moment they are configured, so that their health can be shown and their
// first request does not wait. Plain service hosts are resolved by the worker that first needs them.
void Publisher::watch_names() {
  if (snapshot_->revision() == watched_revision_ + 1) {
    for (const auto slot : snapshot_->changed_backends()) watch_names_of(slot);
  } else if (snapshot_->revision() != watched_revision_) {
    snapshot::Slot end = snapshot_->backend_slots();
    for (const auto& [slot, names] : names_) end = std::max(end, slot + 1);
    for (snapshot::Slot slot = 0; slot < end; slot++) watch_names_of(slot);
  }
  watched_revision_ = snapshot_->revision();
}

void Publisher::watch_names_of(snapshot::Slot slot) {
  std::vector<std::string> wanted;
  const auto* backend = slot < snapshot_->backend_slots() ? snapshot_->backend(slot) : nullptr;
  if (backend && backend->is_upstream)
    for (const auto& target : backend->targets)
      if (!target->is_ip) wanted.push_back(target->host);
  const auto held = names_.find(slot);
  if (wanted.empty() && held == names_.end()) return;
  for (const auto& name : wanted) resolver_.watch(name);  // before unwatch, so that a name that stays is not forgotten
  if (held != names_.end())
    for (const auto& name : held->second) resolver_.unwatch(name);
  if (wanted.empty())
    names_.erase(slot);
  else
    names_[slot] = std::move(wanted);
}

void Publisher::retire() {
  std::erase_if(retired_, [](const auto& snapshot) { return snapshot.use_count() == 1; });
}

}  // namespace weir::gateway
