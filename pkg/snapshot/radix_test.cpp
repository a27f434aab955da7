#include "snapshot/radix.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "snapshot/slots.h"

namespace weir::snapshot {
namespace {

using Map = std::map<std::string, int>;

// Short keys over few letters: many share prefixes, many are prefixes of others.
std::string random_key(std::mt19937& random) {
  std::string key;
  for (std::size_t length = random() % 9; length > 0; length--) key += static_cast<char>('a' + random() % 3);
  return key;
}

std::vector<int> values(const Radix<int>& radix) {
  std::vector<int> out;
  radix.for_each([&](int value) {
    out.push_back(value);
    return false;
  });
  return out;
}

std::vector<int> values(const Map& map) {
  std::vector<int> out;
  for (const auto& [key, value] : map) out.push_back(value);
  return out;
}

template <class View>
void expect_equal(const Radix<int>& radix, const Map& map, std::mt19937& random) {
  ASSERT_EQ(values(radix), values(map));
  ASSERT_EQ(radix.empty(), map.empty());
  for (int i = 0; i < 5; i++) {
    const auto key = random_key(random);
    const auto* found = radix.find(View{key});
    const auto wanted = map.find(key);
    ASSERT_EQ(found != nullptr, wanted != map.end()) << key;
    if (found) {
      ASSERT_EQ(*found, wanted->second) << key;
    }

    std::vector<int> prefixes, wanted_prefixes, under, wanted_under;
    radix.for_each_prefix(View{key}, [&](int value, std::size_t length) {
      EXPECT_LE(length, View{key}.size());
      prefixes.push_back(value);
      return false;
    });
    for (std::size_t length = key.size() + 1; length-- > 0;)
      if (const auto at = map.find(key.substr(0, length)); at != map.end()) wanted_prefixes.push_back(at->second);
    ASSERT_EQ(prefixes, wanted_prefixes) << key;

    radix.for_each_under(View{key}, [&](int value) {
      under.push_back(value);
      return false;
    });
    for (const auto& [each, value] : map)
      if (each.starts_with(key)) wanted_under.push_back(value);
    ASSERT_EQ(under, wanted_under) << key;
  }
}

template <class View>
void behaves_as_a_map(unsigned seed) {
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  Radix<int> radix;
  Map map;
  std::vector<std::pair<Radix<int>, Map>> kept;  // older versions
  for (int step = 0; step < 400; step++) {
    const auto key = random_key(random);
    if (random() % 3 == 0) {
      ASSERT_EQ(radix.erase(View{key}), map.erase(key) == 1) << key;
    } else {
      radix.edit(View{key}) = step;
      map[key] = step;
    }
    expect_equal<View>(radix, map, random);
    if (random() % 20 == 0) kept.emplace_back(radix, map);
  }
  for (const auto& [old_radix, old_map] : kept) expect_equal<View>(old_radix, old_map, random);
  while (!map.empty()) {
    ASSERT_TRUE(radix.erase(View{map.begin()->first}));
    map.erase(map.begin());
    ASSERT_EQ(values(radix), values(map));
  }
  EXPECT_TRUE(radix.empty());
}

TEST(Radix, behaves_as_a_sorted_map_and_keeps_older_versions) {
  for (unsigned seed = 0; seed < 30; seed++) behaves_as_a_map<Bytes>(seed);
}

TEST(Radix, does_so_by_half_bytes_too) {
  for (unsigned seed = 100; seed < 120; seed++) behaves_as_a_map<Nibbles>(seed);
}

TEST(Radix, reversed_keys_meet_at_their_ends) {
  Radix<int> radix;
  radix.edit(Reversed{".example.com"}) = 1;
  radix.edit(Reversed{"a.example.com"}) = 2;
  radix.edit(Reversed{".com"}) = 3;
  std::vector<int> found;
  radix.for_each_prefix(Reversed{"a.example.com"}, [&](int value, std::size_t) {
    found.push_back(value);
    return false;
  });
  EXPECT_EQ(found, (std::vector{2, 1, 3}));
}

TEST(Radix, visits_prefixes_longest_first_however_many_there_are) {
  Radix<std::size_t> radix;
  std::string key;
  for (std::size_t i = 0; i < 200; i++) radix.edit(Bytes{key += 'a'}) = i + 1;
  std::size_t expected = 200;
  radix.for_each_prefix(Bytes{key + "b"}, [&](std::size_t value, std::size_t length) {
    EXPECT_EQ(value, expected);
    EXPECT_EQ(length, expected);
    expected--;
    return false;
  });
  EXPECT_EQ(expected, 0u);
  EXPECT_TRUE(radix.for_each_prefix(Bytes{key}, [](std::size_t value, std::size_t) { return value == 3; }));
}

TEST(Radix, keys_hold_any_byte) {
  Radix<int> radix;
  for (int byte = 0; byte < 256; byte++) radix.edit(Bytes{std::string(2, static_cast<char>(byte))}) = byte;
  for (int byte = 0; byte < 256; byte++) EXPECT_EQ(*radix.find(Bytes{std::string(2, static_cast<char>(byte))}), byte);
}

TEST(SlotTable, shares_what_did_not_change) {
  SlotTable<int> table;
  for (Slot slot : {0u, 1u, 63u, 64u, 4095u, 4096u, 100000u}) table.set(slot, std::make_shared<int>(slot));
  auto copy = table;
  copy.set(64, nullptr);
  copy.set(63, std::make_shared<int>(-1));
  EXPECT_EQ(*table.at(64), 64);
  EXPECT_EQ(*table.at(63), 63);
  EXPECT_EQ(copy.at(64), nullptr);
  EXPECT_EQ(*copy.at(63), -1);
  EXPECT_EQ(copy.at(100000), table.at(100000));
  EXPECT_EQ(table.at(2), nullptr);
  EXPECT_EQ(table.at(99999), nullptr);
  EXPECT_EQ(table.at(no_slot), nullptr);
}

TEST(SlotPool, gives_out_the_smallest_free_slot_and_shrinks_at_the_end) {
  SlotPool pool;
  for (Slot slot = 0; slot < 1000; slot++) EXPECT_EQ(pool.take(), slot);
  pool.give_back(700);
  pool.give_back(3);
  const auto before = pool;
  EXPECT_EQ(pool.take(), 3u);
  EXPECT_EQ(pool.take(), 700u);
  EXPECT_EQ(pool.take(), 1000u);
  EXPECT_EQ(pool.end(), 1001u);
  for (Slot slot = 0; slot < 1000; slot++) pool.give_back(slot);
  EXPECT_EQ(pool.end(), 1001u);
  pool.give_back(1000);
  EXPECT_EQ(pool.end(), 0u);
  EXPECT_EQ(pool.take(), 0u);
  EXPECT_EQ(before.end(), 1000u);
}

}  // namespace
}  // namespace weir::snapshot
