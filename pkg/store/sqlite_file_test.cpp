#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "store/same.h"
#include "store/sqlite_store.h"
#include "store/test_support.h"

namespace weir::store {
namespace {

using model::Problem;

TEST(SqliteFile, is_readable_for_its_owner_only) {
  const TemporaryFolder folder;
  const auto store = opened(folder / "weir.db");
  put(*store, services(), R"({"host":"h"})");
  for (const auto name : {"weir.db", "weir.db-wal", "weir.db-shm"}) {
    struct stat info{};
    ASSERT_EQ(::stat((folder / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST(SqliteFile, syncs_every_commit) {
  const TemporaryFolder folder;
  const auto store = opened(folder / "weir.db");
  auto& db = static_cast<SqliteStore&>(*store).database();
  for (const auto& [pragma, expected] :
       std::map<std::string, std::string>{{"synchronous", "2"}, {"journal_mode", "wal"}, {"foreign_keys", "1"}}) {
    auto query = db.prepare("PRAGMA " + pragma);
    ASSERT_TRUE(query->step().value());
    EXPECT_EQ(query->text(0), expected) << pragma;
  }
}

std::string error_of(const std::string& path) {
  const auto store = open_sqlite(path);
  return store ? "opened" : store.error().message;
}

TEST(SqliteFile, names_a_folder_that_does_not_exist) {
  const TemporaryFolder folder;
  const auto path = folder / "none/weir.db";
  EXPECT_EQ(error_of(path), fmt::format("cannot make the database {}: the folder {}/none does not exist; make it first",
                                        path, folder.path()));
  EXPECT_NE(error_of(folder.path()).find("not a regular file"), std::string::npos);
}

TEST(SqliteFile, refuses_what_is_no_database) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  std::ofstream(path) << std::string(10000, 'x');
  EXPECT_NE(error_of(path).find(path + " is damaged"), std::string::npos) << error_of(path);
}

TEST(SqliteFile, refuses_the_database_of_another_program) {
  const TemporaryFolder folder;
  const auto path = folder / "other.db";
  ASSERT_TRUE(Database::open(path)->execute("CREATE TABLE photos (id INTEGER)").has_value());
  EXPECT_NE(error_of(path).find("another program"), std::string::npos) << error_of(path);
}

TEST(SqliteFile, notices_flipped_bytes_wherever_they_are) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  {
    const auto store = opened(path);
    for (int i = 0; i < 200; i++) put(*store, services(), fmt::format(R"({{"name":"s{}","host":"h"}})", i));
  }
  const auto size = std::filesystem::file_size(path);
  int refused = 0, rounds = 0;
  for (std::size_t page = 0; page < size / 4096; page++, rounds++) {
    const auto copy = folder / "copy.db";
    std::filesystem::copy_file(path, copy, std::filesystem::copy_options::overwrite_existing);
    {
      std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(page * 4096));
      file << std::string(16, '\xff');  // the header of the page
    }
    const auto error = error_of(copy);
    if (error == "opened") continue;
    refused++;
    EXPECT_NE(error.find(copy), std::string::npos) << error;
  }
  // A page that nothing uses may be anything.
  EXPECT_GT(refused, rounds * 3 / 4) << rounds;
}

TEST(SqliteFile, refuses_a_newer_database_and_names_what_it_does_not_know) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  {
    const auto store = opened(path);
    ASSERT_TRUE(static_cast<SqliteStore&>(*store)
                    .database()
                    .execute(R"(UPDATE schema_meta SET executed = '["000_base","999_future"]')")
                    .has_value());
  }
  EXPECT_EQ(
      error_of(path),
      fmt::format("the database {} was written by a newer version of Weir (it has seen the migration '999_future'); "
                  "run that version, or restore a backup from before the upgrade",
                  path));
}

// Root may write everything, so the test gives that up for a moment.
class Unprivileged {
 public:
  explicit Unprivileged(const TemporaryFolder& folder) : was_root_(::geteuid() == 0) {
    if (!was_root_) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      EXPECT_EQ(::chown(entry.path().c_str(), 65534, 65534), 0);
    EXPECT_EQ(::chown(folder.path().c_str(), 65534, 65534), 0);
    EXPECT_EQ(::seteuid(65534), 0);
  }
  ~Unprivileged() {
    if (was_root_) {
      EXPECT_EQ(::seteuid(0), 0);
    }
  }

 private:
  bool was_root_;
};

TEST(SqliteFile, says_that_the_file_or_the_folder_is_read_only) {
  const TemporaryFolder folder;
  const auto path = folder / "weir.db";
  opened(path).reset();
  const Unprivileged user(folder);
  ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
  EXPECT_NE(error_of(path).find(path + " is read-only"), std::string::npos) << error_of(path);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0500), 0);
  EXPECT_NE(error_of(path).find("folder"), std::string::npos) << error_of(path);
  EXPECT_NE(error_of(folder / "new.db").find("is not writable"), std::string::npos) << error_of(folder / "new.db");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
}

TEST(SqliteFile, answers_a_full_disk_and_heals) {
  const TemporaryFolder folder;
  const auto store = opened(folder / "weir.db");
  auto& db = static_cast<SqliteStore&>(*store).database();
  ASSERT_TRUE(db.execute("PRAGMA max_page_count = 1").has_value());  // not less than what is used: no page more
  std::optional<Problem> problem;
  int acknowledged = 0;
  for (int i = 0; i < 2000 && !problem; i++) {
    auto written = store->insert(services(), made(services(), fmt::format(R"({{"name":"s{}","host":"h"}})", i)));
    if (written)
      acknowledged++;
    else
      problem = written.error();
  }
  ASSERT_TRUE(problem.has_value());
  EXPECT_EQ(problem->code, Problem::database_error);
  EXPECT_NE(problem->message.find("disk is full"), std::string::npos) << problem->message;
  EXPECT_FALSE(db.in_transaction());
  EXPECT_TRUE(store->reachable());
  EXPECT_TRUE(store->page(services(), {}).has_value());

  ASSERT_TRUE(db.execute("PRAGMA max_page_count = 100000").has_value());
  put(*store, services(), R"({"name":"again","host":"h"})");
  int rows = 0;
  ASSERT_TRUE(store->load([&](const Schema&, Object) { rows++; }, [](const Fault&) {}).has_value());
  EXPECT_EQ(rows, acknowledged + 1);
}

TEST(SqliteFile, refuses_to_write_when_the_file_was_deleted_meanwhile) {
  const TemporaryFolder folder;
  const auto store = opened(folder / "weir.db");
  EXPECT_TRUE(store->reachable());
  std::filesystem::remove(folder / "weir.db");
  EXPECT_FALSE(store->reachable());
  const auto written = store->insert(services(), made(services(), R"({"host":"h"})"));
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().message.find("moved or deleted"), std::string::npos);
}

}  // namespace
}  // namespace weir::store
