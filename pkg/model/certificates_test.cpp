#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "model/entities.h"
#include "model/pem.h"
#include "model/pem_for_tests.h"

namespace weir::model {
namespace {

using testing::make_pem;
using testing::Pem;

const Pem& ecdsa() {
  static const auto made = make_pem();
  return made;
}
const Pem& rsa() {
  static const auto made = make_pem({.rsa = true});
  return made;
}
const Pem& authority() {
  static const auto made = make_pem({.name = "ca", .authority = true});
  return made;
}

template <class T>
std::string wrong(Object input) {
  const auto made = schema<T>().insert(std::move(input), 1000);
  return made ? "" : made.error().message;
}

TEST(Certificates, are_kept_as_given) {
  const auto made = schema<Certificate>().insert(
      {{"cert", ecdsa().certificate}, {"key", ecdsa().key}, {"cert_alt", rsa().certificate}, {"key_alt", rsa().key}},
      1000);
  ASSERT_TRUE(made) << made.error().message;
  const auto read_back = read<Certificate>(*made);
  EXPECT_EQ(read_back.cert, ecdsa().certificate);
  EXPECT_EQ(read_back.key, ecdsa().key);
  EXPECT_EQ(read_back.key_alt, rsa().key);
}

TEST(Certificates, say_what_is_wrong_without_telling_the_key) {
  const auto other = make_pem();
  struct {
    Object input;
    std::string_view message;
  } cases[] = {
      {{{"cert", "x"}, {"key", ecdsa().key}}, "schema violation (cert: invalid certificate: no start line)"},
      {{{"cert", ecdsa().certificate}, {"key", ecdsa().key.substr(0, 80)}}, "schema violation (key: invalid key: "},
      {{{"cert", ecdsa().certificate}}, "schema violation (key: required field missing)"},
      {{{"cert", ecdsa().certificate}, {"key", other.key}}, "schema violation (certificate does not match key)"},
      {{{"cert", ecdsa().certificate}, {"key", ecdsa().key}, {"cert_alt", rsa().certificate}},
       "schema violation (all or none of these fields must be set: 'cert_alt', 'key_alt')"},
      {{{"cert", ecdsa().certificate}, {"key", ecdsa().key}, {"cert_alt", rsa().certificate}, {"key_alt", other.key}},
       "schema violation (alternative certificate does not match key)"},
      {{{"cert", ecdsa().certificate}, {"key", ecdsa().key}, {"cert_alt", other.certificate}, {"key_alt", other.key}},
       "schema violation (certificate and alternative certificate need to have different type (e.g. RSA and ECDSA), "
       "the provided certificates were both of the same type)"}};
  for (const auto& each : cases) {
    const auto message = wrong<Certificate>(each.input);
    EXPECT_TRUE(message.starts_with(each.message)) << message;
    EXPECT_EQ(message.find(ecdsa().key.substr(40, 20)), message.npos);
  }
}

TEST(Snis, are_names_with_at_most_one_star) {
  const Object certificate{{"id", Uuid::random().text()}};
  for (const char* name : {"a.example", "*.example", "a.*", "*"})
    EXPECT_EQ(wrong<Sni>({{"name", name}, {"certificate", certificate}}), "") << name;
  EXPECT_EQ(wrong<Sni>({{"name", "*.*"}, {"certificate", certificate}}),
            "schema violation (name: only one wildcard must be specified)");
  EXPECT_EQ(wrong<Sni>({{"name", "a"}}), "schema violation (certificate: required field missing)");
}

TEST(CaCertificates, are_one_certificate_of_an_authority) {
  const auto made = schema<CaCertificate>().insert({{"cert", authority().certificate}}, 1000);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->at("cert_digest").get_string(), certificate_digest(authority().certificate));
  EXPECT_EQ(made->at("cert_digest").get_string().size(), 64u);
  EXPECT_EQ(wrong<CaCertificate>({{"cert", authority().certificate + authority().certificate}}),
            "schema violation (cert: please submit only one certificate at a time)");
  EXPECT_EQ(wrong<CaCertificate>({{"cert", ecdsa().certificate}}),
            "schema violation (cert: certificate does not appear to be a CA because it is missing the \"CA\" basic "
            "constraint)");
  EXPECT_EQ(wrong<CaCertificate>({{"cert", "x"}}), "schema violation (cert: invalid certificate: no start line)");
}

TEST(CaCertificates, know_whether_they_have_run_out) {
  EXPECT_FALSE(has_expired(authority().certificate));
  EXPECT_TRUE(has_expired(make_pem({.authority = true, .days = -1}).certificate));
}

}  // namespace
}  // namespace weir::model
