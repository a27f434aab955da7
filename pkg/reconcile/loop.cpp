#include "reconcile/loop.h"

#include "base/log.h"

namespace weir::reconcile {

std::vector<UnitKind> all_units() {
  auto out = weir_units();
  for (auto* more : {&ingress_units, &gateway_units}) std::ranges::move(more(), std::back_inserter(out));
  return out;
}

std::vector<Kind> followed_kinds() {
  return {kinds::secret, kinds::config_map, kinds::custom_resource_definition};
}

std::string presence_lease(const Settings& settings) {
  return "weir-" + settings.pod_name;
}

Loop::Loop(kube::Client& client, const Settings& settings, std::function<void(Batch)> batch,
           metrics::Histogram& event_to_served, std::vector<UnitKind> units)
    : client_(client),
      settings_(settings),
      batch_(std::move(batch)),
      event_to_served_(event_to_served),
      unit_kinds_(std::move(units)),
      replicas_(presence_lease(settings)) {}

void Loop::begin(kube::Informers& informers) {
  informers_ = &informers;
  table_ = std::make_unique<UnitTable>(informers, settings_, unit_kinds_, read_kinds(), followed_kinds());
  writes_ = std::make_unique<Writes>(client_, informers);
  event_writes_ = std::make_unique<Writes>(client_, informers);
  const auto leads = [this] { return leads_; };
  statuses_ = std::make_unique<Statuses>(informers, *writes_, replicas_, settings_, leads);
  applied_ = std::make_unique<AppliedObjects>(informers, *writes_,
                                              std::vector<Kind>{kinds::service, kinds::endpoint_slice}, leads);
  events_ = std::make_unique<Events>(informers, *event_writes_, settings_.pod_name);

  std::vector<Kind> watched;
  for (const auto& unit : unit_kinds_) watched.push_back(unit.kind);
  for (const auto& kind : read_kinds())
    if (std::ranges::find(watched, kind) == watched.end()) watched.push_back(kind);
  for (const auto& kind : watched)
    informers.watch(
        kind, {.space = kind.namespaced ? settings_.watch_namespace : "", .label_selector = "", .field_selector = ""});
  informers.watch(kinds::lease, {.space = settings_.own_namespace,
                                 .label_selector = fmt::format("{}=true", Replicas::label),
                                 .field_selector = ""});
}

void Loop::leads(bool leads) {
  if (leads == leads_) return;
  leads_ = leads;
  log::notice(leads ? "leader: this replica writes status" : "not the leader any more", {});
  if (!leads) {
    statuses_->clear();
    writes_->clear();
    event_writes_->clear();
    return;
  }
  // The one before may not have come to all of them.
  table_->mark_all(now());
  sweep_ = true;
  run();
}

// --- from objects to batches ---

void Loop::changed(const Kind& kind, const Name& name) {
  if (kind == kinds::lease) {
    const auto lease = informers_->get(kind, name);
    replicas_.seen(name, lease ? &*lease : nullptr, now());
    return;
  }
  table_->changed(kind, name, now(), leads_);
  applied_->changed(kind, name);
}

void Loop::idle() {
  run();
  step();
  tell_served();
}

void Loop::run() {
  if (running_ || !informers_->synced()) return;
  if (synced_at_ == Instant{}) synced_at_ = now();
  if (out_.size() >= batches_out_max) return;  // adopted() goes on
  running_ = true;
  if (!complete_out_) {
    auto turn = table_->turn(units_a_turn, UnitTable::Hold::yes);
    take(turn);
    const bool answered = table_->waiting() == 0 || now() - synced_at_ > answers_max;
    if (table_->marked() == 0 && answered) {
      if (table_->waiting() != 0)
        log::warn("objects that are referred to are not known yet", {{"units", table_->waiting()}});
      complete_out_ = true;
      table_->complete_next();
    } else if (table_->marked() == 0) {
      arm();
    }
  }
  if (complete_out_) {
    auto turn = table_->turn(units_a_turn);
    if (turn.batch) hand_out(std::move(*turn.batch), turn.oldest_event);
    take(turn);
    if (table_->marked() == 0) {
      checkpoint();
      if (leads_ && std::exchange(sweep_, false)) applied_->sweep();
    }
  }
  running_ = false;
  if (table_->marked() == 0 || std::exchange(run_posted_, true)) return;
  // In between, others have their turn.
  client_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    run_posted_ = false;
    run();
    step();
  });
}

