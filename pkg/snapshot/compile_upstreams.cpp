// Upstreams, their targets, and the names that lead to them.
#include <cmath>

#include "base/text.h"
#include "model/entities.h"
#include "snapshot/compiler.h"

namespace weir::snapshot {
namespace {

std::string target_key(const CompiledTarget& target) {
  auto key = id_bytes(target.upstream);
  for (int shift = 56; shift >= 0; shift -= 8)
    key += static_cast<char>((static_cast<std::uint64_t>(target.created_at) ^ (1ull << 63)) >> shift);
  return key + id_bytes(target.target.origin.id);
}

}  // namespace

template <class Visit>
void Compiler::each_target_of(const Uuid& upstream, Visit&& visit) {
  t_.targets_of_upstream.for_each_under(Nibbles(upstream), [&](const auto& target) {
    visit(*target);
    return false;
  });
}

void Compiler::apply_upstream(const store::Change& change) {
  const auto* known = t_.upstreams.find(Nibbles(change.id));
  const auto old = known ? *known : nullptr;
  if (old) {
    t_.upstreams_of_name.erase(Bytes{name_key(old->name, change.id)});
    touched_names_.insert(old->name);
  }
  if (!change.now) {
    if (!old) return;
    t_.upstreams.erase(Nibbles(change.id));
    t_.upstream_count--;
    clear_fault("upstreams", change.id, Cause::relation);
    return each_target_of(change.id, [&](const CompiledTarget& target) { report_missing_upstream(target); });
  }
  const auto now = model::read<model::Upstream>(*change.now);
  auto compiled = std::make_shared<CompiledUpstream>();
  compiled->origin = origin(change, now.name, now.updated_at * 1000);
  compiled->name = text::lower(now.name);
  compiled->host_header = now.host_header;
  compiled->use_srv_name = now.use_srv_name;
  t_.upstreams_of_name.edit(Bytes{name_key(compiled->name, now.id)}) = now.id;
  touched_names_.insert(compiled->name);
  t_.upstreams.edit(Nibbles(now.id)) = std::move(compiled);
  if (old) return;
  t_.upstream_count++;
  each_target_of(change.id, [&](const CompiledTarget& target) {
    clear_fault("targets", target.target.origin.id, Cause::relation);
  });
}

void Compiler::apply_target(const store::Change& change) {
  const auto* known = t_.targets.find(Nibbles(change.id));
  const auto old = known ? *known : nullptr;
  clear_fault("targets", change.id, Cause::itself);
  std::shared_ptr<const CompiledTarget> compiled;
  if (change.now) {
    compiled = compile_target(change);
    if (!compiled) return;
  }
  if (old) {
    t_.targets_of_upstream.erase(Nibbles(target_key(*old)));
    t_.targets.erase(Nibbles(change.id));
    clear_fault("targets", change.id, Cause::relation);
    touch_upstream(old->upstream);
  }
  if (!compiled) return;
  t_.targets.edit(Nibbles(change.id)) = compiled;
  t_.targets_of_upstream.edit(Nibbles(target_key(*compiled))) = compiled;
  if (!touch_upstream(compiled->upstream)) report_missing_upstream(*compiled);
}

// Null after reporting what is wrong with it.
std::shared_ptr<const CompiledTarget> Compiler::compile_target(const store::Change& change) {
  const auto now = model::read<model::Target>(*change.now);
  auto compiled = std::make_shared<CompiledTarget>();
  compiled->upstream = now.upstream;
  compiled->created_at = std::llround(now.created_at * 1000);
  auto& target = compiled->target;
  target.origin = origin(change, "", std::llround(now.updated_at * 1000));
  const auto parts = text::split_host_port(now.target);
  if (!parts) {
    report(target.origin, Cause::itself, fmt::format("target '{}' is malformed: give host:port", now.target));
    return nullptr;
  }
  target.host = parts->host;
  target.port = parts->port != 0 ? parts->port : std::uint16_t{8000};
  target.weight = static_cast<std::uint16_t>(now.weight);
  target.is_ip = text::is_ip(parts->host);
  return compiled;
}

// False when there is no such upstream.
bool Compiler::touch_upstream(const Uuid& id) {
  const auto* upstream = t_.upstreams.find(Nibbles(id));
  if (upstream) touched_names_.insert((*upstream)->name);
  return upstream != nullptr;
}

void Compiler::report_missing_upstream(const CompiledTarget& target) {
  report(target.target.origin, Cause::relation, fmt::format("its upstream {} is missing", target.upstream.text()));
}

Slot Compiler::acquire_name(const std::string& name) {
  auto& use = t_.name_uses.edit(Bytes{name});
  if (use.slot == no_slot) use.slot = t_.backend_slots.take();
  if (use.services++ == 0) touched_names_.insert(name);
  return use.slot;
}

void Compiler::release_name(const std::string& name) {
  if (--t_.name_uses.edit(Bytes{name}).services == 0) touched_names_.insert(name);
}

// Makes the backend of a name anew, or marks the name as left.
void Compiler::settle_name(const std::string& name) {
  const auto upstream = upstream_of(name);
  const auto* known = t_.name_uses.find(Bytes{name});
  if (!upstream && (!known || known->services == 0)) {
    if (known) left_names_.push_back(name);
    return;
  }
  auto& use = t_.name_uses.edit(Bytes{name});
  const auto* old = use.slot == no_slot ? nullptr : t_.backends.at(use.slot);
  if (use.slot == no_slot) use.slot = t_.backend_slots.take();
  if (!upstream && old && !old->is_upstream) return;  // still the plain host
  t_.backends.set(use.slot, upstream ? balanced(*upstream) : plain_host(name));
  changed_backends_.push_back(use.slot);
}

// After all names that came: within one compile() a slot stands for one name.
void Compiler::drop_name(const std::string& name) {
  const auto slot = t_.name_uses.find(Bytes{name})->slot;
  t_.backends.set(slot, nullptr);
  t_.backend_slots.give_back(slot);
  t_.name_uses.erase(Bytes{name});
  changed_backends_.push_back(slot);
}

// Names are unique in every store, but not over all sources, nor between two changes that swap them: then the smallest
// id has it meanwhile.
std::shared_ptr<const CompiledUpstream> Compiler::upstream_of(const std::string& name) {
  std::vector<std::shared_ptr<const CompiledUpstream>> all;
  t_.upstreams_of_name.for_each_under(Bytes{name + '\0'}, [&](const Uuid& id) {
    all.push_back(*t_.upstreams.find(Nibbles(id)));
    return false;
  });
  if (all.empty()) return nullptr;
  const auto winner = first_of_name(all);
  for (const auto& upstream : all) {
    if (upstream == winner)
      clear_fault("upstreams", upstream->origin.id, Cause::relation);
    else
      report(upstream->origin, Cause::relation,
             fmt::format("its name '{}' is that of {}", name, in_words(winner->origin, "upstream")));
  }
  return winner;
}

std::shared_ptr<const Backend> Compiler::balanced(const CompiledUpstream& upstream) {
  auto backend = std::make_shared<Backend>();
  backend->origin = upstream.origin;
  backend->name = upstream.name;
  backend->is_upstream = true;
  backend->host_header = upstream.host_header;
  backend->use_srv_name = upstream.use_srv_name;
  t_.targets_of_upstream.for_each_under(Nibbles(upstream.origin.id), [&](const auto& target) {
    backend->targets.emplace_back(target, &target->target);
    return false;
  });
  return backend;
}

std::shared_ptr<const Backend> Compiler::plain_host(const std::string& name) {
  auto backend = std::make_shared<Backend>();
  backend->origin.source = source_;
  backend->name = name;
  auto target = std::make_shared<Target>();
  target->host = name.starts_with('[') && name.ends_with(']') ? name.substr(1, name.size() - 2) : name;
  target->is_ip = text::is_ip(target->host);
  backend->targets.push_back(std::move(target));
  return backend;
}

}  // namespace weir::snapshot
