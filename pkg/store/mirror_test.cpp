#include "store/mirror.h"

#include <map>

#include <unistd.h>

#include "store/test_support.h"

namespace weir::store {
namespace {

using Held = std::map<std::string, std::string>;  // "services <id>" -> name

Held held(Mirror& mirror) {
  Held out;
  EXPECT_TRUE(mirror.load([&](const Schema& schema, Object entity) {
    out[fmt::format("{} {}", schema.name(), id_text(entity))] =
        entity.at("name").is_string() ? entity.at("name").as_string().c_str() : "";
  }));
  return out;
}
void flush(Mirror& mirror) {
  while (mirror.pending()) ASSERT_TRUE(mirror.flush());
}

TEST(Mirror, holds_what_was_noted_last) {
  TemporaryFolder folder;
  auto service = made(services(), R"({"name":"a","host":"h"})");
  const auto other = made(services(), R"({"name":"b","host":"h"})");
  {
    auto mirror = Mirror::open(folder / "mirror");
    ASSERT_TRUE(mirror);
    EXPECT_TRUE(held(*mirror).empty());
    mirror->note(services(), id_value(service), &service);
    mirror->note(services(), id_value(other), &other);
    flush(*mirror);
    service["name"] = "new";
    mirror->note(services(), id_value(service), &service);
    mirror->note(services(), id_value(other), nullptr);
    flush(*mirror);
  }
  auto mirror = Mirror::open(folder / "mirror");
  ASSERT_TRUE(mirror);
  EXPECT_EQ(held(*mirror), (Held{{"services " + id_text(service), "new"}}));
  auto digests = mirror->digests();
  EXPECT_EQ(digests[&services()],
            (std::unordered_map<Uuid, Digest>{{id_value(service), digest_of(services(), service)}}));
}

TEST(Mirror, tells_parents_before_children) {
  TemporaryFolder folder;
  const auto upstream = made(upstreams(), R"({"name":"u"})");
  const auto target = made(targets(), child("upstream", upstream, R"("target":"h:1")"));
  auto mirror = Mirror::open(folder / "mirror");
  mirror->note(targets(), id_value(target), &target);
  mirror->note(upstreams(), id_value(upstream), &upstream);
  flush(*mirror);
  std::vector<std::string_view> order;
  ASSERT_TRUE(mirror->load([&](const Schema& schema, Object) { order.push_back(schema.name()); }));
  EXPECT_EQ(order, (std::vector<std::string_view>{"upstreams", "targets"}));
}

TEST(Mirror, shows_nothing_before_all_of_it_is_there) {
  TemporaryFolder folder;
  auto mirror = Mirror::open(folder / "mirror");
  for (int i = 0; i < 5000; i++) {
    const auto service = made(services(), fmt::format(R"({{"name":"s{}","host":"h"}})", i));
    mirror->note(services(), id_value(service), &service);
  }
  auto reader = Mirror::open(folder / "mirror");
  ASSERT_TRUE(mirror->flush());
  ASSERT_TRUE(mirror->pending()) << "a part of it only";
  EXPECT_TRUE(held(*reader).empty());
  flush(*mirror);
  EXPECT_EQ(held(*reader).size(), 5000u);
}

TEST(Mirror, begins_anew_when_it_is_damaged) {
  TemporaryFolder folder;
  const auto path = folder / "mirror";
  {
    auto mirror = Mirror::open(path);
    for (int i = 0; i < 300; i++) {
      const auto service = made(services(), fmt::format(R"({{"name":"s{}","host":"h"}})", i));
      mirror->note(services(), id_value(service), &service);
    }
    flush(*mirror);
  }
  {
    // One flipped byte in the middle of a row.
    std::ifstream in(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const auto at = bytes.find("\"host\":\"h\"", bytes.size() / 2);
    ASSERT_NE(at, std::string::npos);
    bytes[at + 8] = 'x';
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
  {
    auto mirror = Mirror::open(path);
    ASSERT_TRUE(mirror);
    int told = 0;
    EXPECT_FALSE(mirror->load([&](const Schema&, Object) { told++; }));
    EXPECT_EQ(told, 0);
    EXPECT_TRUE(held(*mirror).empty()) << "and is of use again";
  }
  std::ofstream(path, std::ios::binary | std::ios::trunc) << "this is no database at all, but a text of some length";
  auto mirror = Mirror::open(path);
  ASSERT_TRUE(mirror);
  const auto service = made(services(), R"({"name":"a","host":"h"})");
  mirror->note(services(), id_value(service), &service);
  flush(*mirror);
  EXPECT_EQ(held(*mirror).size(), 1u);
}

TEST(Mirror, is_none_where_none_can_be_made) {
  EXPECT_EQ(Mirror::open("/nonexistent/folder/mirror"), nullptr);
}

TEST(Digest, tells_contents_apart_and_not_their_spelling) {
  const auto entity = made(routes(), R"({"paths":["/a"],"headers":{"x":["1"],"y":["2"]}})");
  const auto with = [&](std::string_view field, std::string_view json) {
    auto out = entity;
    out[field] = boost::json::parse(json);
    return digest_of(routes(), out);
  };
  const auto digest = digest_of(routes(), entity);
  EXPECT_EQ(with("headers", R"({"y":["2"],"x":["1"]})"), digest);
  EXPECT_EQ(with("regex_priority", "0.0"), digest);
  EXPECT_NE(with("headers", R"({"y":["1"],"x":["2"]})"), digest);
  EXPECT_NE(with("paths", R"(["/b"])"), digest);
  EXPECT_NE(with("paths", R"(["/a","/a"])"), digest);
  EXPECT_NE(with("paths", "null"), digest);
  EXPECT_NE(with("strip_path", "false"), digest);
  EXPECT_NE(with("regex_priority", "1"), digest);
  auto without = entity;
  without.erase("hosts");
  EXPECT_EQ(digest_of(routes(), without), digest) << "missing is null";
}

}  // namespace
}  // namespace weir::store
