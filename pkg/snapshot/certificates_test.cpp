#include "snapshot/certificates.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "model/pem_for_tests.h"
#include "snapshot/gateway_test_support.h"

namespace weir::snapshot {
namespace {

using namespace testing;

// The certificate `number`, for the host "c<number>.example".
store::Change put_certificate(std::uint32_t number, const model::testing::Pem& pem) {
  return put<model::Certificate>(
      number, boost::json::serialize(boost::json::object{{"cert", pem.certificate}, {"key", pem.key}}));
}
store::Change put_certificate(std::uint32_t number) {
  return put_certificate(number, model::testing::make_pem({.name = fmt::format("c{}.example", number)}));
}
store::Change put_sni(std::uint32_t number, std::string_view name, std::uint32_t certificate) {
  return put<model::Sni>(number, fmt::format(R"({{"name":"{}","certificate":{}}})", name, reference(certificate)));
}

// Of "c7.example" 7; 0: there is none.
int shown(const SnapshotPtr& snapshot, std::string_view sni, const Uuid& entry = {}) {
  auto* context = snapshot->tls_context(entry, sni);
  for (int number = 1; context && number < 10; number++)
    if (is_for(context, fmt::format("c{}.example", number))) return number;
  return 0;
}

std::string faults_of(const Snapshot& snapshot) {
  std::string out;
  for (const auto& fault : snapshot.faults()) out += fmt::format("{}: {}\n", fault.origin.id.bytes[15], fault.message);
  return out;
}

TEST(Certificates, the_exact_name_goes_first_then_wildcards_then_the_one_for_all) {
  auto snapshot = compile_all({put_certificate(1), put_certificate(2), put_certificate(3), put_certificate(4),
                               put_sni(11, "A.b.example", 1), put_sni(12, "*.b.example", 2), put_sni(13, "a.b.*", 3)});
  EXPECT_EQ(shown(snapshot, "a.b.example"), 1);
  EXPECT_EQ(shown(snapshot, "A.B.example"), 1);
  EXPECT_EQ(shown(snapshot, "x.b.example"), 2);
  EXPECT_EQ(shown(snapshot, "x.x.b.example"), 0);  // Kong: the star is one label
  EXPECT_EQ(shown(snapshot, "a.b.org"), 3);
  EXPECT_EQ(shown(snapshot, "other"), 0);
  EXPECT_EQ(shown(snapshot, ""), 0);
  snapshot = compile_all({put_sni(14, "*", 4)}, snapshot);
  EXPECT_EQ(shown(snapshot, "other"), 4);
  EXPECT_EQ(shown(snapshot, "a.b.example"), 1);
  EXPECT_EQ(shown(snapshot, ""), 0);
}

TEST(Certificates, come_and_go_behind_their_names) {
  auto snapshot = compile_all({put_sni(11, "a.example", 1)});
  EXPECT_EQ(faults_of(*snapshot), "11: its certificate 00000000-0000-0000-0000-000000000001 is missing\n");
  EXPECT_EQ(shown(snapshot, "a.example"), 0);
  const auto before = snapshot = compile_all({put_certificate(1)}, snapshot);
  EXPECT_EQ(faults_of(*snapshot), "");
  EXPECT_EQ(shown(snapshot, "a.example"), 1);
  snapshot = compile_all({put_certificate(2), put_sni(11, "b.example", 2)}, snapshot);
  EXPECT_EQ(shown(snapshot, "a.example"), 0);
  EXPECT_EQ(shown(snapshot, "b.example"), 2);
  snapshot = compile_all({drop<model::Certificate>(2)}, snapshot);
  EXPECT_EQ(faults_of(*snapshot), "11: its certificate 00000000-0000-0000-0000-000000000002 is missing\n");
  snapshot = compile_all({drop<model::Sni>(11)}, snapshot);
  EXPECT_EQ(faults_of(*snapshot), "");
  EXPECT_EQ(shown(before, "a.example"), 1);
}

TEST(Certificates, one_that_is_the_same_again_keeps_its_context_and_a_new_one_replaces_it) {
  const auto pem = model::testing::make_pem({.name = "c1.example"});
  auto snapshot = compile_all({put_certificate(1, pem), put_sni(11, "a.example", 1)});
  auto* first = snapshot->tls_context({}, "a.example");
  snapshot = compile_all({put_certificate(1, pem)}, snapshot);
  EXPECT_EQ(snapshot->tls_context({}, "a.example"), first);
  snapshot = compile_all({put_certificate(1, model::testing::make_pem({.name = "c5.example"}))}, snapshot);
  EXPECT_EQ(shown(snapshot, "a.example"), 5);
}

TEST(Certificates, a_broken_one_keeps_its_last_good_version) {
  auto snapshot = compile_all({put_certificate(1), put_sni(11, "a.example", 1)});
  auto broken = put_certificate(1);
  (*broken.now)["key"] = "no key";
  snapshot = compile_all({broken}, snapshot);
  EXPECT_EQ(shown(snapshot, "a.example"), 1);
  EXPECT_TRUE(faults_of(*snapshot).starts_with("1: the key cannot be read: ")) << faults_of(*snapshot);
  auto other = put_certificate(1);
  (*other.now)["key"] = model::testing::make_pem().key;
  snapshot = compile_all({other}, snapshot);
  EXPECT_TRUE(faults_of(*snapshot).starts_with("1: the certificate and the key cannot be used together"));
  (*other.now)["cert"] = "no certificate";
  snapshot = compile_all({other}, snapshot);
  EXPECT_TRUE(faults_of(*snapshot).starts_with("1: the certificate cannot be read: "));
  EXPECT_EQ(shown(snapshot, "a.example"), 1);
}

TEST(Certificates, of_one_name_in_two_sources_kubernetes_is_in_force) {
  auto snapshot = compile(nullptr, {put_certificate(1), put_sni(11, "a.example", 1)}, "postgres");
  snapshot = compile(snapshot, {put_certificate(2), put_sni(12, "a.example", 2)}, "kube");
  EXPECT_EQ(shown(snapshot, "a.example"), 2);
  EXPECT_EQ(faults_of(*snapshot),
            "11: its name 'a.example' is that of SNI 00000000-0000-0000-0000-00000000000c of kube\n");
  snapshot = compile(snapshot, {drop<model::Sni>(12)}, "kube");
  EXPECT_EQ(shown(snapshot, "a.example"), 1);
  EXPECT_EQ(faults_of(*snapshot), "");
}

TEST(Certificates, of_an_entry_are_those_of_the_listener_that_the_name_selects) {
  auto change = put_entry(entry_number, {"", "*.example", "only.example"}, true);
  auto entry = *change.entry;
  entry.listeners[0].certificates = {id(1)};
  entry.listeners[1].certificates = {id(9), id(2), id(3)};  // 9 is missing
  change.entry = std::make_shared<const model::Entry>(entry);
  const auto snapshot =
      compile_gateway({change}, nullptr, {put_certificate(1), put_certificate(2), put_certificate(3)});
  const auto of_entry = [&](std::string_view sni) { return shown(snapshot, sni, id(entry_number)); };
  EXPECT_EQ(of_entry("other.org"), 1);
  EXPECT_EQ(of_entry(""), 1);
  EXPECT_EQ(of_entry("x.example"), 2);   // the first that is there
  EXPECT_EQ(of_entry("c3.example"), 3);  // the one that is for this name
  EXPECT_EQ(of_entry("only.example"), 0);
  EXPECT_EQ(shown(snapshot, "other.org", id(77)), 0);
}

}  // namespace
}  // namespace weir::snapshot
