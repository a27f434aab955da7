// How the entities of one schema lie in their SQL table: Kong's columns (a foreign field f is f_id, arrays, maps and
// records are JSON text), the statements on them, and values in and out. Derived from the declaration; no I/O.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/schema.h"
#include "store/sqlite_db.h"

namespace weir::store {

struct Column {
  std::string name;                     // in SQL
  std::string type;                     // TEXT, INTEGER, REAL
  const model::Field* field = nullptr;  // null: a column that Kong has and the declaration does not
};

class Table {
 public:
  explicit Table(const model::Schema&);

  const model::Schema& schema() const { return *schema_; }
  std::string name() const { return std::string(schema_->name()); }
  // In table order: the declared fields, what else Kong's table has, ws_id, cache_key.
  std::span<const Column> columns() const { return columns_; }
  const Column* column_of(const model::Field&) const;
  const model::Field* field_of(std::string_view column) const;

  // Statements that make the table, its indexes and the triggers that keep the table `tags`; each does nothing when the
  // thing is there. A column that is missing in an older table is added by add_column.
  std::vector<std::string> create() const;
  std::string add_column(const Column&) const;

  const std::string& select() const { return select_; }  // "SELECT ... FROM t": declared columns in order
  const std::string& insert() const { return insert_; }
  const std::string& update() const { return update_; }  // where the id is the entity's
  const std::string& upsert() const { return upsert_; }

  // Binds an entity for insert, update and upsert alike. The entity must outlive the use of the statement.
  void bind(Statement&, const model::Object& entity, std::string_view workspace) const;
  // A row of select(). The error says which field cannot be read.
  Result<model::Object> read(const Statement&) const;
  std::string cache_key(const model::Object& entity, std::string_view workspace) const;

 private:
  const model::Schema* schema_;
  std::vector<Column> columns_;
  std::size_t declared_ = 0;
  std::string select_, insert_, update_, upsert_;
};

// One per schema, in the order of model::schemas().
std::span<const Table> tables();
const Table& table_of(const model::Schema&);

// "id" of an entity or of a foreign value {"id": ...}; empty when there is none.
std::string_view id_of(const model::Object&);
std::string_view foreign_id(const model::Object& entity, std::string_view field);

}  // namespace weir::store
