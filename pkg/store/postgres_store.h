// The Store on PostgreSQL. Reading is in postgres_store.cpp, writing in postgres_write.cpp, what other nodes are told
// of a write in postgres_events.h.
//
// Belongs to one thread. Made without connecting; while the server is away every call gives Problem::unavailable within
// the timeout. Lists come from the read-only server where one is set, all else from the primary.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "store/postgres.h"
#include "store/postgres_connection.h"
#include "store/postgres_events.h"
#include "store/postgres_table.h"
#include "store/store.h"

namespace weir::store {

// Told to whoever follows the database: what was committed, or that the answer to a commit was lost, so that nobody
// knows whether it happened.
struct PostgresHooks {
  std::function<void(const Changes&)> wrote;
  std::function<void()> write_failed;
};

class PostgresStore final : public Store {
 public:
  explicit PostgresStore(const PostgresOptions&, PostgresHooks = {});

  std::string_view name() const override { return "postgres"; }
  Result<void> load(const std::function<void(const Schema&, Object)>& each,
                    const std::function<void(Fault)>& faulty) override;
  Outcome<std::optional<Object>> find(const Schema&, const Uuid& id) override;
  Outcome<std::optional<Object>> find_by(const Schema&, std::string_view field, std::string_view value,
                                         const Uuid* parent) override;
  Outcome<std::vector<Object>> find_all(const Schema&, std::string_view field, std::string_view value) override;
  Outcome<Page> page(const Schema&, const PageQuery&) override;
  Outcome<TagPage> tags(const std::optional<std::string>& tag, std::size_t size, std::string_view offset) override;
  bool reachable() override;

  Outcome<Written> insert(const Schema&, const Object& entity) override;
  Outcome<Written> update(const Schema&, const Object& entity) override;
  Outcome<Written> upsert(const Schema&, const Object& entity) override;
  Outcome<Changes> remove(const Schema&, const Uuid& id) override;
  Outcome<Changes> insert_all(const std::vector<std::pair<const Schema*, Object>>& entities) override;
  Outcome<Changes> upsert_all(const std::vector<std::pair<const Schema*, Object>>& entities) override;
  Outcome<Changes> replace_all(const std::vector<std::pair<const Schema*, Object>>& entities) override;

 private:
  struct Held;  // what replace_all found
  enum class How : std::uint8_t { insert, update, upsert };

  model::Problem failed(const PostgresError&);
  // From the read-only server; from the primary when there is none, or it is away.
  Pg<PostgresResult> ask_lists(const std::string& sql, const std::vector<PostgresValue>& values);
  Outcome<std::optional<Object>> first(const PostgresTable&, const std::string& condition,
                                       const std::vector<PostgresValue>& values);
  Outcome<std::string> workspace(PostgresConnection&);
  Pg<> load_table(const PostgresTable&, const std::function<void(const Schema&, Object)>& each,
                  const std::function<void(Fault)>& faulty);

  // Runs `work` in a transaction and commits, with the events of what it changed, when it returns no problem. Once more
  // when others were in the way.
  template <class Work>
  Outcome<Changes> write(Work work);
  Outcome<void> commit(const std::vector<RowChange>& done);
  Outcome<void> run(const std::string& sql, const std::vector<PostgresValue>& values);
  Outcome<Written> put_one(How, const Schema&, const Object& entity);
  Outcome<void> put(How, const PostgresTable&, const Object& entity, const Object* before, std::vector<RowChange>&);
  Outcome<void> drop_ended(const PostgresTable&, const Object& entity);
  Outcome<std::optional<Object>> lock(const PostgresTable&, std::string_view id, bool& there);
  Outcome<void> lock_all(const PostgresTable&, const std::vector<std::string>& ids,
                         std::unordered_map<std::string, Object>& held);
  Outcome<void> erase(const PostgresTable&, std::string_view id, std::vector<RowChange>&);
  Outcome<void> list_children(const PostgresTable& parent, std::string_view id, std::vector<RowChange>&);
  Outcome<void> list_kongs_children(std::string_view consumer);
  Outcome<Held> read_held();
  Outcome<void> release_unique(const PostgresTable&, std::string_view id);

  // Why a write was refused, as Kong says it.
  model::Problem refused(const PostgresTable&, const Object& entity, const PostgresError&);

  PostgresOptions options_;
  PostgresHooks hooks_;
  PostgresConnection primary_;
  std::unique_ptr<PostgresConnection> read_only_;
  std::string workspace_;              // id of the workspace `default`
  std::uint64_t workspace_of_ = 0;     // the connection that told it
  std::vector<ClusterEvent> further_;  // of the write that is being done, for Kong's nodes only
  bool again_ = false;                 // the last failure was others being in the way
};

}  // namespace weir::store