void Loop::hand_out(Batch batch, Instant oldest_event) {
  auto& out = out_.emplace_back();
  out.number = batch.number;
  out.complete = batch.complete;
  out.oldest_event = oldest_event;
  for (const auto& change : batch.entities) out.ids.push_back(change.id);
  for (const auto& change : batch.gateway) out.ids.push_back(change.id);
  ++batches_;
  if (batch.complete)
    log::notice("Kubernetes is read", {{"entities", batch.entities.size()}, {"pieces", batch.gateway.size()}});
  batch_(std::move(batch));
}

void Loop::take(Turn& turn) {
  for (const auto& [kind, name] : turn.gone) {
    statuses_->forget(kind, name);
    events_->forget(kind, name);
    applied_->want(kind, name, {});
  }
  for (auto& unit : turn.units) {
    if (!(unit.kind == kinds::service)) applied_->want(unit.kind, unit.name, unit.applied);
    if (!leads_) continue;
    // What was refused for still is, until the batch says otherwise.
    if (!unit.fault.empty() || refusal(unit.kind, unit.name).empty())
      events_->tell(unit.kind, unit.name, unit.generation, unit.fault_reason, unit.fault, now());
    statuses_->expect(std::move(unit));
  }
}

// --- what is served ---

void Loop::checkpoint() {
  Checkpoint next{table_->last_batch(), {}};
  for (const auto& unit : unit_kinds_) next.revisions[kind_key(unit.kind)] = informers_->revision(unit.kind);
  if (!checkpoints_.empty() && checkpoints_.back().number == next.number) checkpoints_.pop_back();
  checkpoints_.push_back(std::move(next));
}

void Loop::tell_served() {
  if (!complete_adopted_) return;
  while (checkpoints_.size() > 1 && checkpoints_[1].number <= adopted_) checkpoints_.pop_front();
  if (checkpoints_.empty() || checkpoints_.front().number > adopted_ || !tell_) return;
  // Nobody reads it where there is no other replica.
  if (replicas_.others() == 0 && !told_.empty()) return;
  auto text = print_revisions(checkpoints_.front().revisions);
  if (text == told_) return;
  told_ = text;
  tell_(std::move(text));
}

void Loop::adopted(std::uint64_t number, std::vector<Refusal> refused) {
  const auto at = now();
  while (!out_.empty() && out_.front().number <= number) {
    const auto& out = out_.front();
    for (const auto& id : out.ids) refused_.erase(id);
    if (out.complete)
      complete_adopted_ = true;
    else if (out.oldest_event != Instant{} && out.oldest_event != Instant::max())
      event_to_served_.observe_us(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(at - out.oldest_event).count()));
    out_.pop_front();
  }
  adopted_ = std::max(adopted_, number);
  for (auto& each : refused) {
    if (leads_)
      for (const auto& [kind, name] : table_->owners(each.id))
        events_->tell(kind, name, 0, "Invalid", each.message, at);
    refused_[each.id] = std::move(each.message);
  }
  step();
  tell_served();
  if (table_->marked() != 0) run();
}

std::string Loop::refusal(const Kind& kind, const Name& name) const {
  for (const auto& [id, message] : refused_)
    for (const auto& [owner_kind, owner] : table_->owners(id))
      if (owner_kind == kind && owner == name) return message;
  return {};
}

void Loop::step() {
  replicas_.age_out(now());
  if (complete_adopted_ && leads_)
    statuses_->step(adopted_, [this](const Kind& kind, const Name& name) { return refusal(kind, name); }, now());
  if (statuses_->waiting() != 0 || replicas_.others() != 0) arm();
}

void Loop::arm() {
  if (std::exchange(tick_armed_, true)) return;
  client_.after(tick, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    tick_armed_ = false;
    if (!complete_out_) run();
    step();
    tell_served();
  });
}

void Loop::count(Counts& counts) const {
  counts.units = table_->units();
  counts.translations = table_->translations();
  counts.faulty_units = table_->faulty() + refused_.size();
  counts.queue = table_->marked();
  counts.batches = batches_;
  counts.status_writes = writes_->written();
  counts.status_faults = writes_->faults();
  counts.status_queue = statuses_->waiting() + writes_->waiting();
  counts.replicas = replicas_.others() + 1;
  counts.synced = complete_out_;
  counts.leader = leads_;
  if (counts.fault.empty()) counts.fault = writes_->fault();
  counts.faults = table_->faults(100);
}

}  // namespace weir::reconcile
