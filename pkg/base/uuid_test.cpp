#include "base/uuid.h"

#include <gtest/gtest.h>

using weir::Uuid;

TEST(Uuid, reads_what_it_prints) {
  const auto id = Uuid::random();
  EXPECT_EQ(Uuid::parse(id.text()), id);
  EXPECT_EQ(id.text()[14], '4');
  EXPECT_NE(Uuid::random(), id);
}

TEST(Uuid, reads_either_case) {
  EXPECT_EQ(Uuid::parse("0DC6F45B-8F8D-40D2-A504-473544EE190B")->text(), "0dc6f45b-8f8d-40d2-a504-473544ee190b");
}

TEST(Uuid, refuses_other_forms) {
  for (const auto* bad : {"", "0dc6f45b8f8d40d2a504473544ee190b", "0dc6f45b-8f8d-40d2-a504-473544ee190",
                          "0dc6f45b-8f8d-40d2-a504-473544ee190g", "0dc6f45b-8f8d-40d2-a504473544-ee190b",
                          "{dc6f45b-8f8d-40d2-a504-473544ee190b"})
    EXPECT_FALSE(Uuid::parse(bad)) << bad;
}

TEST(Uuid, makes_the_known_name_based_ids) {
  // RFC 9562 appendix A.4: version 5 of www.example.com in the DNS namespace.
  const auto dns = *Uuid::parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
  EXPECT_EQ(Uuid::from_name(dns, "www.example.com").text(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
}
