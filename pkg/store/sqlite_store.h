// The Store on one SQLite file. Reading is in sqlite_store.cpp, writing in sqlite_write.cpp.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "store/sqlite_db.h"
#include "store/store.h"
#include "store/table.h"

namespace weir::store {

class SqliteStore final : public Store {
 public:
  SqliteStore(Database db, std::string workspace, std::string name)
      : db_(std::move(db)), workspace_(std::move(workspace)), name_(std::move(name)) {}

  std::string_view name() const override { return name_; }
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

  Database& database() { return db_; }

 private:
  struct Held;  // what replace_all found

  static double unix_now();  // seconds with fractions
  model::Problem failed(const SqlError&) const;
  std::string where(const Table&, const model::Field&) const;  // the statement of find_by and find_all
  // The row that the statement stands at as an entity; nothing when its time to live is over.
  Result<std::optional<Object>> read(const Table&, const Statement&) const;
  Outcome<std::optional<Object>> first_row(const Table&, Statement&);
  Result<void> load_table(const Table&, const std::function<void(const Schema&, Object)>& each,
                          const std::function<void(Fault)>& faulty);

  // Runs `work` in a write transaction and commits when it returns a value.
  template <class T, class Work>
  Outcome<T> write(Work work);
  std::optional<Object> before(const Schema&, std::string_view id);
  Outcome<void> put(const Table&, const std::string& sql, const Object& entity);
  Outcome<void> put_row(const Table&, const std::string& sql, const Object& stored);
  Outcome<Object> with_end(const Table&, const Object& entity);
  Outcome<void> drop_ended(const Table&);
  Outcome<void> put_existing(const Table&, const Object& entity);
  Outcome<void> erase(const Table&, std::string_view id, Changes&, const Object* known = nullptr);
  Outcome<void> erase_children(const Table& parent, std::string_view id, Changes&);
  Outcome<bool> exists(const std::string& sql, std::string_view id);
  Outcome<Held> read_held();
  Outcome<void> release_unique(const Table&, std::string_view id);

  // Why a write was refused, as Kong says it.
  model::Problem refused(const Table&, const Object& entity, const SqlError&);
  model::Problem not_unique(const Table&, const Object& entity, const SqlError&) const;
  model::Problem lacks_parent(const Table&, const Object& entity, const SqlError&);
  model::Problem still_referenced(const Table&, std::string_view id, const SqlError&);

  Database db_;
  std::string workspace_;  // id of the workspace `default`
  std::string name_;
};

}  // namespace weir::store
