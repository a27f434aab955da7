#include "store/mirror.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include <openssl/sha.h>
#include <boost/json.hpp>

#include "base/log.h"
#include "store/table.h"

namespace weir::store {
namespace {

namespace json = boost::json;

// Of one flush: some milliseconds.
constexpr std::size_t rows_at_once = 500;
constexpr std::size_t json_depth_max = 64;

// A name with a number: a later version that keeps its rows in another way makes another table.
constexpr const char* tables_sql =
    "PRAGMA synchronous = NORMAL;"
    "CREATE TABLE IF NOT EXISTS mirror_1 (entity TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, "
    "checksum TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (entity, id)) WITHOUT ROWID";

// What is hashed: each value behind a letter for its kind, texts behind their length, so that no two entities give the
// same bytes.
void print(const json::value& value, std::string& out);

void print_text(std::string_view text, std::string& out) {
  const auto size = static_cast<std::uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}
void print_number(double number, std::string& out) {
  out += 'n';
  const auto bits = std::bit_cast<std::uint64_t>(number);
  out.append(reinterpret_cast<const char*>(&bits), sizeof bits);
}
void print_object(const json::object& object, std::string& out) {
  std::vector<const json::key_value_pair*> pairs;
  pairs.reserve(object.size());
  for (const auto& pair : object) pairs.push_back(&pair);
  std::ranges::sort(pairs, {}, [](const auto* pair) { return std::string_view(pair->key()); });
  out += '{';
  for (const auto* pair : pairs) {
    print_text(pair->key(), out);
    print(pair->value(), out);
  }
  out += '}';
}
void print(const json::value& value, std::string& out) {
  switch (value.kind()) {
    case json::kind::null:
      out += '0';
      return;
    case json::kind::bool_:
      out += value.get_bool() ? 't' : 'f';
      return;
    case json::kind::int64:
      return print_number(static_cast<double>(value.get_int64()), out);
    case json::kind::uint64:
      return print_number(static_cast<double>(value.get_uint64()), out);
    case json::kind::double_:
      return print_number(value.get_double(), out);
    case json::kind::string:
      out += 's';
      return print_text(value.get_string(), out);
    case json::kind::array:
      out += '[';
      for (const auto& element : value.get_array()) print(element, out);
      out += ']';
      return;
    case json::kind::object:
      return print_object(value.get_object(), out);
  }
}

Digest hash(std::string_view text) {
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> whole;
  ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), whole.data());
  Digest out;
  std::copy_n(whole.begin(), out.size(), out.begin());
  return out;
}

std::string hex(const Digest& digest) {
  constexpr const char* digits = "0123456789abcdef";
  std::string out;
  out.reserve(digest.size() * 2);
  for (const auto byte : digest) (out += digits[byte >> 4]) += digits[byte & 15];
  return out;
}
std::optional<Digest> parse_hex(std::string_view text) {
  Digest out;
  if (text.size() != out.size() * 2) return {};
  for (std::size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return {};
    out[i / 2] = static_cast<std::uint8_t>(i % 2 == 0 ? digit << 4 : out[i / 2] | digit);
  }
  return out;
}

void remove_files(const std::string& path) {
  std::error_code ignored;
  for (const char* end : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + end, ignored);
}

}  // namespace

Digest digest_of(const model::Schema& schema, const model::Object& entity) {
  // The fields in the order of their declaration; one that is missing is as one that is null.
  static thread_local std::string text;
  text.clear();
  for (const auto& field : schema.fields()) {
    const auto* value = entity.if_contains(field.name);
    if (value != nullptr)
      print(*value, text);
    else
      text += '0';
  }
  return hash(text);
}

std::unique_ptr<Mirror> Mirror::open(const std::string& path) {
  auto db = Database::open(path);
  if (db) {
    std::unique_ptr<Mirror> mirror(new Mirror(path, std::move(*db)));
    if (mirror->make_tables() || mirror->reopen()) return mirror;
    return nullptr;
  }
  // Damaged, or not allowed there: a new file shows which.
  log::warn("the mirror of the configuration cannot be read and is begun anew",
            {{"path", path}, {"error", db.error().message}});
  remove_files(path);
  db = Database::open(path);
  if (!db) {
    log::error("no mirror of the configuration can be kept: this node will not start while its database is away",
               {{"path", path}, {"error", db.error().message}});
    return nullptr;
  }
  std::unique_ptr<Mirror> mirror(new Mirror(path, std::move(*db)));
  return mirror->make_tables() ? std::move(mirror) : nullptr;
}

bool Mirror::make_tables() {
  const auto made = db_.execute(tables_sql);
  if (!made)
    log::warn("the mirror of the configuration cannot be used",
              {{"path", path_}, {"error", db_.explain(made.error())}});
  return made.has_value();
}

