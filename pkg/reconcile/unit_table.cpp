#include "reconcile/unit_table.h"

#include "base/log.h"
#include "reconcile/backends.h"
#include "reconcile/fields.h"

namespace weir::reconcile {

// Notes what a translation reads.
class UnitTable::Looking final : public View {
 public:
  explicit Looking(UnitTable& table) : table_(table) {}

  std::optional<Object> get(const Kind& kind, const Name& name) override {
    const auto index = table_.index(kind);
    if (!index) return std::nullopt;
    reads.push_back({*index, Reading::object, name});
    if (table_.followed_[*index] && !table_.informers_.known(kind, name)) {
      // Not asked for before, or not answered yet. Whatever it will be, this translation does not count.
      known = false;
      return std::nullopt;
    }
    return table_.informers_.get(kind, name);
  }
  void each(const Kind& kind, std::string_view space,
            const std::function<void(const Name&, const Object&)>& call) override {
    const auto index = table_.index(kind);
    if (!index) return;
    reads.push_back({*index, space.empty() ? Reading::all : Reading::in_space, Name{std::string(space), {}}});
    table_.informers_.each(kind, space, [&](const Name& name) {
      if (const auto object = table_.informers_.get(kind, name)) call(name, *object);
    });
  }
  std::vector<Object> slices(const Name& service) override {
    reads.push_back({0, Reading::slices, service});
    std::vector<Object> out;
    const auto at = table_.slices_of_service_.find(service);
    if (at == table_.slices_of_service_.end()) return out;
    for (const auto& name : at->second)
      if (auto slice = table_.informers_.get(kinds::endpoint_slice, Name{service.space, name}))
        out.push_back(std::move(*slice));
    return out;
  }
  std::optional<Object> labels_of_namespace(const std::string& space) override {
    const auto object = get(kinds::namespace_, Name{{}, space});
    if (!object) return std::nullopt;
    const auto* metadata = fields::object_at(*object, "metadata");
    const auto* labels = metadata ? fields::object_at(*metadata, "labels") : nullptr;
    return labels ? *labels : Object();
  }
  std::map<std::string, std::size_t> told(const Kind& kind, const Name& name) override {
    const auto index = table_.index(kind);
    if (!index) return {};
    reads.push_back({*index, Reading::told, name});
    const auto at = table_.told_.find(reads.back());
    return at == table_.told_.end() ? std::map<std::string, std::size_t>() : at->second;
  }
  const Settings& settings() const override { return table_.settings_; }

  std::vector<Read> reads;
  bool known = true;

