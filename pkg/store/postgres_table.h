// How the entities of one schema lie in their table of Kong's PostgreSQL schema: the statements on it, and values in
// and out. Kong's forms: times as timestamptz in UTC, lists as arrays, records and maps as jsonb, lists of records as
// jsonb[], a ttl as the moment of its end. Derived from the declaration; no I/O.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/schema.h"
#include "store/postgres_connection.h"

namespace weir::store {

class PostgresTable {
 public:
  explicit PostgresTable(const model::Schema&);

  const model::Schema& schema() const { return *schema_; }
  std::string name() const { return std::string(schema_->name()); }
  std::string column_of(const model::Field&) const;  // unquoted

  const std::string& select() const { return select_; }  // "SELECT ... FROM t": the declared fields in order
  // What a WHERE must say so that rows whose time has run out are left out; "true" for tables without a ttl.
  const std::string& live() const { return live_; }
  int id_column() const { return id_column_; }  // of select()
  // A row of select(), adapted to this version's fields. The error says which field cannot be read.
  Result<model::Object> read(const PostgresResult&, int row) const;

  const std::string& insert() const { return insert_; }
  const std::string& update() const { return update_; }  // where the id is the entity's
  const std::string& upsert() const { return upsert_; }
  // The values of insert, update and upsert alike. The error says which field holds what PostgreSQL cannot store.
  Result<std::vector<PostgresValue>> values(const model::Object& entity, std::string_view workspace) const;

 private:
  const model::Schema* schema_;
  int id_column_ = 0;
  std::string select_, live_, insert_, update_, upsert_;
};

// One per schema, in the order of model::schemas().
std::span<const PostgresTable> postgres_tables();
const PostgresTable& postgres_table_of(const model::Schema&);

// Texts as one parameter of type text[] or uuid[].
std::string postgres_array(std::span<const std::string> texts);

}  // namespace weir::store