bool Mirror::reopen() {
  db_ = Database();
  remove_files(path_);
  auto db = Database::open(path_);
  if (!db) return false;
  db_ = std::move(*db);
  return make_tables();
}

// Twice: a damaged file must not give half a configuration, and all of it at once would be large.
bool Mirror::load(const std::function<void(const model::Schema&, model::Object)>& each) {
  const auto read = [&](const auto& take) -> std::optional<std::string> {
    for (const auto* schema : model::schemas()) {
      if (!schema->core()) continue;
      auto query = db_.prepare("SELECT id, checksum, body FROM mirror_1 WHERE entity = ?1");
      if (!query) return db_.explain(query.error());
      query->bind(1, schema->name());
      for (;;) {
        auto row = query->step();
        if (!row) return db_.explain(row.error());
        if (!*row) break;
        if (!take(*schema, *query)) return "a row of it is not what was written";
      }
    }
    return {};
  };
  auto damage = read([](const model::Schema&, const Statement& row) { return hex(hash(row.text(2))) == row.text(1); });
  if (damage) {
    log::warn("the mirror of the configuration is damaged and is begun anew", {{"path", path_}, {"error", *damage}});
    reopen();
    return false;
  }
  damage = read([&](const model::Schema& schema, const Statement& row) {
    json::error_code failed;
    json::parse_options options;
    options.max_depth = json_depth_max;
    auto body = json::parse(row.text(2), failed, {}, options);
    if (failed || !body.is_object() || id_of(body.get_object()) != row.text(0)) return false;
    each(schema, std::move(body.get_object()));
    return true;
  });
  if (damage)
    log::warn("the mirror of the configuration could be read in part only", {{"path", path_}, {"error", *damage}});
  return true;
}

Mirror::Digests Mirror::digests() {
  Digests out;
  const auto read = [&]() -> std::optional<std::string> {
    auto query = db_.prepare("SELECT entity, id, digest FROM mirror_1");
    if (!query) return db_.explain(query.error());
    for (;;) {
      auto row = query->step();
      if (!row) return db_.explain(row.error());
      if (!*row) return {};
      const auto* schema = model::find_schema(query->text(0));
      const auto id = Uuid::parse(query->text(1));
      const auto digest = parse_hex(query->text(2));
      if (schema == nullptr || !id || !digest) return "a row of it cannot be read";
      out[schema].emplace(*id, *digest);
    }
  };
  if (const auto damage = read()) {
    log::warn("the mirror of the configuration is damaged and is begun anew", {{"path", path_}, {"error", *damage}});
    out.clear();
    reopen();
  }
  return out;
}

void Mirror::note(const model::Schema& schema, const Uuid& id, const model::Object* now) {
  auto& note = notes_[{&schema, id}];
  note.text.clear();
  if (now == nullptr) return;
  note.digest = digest_of(schema, *now);
  note.text = json::serialize(*now);
}

Sql<> Mirror::write(const Key& key, const Note& note) {
  const auto id = key.id.text();
  if (note.text.empty()) {
    auto statement = db_.prepare("DELETE FROM mirror_1 WHERE entity = ?1 AND id = ?2");
    if (!statement) return std::unexpected(std::move(statement.error()));
    statement->bind(1, key.schema->name()).bind(2, id);
    return statement->run();
  }
  auto statement =
      db_.prepare("INSERT OR REPLACE INTO mirror_1 (entity, id, digest, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)");
  if (!statement) return std::unexpected(std::move(statement.error()));
  statement->bind(1, key.schema->name()).bind(2, id).bind_copy(3, hex(note.digest));
  statement->bind_copy(4, hex(hash(note.text))).bind(5, note.text);
  return statement->run();
}

// The transaction stays open until nothing is left.
Sql<> Mirror::write_some() {
  if (!db_.in_transaction())
    if (auto begun = db_.execute("BEGIN IMMEDIATE"); !begun) return begun;
  for (std::size_t i = 0; i < rows_at_once && !notes_.empty(); i++) {
    auto at = notes_.begin();
    if (auto done = write(at->first, at->second); !done) return done;
    // Of two notes about one entity the later one counts.
    auto node = notes_.extract(at);
    written_.insert_or_assign(node.key(), std::move(node.mapped()));
  }
  if (!notes_.empty()) return {};
  if (auto done = db_.execute("COMMIT"); !done) return done;
  written_.clear();
  return {};
}

bool Mirror::flush() {
  if (notes_.empty()) return true;
  if (auto done = write_some(); !done) {
    if (!std::exchange(warned_, true))
      log::warn("the mirror of the configuration cannot be written; it is tried again",
                {{"path", path_}, {"error", db_.explain(done.error())}});
    if (db_.in_transaction()) (void)db_.execute("ROLLBACK");
    notes_.merge(written_);  // newer notes stay
    written_.clear();
    return false;
  }
  warned_ = false;
  return true;
}

}  // namespace weir::store