 private:
  UnitTable& table_;
};

namespace {

bool precedes(const Unit* a, const Unit* b) {
  if (a->kind != b->kind) return a->kind < b->kind;
  if (a->name != b->name) return a->name < b->name;
  return a->backend && b->backend && *a->backend < *b->backend;
}

}  // namespace

bool UnitTable::Before::operator()(const Unit* a, const Unit* b) const {
  return precedes(a, b);
}

UnitTable::UnitTable(kube::Informers& informers, const Settings& settings, std::vector<UnitKind> kinds,
                     std::vector<Kind> read, std::vector<Kind> followed)
    : informers_(informers),
      settings_(settings),
      unit_kinds_(std::move(kinds)),
      dependencies_([this](const Read& read, bool first) {
        if (read.reading != Reading::object || !followed_[read.kind]) return;
        if (first)
          informers_.watch_object(kinds_[read.kind], read.name);
        else
          informers_.forget_object(kinds_[read.kind], read.name);
      }),
      ledger_(precedes) {
  for (const auto& unit : unit_kinds_) kinds_.push_back(unit.kind);
  for (const auto* list : {&read, &followed})
    for (const auto& kind : *list)
      if (!index(kind)) kinds_.push_back(kind);
  for (const auto& kind : kinds_) followed_.push_back(std::ranges::find(followed, kind) != followed.end());
  backend_kind_ = static_cast<std::uint16_t>(kinds_.size());
}

UnitTable::~UnitTable() = default;

std::optional<std::uint16_t> UnitTable::index(const Kind& kind) const {
  const auto at = std::ranges::find(kinds_, kind);
  if (at == kinds_.end()) return std::nullopt;
  return static_cast<std::uint16_t>(at - kinds_.begin());
}

// --- what is to be translated ---

void UnitTable::mark(Unit& unit, Marked& list, Instant now) {
  if (unit.marked) {
    // One that waited with the others comes first once its own object changed.
    if (&list != &urgent_ || !others_.erase(&unit)) return;
  } else {
    unit.marked_at = now;
  }
  unit.marked = true;
  list.insert(&unit);
}

void UnitTable::mark_readers(const Read& read, Instant now) {
  for (auto* unit : dependencies_.readers(read)) mark(*unit, unit->backend ? endpoints_ : others_, now);
}

void UnitTable::mark_all(Instant now) {
  for (auto& [key, unit] : units_) mark(*unit, others_, now);
}

void UnitTable::changed(const Kind& kind, const Name& name, Instant now, bool own_status) {
  const auto at = index(kind);
  if (!at) return;
  if (kind == kinds::endpoint_slice) changed_slice(name, now);
  if (*at < unit_kinds_.size()) {
    const auto object = informers_.get(kind, name);
    auto& unit = units_[{*at, name}];
    if (!object && !unit) {
      units_.erase({*at, name});
      return;
    }
    if (!unit) {
      unit = std::make_unique<Unit>();
      unit->kind = *at;
      unit->name = name;
    }
    const auto content = object ? digest_of_content(*object) : Digest{};
    // Only its status differs: nobody reads that but who writes it.
    if (object && unit->content == content) {
      if (own_status) mark(*unit, others_, now);
      return;
    }
    unit->content = content;
    mark(*unit, urgent_, now);
  }
  mark_readers({*at, Reading::object, name}, now);
  mark_readers({*at, Reading::in_space, Name{name.space, {}}}, now);
  mark_readers({*at, Reading::all, {}}, now);
}

void UnitTable::changed_slice(const Name& name, Instant now) {
  const auto object = informers_.get(kinds::endpoint_slice, name);
  const auto service = object ? std::string(fields::label(*object, "kubernetes.io/service-name")) : std::string();
  const auto at = service_of_slice_.find(name);
  if (at != service_of_slice_.end() && at->second != service) {
    const Name old{name.space, at->second};
    const auto slices = slices_of_service_.find(old);
    slices->second.erase(name.name);
    if (slices->second.empty()) slices_of_service_.erase(slices);
    service_of_slice_.erase(at);
    mark_readers({0, Reading::slices, old}, now);
  }
  if (service.empty()) return;
  const Name owner{name.space, service};
  service_of_slice_.insert_or_assign(name, service);
  slices_of_service_[owner].insert(name.name);
  mark_readers({0, Reading::slices, owner}, now);
}

Unit* UnitTable::next_marked() {
  for (auto* list : {&endpoints_, &urgent_, &others_}) {
    if (list->empty()) continue;
    auto* unit = *list->begin();
    list->erase(list->begin());
    unit->marked = false;
    return unit;
  }
  return nullptr;
}

// --- translating ---

Turn UnitTable::turn(std::size_t most, Hold hold) {
  Turn out;
  oldest_ = Instant::max();
  for (std::size_t i = 0; i < most; ++i) {
    auto* unit = next_marked();
    if (!unit) break;
    translate(*unit, out);
  }
  // What these need of Services comes with them.
  while (!endpoints_.empty()) translate(*next_marked(), out);
  const bool held = hold == Hold::yes;
  if (!held && (!changes_.empty() || !gateway_changes_.empty() || complete_)) {
    out.batch = batch();
    out.oldest_event = oldest_;
  }
  for (auto& unit : out.units) unit.number = held ? number_ + 1 : number_;
  return out;
}

Output UnitTable::run(Unit& unit, const Object* object, bool& known) {
  Looking view(*this);
  Output output;
  ++translations_;
  try {
    output = unit.backend ? translate_backend(*unit.backend, view)
                          : unit_kinds_[unit.kind].translate(unit.name, *object, view);
  } catch (const std::exception& fault) {
    // Whatever is in an object, it must not end more than its own translation.
    log::error("translation failed", {{"object", unit.name.text()}, {"error", fault.what()}});
    output = Output{};
    output.keep_last = true;
    output.fault_reason = "Invalid";
    output.fault = fmt::format("not understood: {}", fault.what());
  }
  known = view.known;
  dependencies_.replace(unit, unit.reads, std::move(view.reads));
  return output;
}

void UnitTable::translate(Unit& unit, Turn& turn) {
  const auto marked_at = unit.marked_at;
  const auto emitted = changes_.size() + gateway_changes_.size();
  const auto object = unit.backend ? std::optional<Object>() : informers_.get(unit_kinds_[unit.kind].kind, unit.name);
  if (unit.backend ? unit.needed == 0 : !object) {
    if (!unit.backend) turn.gone.emplace_back(unit_kinds_[unit.kind].kind, unit.name);
    erase(unit);
    if (emitted != changes_.size() + gateway_changes_.size()) oldest_ = std::min(oldest_, marked_at);
    return;
  }
  bool known = true;
  auto output = run(unit, object ? &*object : nullptr, known);
  if (known == unit.waiting) unit.waiting = !known, waiting_ += known ? std::size_t(-1) : 1;
  if (!known) return;

  Translated result;
  result.kind = unit.backend ? kinds::service : unit_kinds_[unit.kind].kind;
  result.name = unit.backend ? unit.backend->service : unit.name;
  if (object) {
    const auto generation = fields::generation(*object);
    const auto uid = Uuid::parse(fields::meta(*object, "uid")).value_or(Uuid{});
    if (generation != unit.generation || uid != unit.uid) unit.revision = fields::revision(*object);
    unit.generation = generation;
    unit.uid = uid;
  }
  result.generation = unit.generation;
  result.revision = unit.revision;
  result.status = std::move(output.status);
  result.applied = std::move(output.applied);
  result.fault_reason = output.fault_reason;
  result.fault = output.fault;
  set_fault(unit, std::move(output.fault_reason), std::move(output.fault));
  take(unit, std::move(output));
  if (emitted != changes_.size() + gateway_changes_.size()) oldest_ = std::min(oldest_, marked_at);
  turn.units.push_back(std::move(result));
}

// --- what differs ---

void UnitTable::take(Unit& unit, Output&& output) {
  take_tells(unit, output.tells);
  take_backends(unit, output.backends, output.keep_last);
  if (output.keep_last) return;
  std::vector<Unit::Made> made;
  const auto seen = [&](const Uuid& id) { return std::ranges::find(made, id, &Unit::Made::id) != made.end(); };
  made.reserve(output.entities.size() + output.gateway.size());
  // Thousands of targets are found by a set, a few entities by looking at them.
  std::set<Uuid> ids;
  const bool many = output.entities.size() + output.gateway.size() > 32;
  const auto add = [&](const Uuid& id, const Digest& digest) {
    if (many ? !ids.insert(id).second : seen(id)) return false;
    made.push_back({id, digest});
    return true;
  };
  for (auto& entity : output.entities) {
    const auto digest = digest_of_entity(entity.now);
    if (add(entity.id, digest) && ledger_.declare(unit, entity.id, entity.schema, digest))
      changes_.insert_or_assign(entity.id,
                                store::Change{entity.schema, entity.id, std::move(entity.now), {}, output.by});
  }
  for (auto& piece : output.gateway) {
    const auto digest = piece.entry ? digest_of(*piece.entry) : digest_of(*piece.route);
    if (add(piece.id, digest) && ledger_.declare(unit, piece.id, nullptr, digest))
      gateway_changes_.insert_or_assign(piece.id, std::move(piece));
  }
  std::ranges::sort(made, {}, &Unit::Made::id);
  made.swap(unit.made);
  for (const auto& old : made)
    if (!std::ranges::binary_search(unit.made, old.id, {}, &Unit::Made::id)) drop(unit, old.id);
}

void UnitTable::drop(Unit& unit, const Uuid& id) {
  const auto dropped = ledger_.drop(unit, id);
  if (dropped.deleted) {
    if (dropped.schema)
      changes_.insert_or_assign(id, store::Change{dropped.schema, id, std::nullopt, {}, {}});
    else
      gateway_changes_.insert_or_assign(id, model::GatewayChange{id, nullptr, nullptr});
  }
  if (!dropped.heir) return;
  const auto& made = dropped.heir->made;
  const auto at = std::ranges::lower_bound(made, id, {}, &Unit::Made::id);
  if (at != made.end() && at->id == id && at->digest != dropped.served) mark(*dropped.heir, urgent_, unit.marked_at);
}

void UnitTable::take_backends(Unit& unit, const std::vector<Backend>& wanted, bool keep) {
  std::vector<Unit*> next;
  if (keep) next = unit.backends;
  for (const auto& backend : wanted) {
    auto& made = backends_[backend];
    if (!made) {
      made = std::make_unique<Unit>();
      made->kind = backend_kind_;
      made->name = backend.service;
      made->backend = std::make_unique<Backend>(backend);
    }
    next.push_back(made.get());
  }
  std::ranges::sort(next);
  next.erase(std::unique(next.begin(), next.end()), next.end());
  for (auto* backend : next) {
    if (std::ranges::binary_search(unit.backends, backend)) continue;
    if (backend->needed++ == 0) mark(*backend, endpoints_, unit.marked_at);
  }
  for (auto* backend : unit.backends)
    if (!std::ranges::binary_search(next, backend)) release(*backend, unit.marked_at);
  unit.backends = std::move(next);
}

// At the end of this turn it goes, unless another unit wants it by then.
void UnitTable::release(Unit& backend, Instant now) {
  if (--backend.needed == 0) mark(backend, endpoints_, now);
}

void UnitTable::take_tells(Unit& unit, const std::vector<Tell>& wanted) {
  std::vector<std::pair<Read, std::string>> next;
  for (const auto& tell : wanted)
    if (const auto at = index(tell.about)) next.emplace_back(Read{*at, Reading::told, tell.name}, tell.text);
  std::ranges::sort(next);
  next.erase(std::unique(next.begin(), next.end()), next.end());
  const auto now = unit.marked_at;
  for (const auto& tell : next) {
    if (std::ranges::binary_search(unit.tells, tell)) continue;
    ++told_[tell.first][tell.second];
    mark_readers(tell.first, now);
  }
  for (const auto& tell : unit.tells) {
    if (std::ranges::binary_search(next, tell)) continue;
    const auto about = told_.find(tell.first);
    const auto count = about->second.find(tell.second);
    if (--count->second == 0) about->second.erase(count);
    if (about->second.empty()) told_.erase(about);
    mark_readers(tell.first, now);
  }
  unit.tells = std::move(next);
}

void UnitTable::set_fault(Unit& unit, std::string reason, std::string fault) {
  if (unit.fault.empty() != fault.empty()) faulty_ += fault.empty() ? std::size_t(-1) : 1;
  unit.fault_reason = std::move(reason);
  unit.fault = std::move(fault);
}

void UnitTable::erase(Unit& unit) {
  Output nothing;
  take(unit, std::move(nothing));
  dependencies_.replace(unit, unit.reads, {});
  set_fault(unit, {}, {});
  if (unit.waiting) --waiting_;
  // A unit that told itself something, or shared with itself, may have been marked again by this.
  for (auto* list : {&endpoints_, &urgent_, &others_}) list->erase(&unit);
  if (unit.backend)
    backends_.erase(Backend(*unit.backend));
  else
    units_.erase(Key(unit.kind, unit.name));
}

Batch UnitTable::batch() {
  Batch out;
  out.number = ++number_;
  out.complete = std::exchange(complete_, false);
  std::unordered_map<const model::Schema*, std::ptrdiff_t> order;
  for (std::size_t i = 0; i < model::schemas().size(); ++i) order[model::schemas()[i]] = static_cast<std::ptrdiff_t>(i);
  out.entities.reserve(changes_.size());
  for (auto& [id, change] : changes_) out.entities.push_back(std::move(change));
  // Parents before children; what is deleted comes last, children before parents.
  const auto rank = [&](const store::Change& change) {
    const auto place = order[change.schema];
    return change.now ? std::pair(0, place) : std::pair(1, -place);
  };
  std::ranges::sort(out.entities, [&](const auto& a, const auto& b) {
    const auto one = rank(a), other = rank(b);
    return one != other ? one < other : a.id < b.id;
  });
  for (auto& [id, change] : gateway_changes_) out.gateway.push_back(std::move(change));
  std::ranges::sort(out.gateway, {}, &model::GatewayChange::id);
  changes_.clear();
  gateway_changes_.clear();
  return out;
}

// --- what others ask ---

std::vector<std::pair<Kind, Name>> UnitTable::owners(const Uuid& id) const {
  std::vector<std::pair<Kind, Name>> out;
  for (const auto* unit : ledger_.owners(id))
    if (unit->backend)
      out.emplace_back(kinds::service, unit->name);
    else
      out.emplace_back(kinds_[unit->kind], unit->name);
  return out;
}

std::vector<store::Fault> UnitTable::faults(std::size_t most) const {
  std::vector<store::Fault> out;
  const auto add = [&](const Unit& unit) {
    if (unit.fault.empty() || out.size() >= most) return;
    out.push_back(
        {std::string(unit.backend ? kinds::service.kind : kinds_[unit.kind].kind), unit.name.text(), unit.fault});
  };
  if (faulty_ == 0) return out;
  for (const auto& [key, unit] : units_) add(*unit);
  for (const auto& [key, unit] : backends_) add(*unit);
  return out;
}

}  // namespace weir::reconcile
