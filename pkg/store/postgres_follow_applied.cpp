#include "store/postgres_follow_applied.h"

#include <functional>

#include "store/cache_keys.h"
#include "store/table.h"

namespace weir::store {
namespace {

using model::Object;
using model::Schema;

std::uint64_t hash_of(std::string_view what, std::string_view value) {
  return std::hash<std::string_view>{}(what) * 31 + std::hash<std::string_view>{}(value);
}

std::vector<std::uint64_t> hashes_of(const Schema& schema, const Object& entity) {
  std::vector<std::uint64_t> out;
  if (!schema.cache_key().empty()) out.push_back(hash_of("cache_key", cache_key(schema, entity)));
  for (const auto& field : schema.fields())
    if (field.type == model::Type::foreign && field.cascade)
      if (const auto parent = foreign_id(entity, field.name); !parent.empty())
        out.push_back(hash_of(field.name, parent));
  return out;
}

}  // namespace

void Applied::unlink(Rows& in, const Uuid& id, const Row& row) {
  for (const auto hash : row.hashes) {
    const auto [begin, end] = in.index.equal_range(hash);
    for (auto at = begin; at != end; ++at)
      if (at->second == id) {
        in.index.erase(at);
        break;
      }
  }
}

bool Applied::put(const Schema& schema, const Uuid& id, const Object& entity) {
  auto& in = all_[&schema];
  const auto digest = digest_of(schema, entity);
  auto [at, is_new] = in.rows.try_emplace(id);
  auto& row = at->second;
  row.round = in.round;
  if (!is_new && row.digest == digest) return false;
  row.digest = digest;
  auto hashes = hashes_of(schema, entity);
  if (is_new || hashes != row.hashes) {
    unlink(in, id, row);
    row.hashes = std::move(hashes);
    for (const auto hash : row.hashes) in.index.emplace(hash, id);
  }
  return true;
}

bool Applied::remove(const Schema& schema, const Uuid& id) {
  auto& in = all_[&schema];
  const auto at = in.rows.find(id);
  if (at == in.rows.end()) return false;
  unlink(in, id, at->second);
  in.rows.erase(at);
  return true;
}

const Digest* Applied::digest(const Schema& schema, const Uuid& id) const {
  const auto in = all_.find(&schema);
  if (in == all_.end()) return nullptr;
  const auto at = in->second.rows.find(id);
  return at == in->second.rows.end() ? nullptr : &at->second.digest;
}

bool Applied::has(const Schema& schema, const Uuid& id) const {
  return digest(schema, id) != nullptr;
}

std::size_t Applied::size() const {
  std::size_t out = 0;
  for (const auto& [schema, in] : all_) out += in.rows.size();
  return out;
}

std::vector<Uuid> Applied::find(const Schema& schema, std::uint64_t hash) const {
  std::vector<Uuid> out;
  const auto in = all_.find(&schema);
  if (in == all_.end()) return out;
  const auto [begin, end] = in->second.index.equal_range(hash);
  for (auto at = begin; at != end; ++at) out.push_back(at->second);
  return out;
}

std::vector<Uuid> Applied::by_key(const Schema& schema, std::string_view cache_key) const {
  return find(schema, hash_of("cache_key", cache_key));
}

std::vector<Uuid> Applied::by_parent(const Schema& schema, std::string_view field, const Uuid& parent) const {
  return find(schema, hash_of(field, parent.text()));
}

void Applied::begin(const Schema& schema) {
  all_[&schema].round++;
}

void Applied::keep(const Schema& schema, const Uuid& id) {
  auto& in = all_[&schema];
  if (const auto at = in.rows.find(id); at != in.rows.end()) at->second.round = in.round;
}

std::vector<Uuid> Applied::missing(const Schema& schema) const {
  std::vector<Uuid> out;
  const auto in = all_.find(&schema);
  if (in == all_.end()) return out;
  for (const auto& [id, row] : in->second.rows)
    if (row.round != in->second.round) out.push_back(id);
  return out;
}

}  // namespace weir::store
