#include "kube/object.h"

#include <gtest/gtest.h>

#include "kube/lines.h"
#include "kube/moment.h"

namespace weir::kube {
namespace {

constexpr Kind service{"", "v1", "Service", "services"};

TEST(Object, is_kept_without_what_nobody_reads) {
  auto page = parse_page(R"({"metadata":{"resourceVersion":"77","continue":"tok"},"items":[
      {"spec":{"a":1},"metadata":{"name":"n","namespace":"s","resourceVersion":"5","managedFields":[{"x":1}],
       "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}","keep":"me"}}},
      {"apiVersion":"v2","kind":"Other","metadata":{"name":"m",
       "annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}]})",
                         service);
  ASSERT_TRUE(page);
  EXPECT_EQ(page->revision, 77u);
  EXPECT_EQ(page->next, "tok");
  ASSERT_EQ(page->items.size(), 2u);
  EXPECT_EQ(page->items[0].name, (Name{"s", "n"}));
  EXPECT_EQ(page->items[0].revision, 5u);
  EXPECT_EQ(page->items[0].text,
            R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"n","namespace":"s","resourceVersion":"5",)"
            R"("annotations":{"keep":"me"}},"spec":{"a":1}})");
  EXPECT_EQ(page->items[1].text, R"({"apiVersion":"v2","kind":"Other","metadata":{"name":"m"}})");
}

TEST(Object, differs_by_more_than_its_revision_or_not) {
  const auto text = [](const char* revision, const char* rest) {
    return fmt::format(R"({{"metadata":{{"resourceVersion":"{}","name":"n"}},"spec":"{}"}})", revision, rest);
  };
  EXPECT_TRUE(same_but_revision(text("5", "x"), 5, text("5", "x"), 5));
  EXPECT_TRUE(same_but_revision(text("5", "x"), 5, text("1234", "x"), 1234));
  EXPECT_FALSE(same_but_revision(text("5", "x"), 5, text("6", "y"), 6));
  EXPECT_FALSE(same_but_revision(text("a", "x"), 0, text("b", "x"), 0)) << "what is no number is compared as it is";
}

TEST(Object, pages_that_are_none_are_refused) {
  for (const auto* body : {"", "[]", "{", "{}", R"({"metadata":{},"items":{}})", R"({"metadata":{},"items":[1]})",
                           R"({"metadata":{},"items":[{}]})", R"({"metadata":{},"items":[{"metadata":{}}]})"})
    EXPECT_FALSE(parse_page(body, service)) << body;
  const auto empty = parse_page(R"({"metadata":{"resourceVersion":"9"},"items":null})", service);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->items.empty());
}

TEST(Event, is_one_of_five) {
  const std::string object = R"("object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"n","namespace":"s",)"
                             R"("resourceVersion":"12"}}})";
  for (const auto* type : {"ADDED", "MODIFIED"}) {
    const auto event = parse_event(fmt::format(R"({{"type":"{}",{})", type, object), service);
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(event->type, Event::Type::changed);
    EXPECT_EQ(event->revision, 12u);
    EXPECT_EQ(event->item.name.text(), "s/n");
    EXPECT_FALSE(event->item.text.empty());
  }
  const auto deleted = parse_event(R"({"type":"DELETED",)" + object, service);
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->type, Event::Type::deleted);
  EXPECT_EQ(deleted->item.name.text(), "s/n");
  const auto mark = parse_event(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"99"}}})", service);
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->type, Event::Type::bookmark);
  EXPECT_EQ(mark->revision, 99u);
  const auto error =
      parse_event(R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}})", service);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->type, Event::Type::error);
  EXPECT_EQ(error->code, 410);
  EXPECT_EQ(error->message, "too old");
}

TEST(Event, that_is_none_is_refused) {
  for (const std::string line :
       {"", "null", "{", "{}", R"({"type":"ADDED"})", R"({"type":"ADDED","object":{}})",
        R"({"type":"ADDED","object":{"metadata":{"name":""}}})", R"({"type":"DELETED","object":{"metadata":{}}})",
        R"({"type":"SINGING","object":{"metadata":{"name":"n"}}})",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\xc3\"}}}"})
    EXPECT_FALSE(parse_event(line, service)) << line;
  EXPECT_FALSE(parse_event(std::string(100'000, '['), service)) << "depth is bounded";
}

TEST(Lines, are_bounded_but_not_in_sum) {
  Lines lines(10);
  for (int i = 0; i < 100; i++) {
    ASSERT_TRUE(lines.add("12345678\n1"));
    EXPECT_EQ(lines.next(), i == 0 ? "12345678" : "112345678");
    EXPECT_EQ(lines.next(), std::nullopt);
  }
  EXPECT_FALSE(lines.add("23456789012"));
}

TEST(Moment, is_written_and_read_as_kubernetes_does) {
  using namespace std::chrono;
  const Moment moment(microseconds(1'767'366'245'000'042));
  EXPECT_EQ(print_micro_time(moment), "2026-01-02T15:04:05.000042Z");
  EXPECT_EQ(parse_time("2026-01-02T15:04:05.000042Z"), moment);
  EXPECT_EQ(parse_time("2026-01-02T16:04:05.0000429+01:00"), moment);
  EXPECT_EQ(parse_time("2026-01-02T15:04:05Z"), moment - microseconds(42));
  EXPECT_GT(parse_time("9999-12-31T23:59:59Z"), moment) << "no overflow";
  for (const auto* bad : {"", "2026-01-02", "2026-01-02T15:04:05", "2026-13-02T15:04:05Z", "2026-01-02T15:04:05+0100",
                          "2026-01-02T25:04:05Z", "20x6-01-02T15:04:05Z"})
    EXPECT_EQ(parse_time(bad), std::nullopt) << bad;
}

TEST(Query, escapes_what_means_something) {
  EXPECT_EQ(escape_query("a=b,c in (d)"), "a%3Db%2Cc%20in%20%28d%29");
  EXPECT_EQ(escape_query("az.AZ-0_9~"), "az.AZ-0_9~");
}

}  // namespace
}  // namespace weir::kube
