#include "plugin/plugin.h"

#include <limits>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace weir::plugin {
namespace {

std::string names(std::string_view setting) {
  const auto enabled = enabled_kinds(setting);
  if (!enabled) return "! " + enabled.error().message;
  std::string out;
  for (const auto* kind : *enabled) out.append(out.empty() ? "" : " ").append(kind->name);
  return out;
}

TEST(Kinds, stand_by_falling_priority_under_their_schema_s_name) {
  std::set<std::string_view> seen;
  int last = std::numeric_limits<int>::max();
  for (const auto* kind : kinds()) {
    EXPECT_LE(kind->priority, last) << kind->name;
    last = kind->priority;
    EXPECT_TRUE(seen.insert(kind->name).second) << kind->name;
    EXPECT_EQ(kind->config().name(), kind->name);
    EXPECT_EQ(find_kind(kind->name), kind);
    EXPECT_NE(kind->phases, 0) << kind->name;
  }
  EXPECT_EQ(find_kind("no-such"), nullptr);
}

TEST(Kinds, are_those_that_are_bundled) {
  EXPECT_EQ(names("bundled"),
            "correlation-id cors key-auth basic-auth ip-restriction request-size-limiting acl rate-limiting "
            "request-transformer response-transformer prometheus http-log file-log request-termination");
}

TEST(Kinds, are_enabled_by_a_setting) {
  EXPECT_EQ(names("off"), "");
  EXPECT_EQ(names("acl, key-auth"), "key-auth acl") << "by priority";
  EXPECT_EQ(names("acl,acl"), "acl");
  const auto bundled = enabled_kinds("bundled"), with_one = enabled_kinds("acl,bundled");
  ASSERT_TRUE(bundled && with_one);
  EXPECT_EQ(bundled->size(), kinds().size());
  EXPECT_EQ(with_one->size(), kinds().size());
}

TEST(Kinds, that_are_unknown_are_named_together_with_the_known) {
  for (const auto* setting : {"bundled,no-such", "no-such", "acl,no-such"}) {
    const auto said = names(setting);
    EXPECT_NE(said.find("no plugin 'no-such'"), std::string::npos) << said;
    EXPECT_NE(said.find("key-auth"), std::string::npos) << said;
  }
  EXPECT_NE(names("off,acl").find("no plugin 'off'"), std::string::npos);
}

}  // namespace
}  // namespace weir::plugin
