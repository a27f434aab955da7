#include "base/json.h"

#include <gtest/gtest.h>

using weir::print_json;

TEST(PrintJson, prints_fractions_plainly) {
  EXPECT_EQ(print_json(1700000000.123), "1700000000.123");
  EXPECT_EQ(print_json(0.5), "0.5");
  EXPECT_EQ(boost::json::parse(print_json(1e300)).as_double(), 1e300);
}

TEST(PrintJson, reads_back_as_the_same_value) {
  for (const auto* text : {R"({})", R"([])", R"({"a":[1,-2,null,true,{"b":[]}],"c":"x\n\"\\é"})",
                           R"([18446744073709551615])", R"({"":{"":[[],{}]}})"}) {
    const auto value = boost::json::parse(text);
    EXPECT_EQ(boost::json::parse(print_json(value)), value) << text;
    EXPECT_EQ(print_json(value), boost::json::serialize(value));
  }
}
