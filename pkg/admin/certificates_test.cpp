#include "admin/fake_node.h"
#include "model/pem_for_tests.h"

namespace weir::admin {
namespace {

using model::testing::make_pem;
using Certificates = ApiTest;

boost::json::object pair_of(const model::testing::Pem& pem) {
  return {{"cert", pem.certificate}, {"key", pem.key}};
}

std::string body(std::initializer_list<std::pair<std::string_view, boost::json::value>> more = {}) {
  static const auto pem = make_pem();
  auto out = pair_of(pem);
  for (const auto& [name, value] : more) out[name] = value;
  return boost::json::serialize(out);
}

std::string id_in(const Reply& reply) {
  return std::string(reply.json().at("id").as_string());
}
std::string snis_in(const Reply& reply) {
  return boost::json::serialize(reply.json().at("snis"));
}

TEST_F(Certificates, are_made_and_shown_with_their_names) {
  const auto made = post("/certificates", body({{"snis", {"b.example", "*.a.example"}}, {"tags", {"t"}}}));
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(snis_in(made), R"(["*.a.example","b.example"])");
  EXPECT_TRUE(made.json().at("cert_alt").is_null());
  EXPECT_EQ(get("/certificates/" + id_in(made)).json(), made.json());
  EXPECT_EQ(get("/certificates/b.example").json(), made.json());
  EXPECT_EQ(rows_of(get("/certificates")).at(0), made.json());
  EXPECT_EQ(rows_of(get("/certificates?tags=t")).size(), 1u);
  EXPECT_EQ(rows_of(get("/certificates?tags=u")).size(), 0u);
  EXPECT_EQ(rows_of(get("/snis")).size(), 2u);
  EXPECT_EQ(rows_of(get("/certificates/" + id_in(made) + "/snis")).size(), 2u);
  EXPECT_EQ(get("/snis/b.example").json().at("certificate").at("id"), made.json().at("id"));
  EXPECT_EQ(snis_in(post("/certificates", body())), "[]");
}

TEST_F(Certificates, get_the_names_that_a_change_gives) {
  const auto made = post("/certificates", body({{"snis", {"a.example", "b.example"}}}));
  const auto path = "/certificates/" + id_in(made);
  EXPECT_EQ(snis_in(send("PATCH", path, R"({"snis":["b.example","c.example"]})")), R"(["b.example","c.example"])");
  EXPECT_EQ(get("/snis/a.example").status, 404u);
  EXPECT_EQ(snis_in(send("PATCH", "/certificates/c.example", R"({"tags":["x"]})")), R"(["b.example","c.example"])");
  EXPECT_EQ(get(path).json().at("tags").at(0), "x");
  EXPECT_EQ(snis_in(send("PATCH", path, R"({"snis":[]})")), "[]");
  EXPECT_EQ(send("PATCH", path, R"({"key":"x"})").status, 400u);
  EXPECT_EQ(snis_in(send("PUT", path, body({{"snis", {"d.example"}}}))), R"(["d.example"])");
}

TEST_F(Certificates, are_made_by_putting_a_name_that_nobody_has) {
  const auto made = send("PUT", "/certificates/new.example", body());
  ASSERT_EQ(made.status, 200u) << made.body;
  EXPECT_EQ(snis_in(made), R"(["new.example"])");
  EXPECT_EQ(id_in(send("PUT", "/certificates/new.example", body())), id_in(made));
  EXPECT_EQ(rows_of(get("/certificates")).size(), 1u);
}

TEST_F(Certificates, go_with_their_names) {
  const auto made = post("/certificates", body({{"snis", {"a.example"}}}));
  EXPECT_EQ(ask(*api, "DELETE", "/certificates/a.example").status, 204u);
  EXPECT_EQ(get("/certificates/" + id_in(made)).status, 404u);
  EXPECT_EQ(rows_of(get("/snis")).size(), 0u);
  EXPECT_EQ(ask(*api, "DELETE", "/certificates/" + id_in(made)).status, 204u) << "idempotent by id";
}

TEST_F(Certificates, say_what_is_wrong_with_names) {
  const auto first = post("/certificates", body({{"snis", {"a.example"}}}));
  for (const auto* method : {"GET", "PATCH", "DELETE"}) {
    const auto unknown = ask(*api, method, "/certificates/none.example", "{}", json_type);
    EXPECT_EQ(unknown.status, 404u) << method;
    EXPECT_EQ(unknown.message(), "SNI not found") << method;
  }
  const auto taken = post("/certificates", body({{"snis", {"a.example"}}}));
  EXPECT_EQ(taken.status, 400u);
  EXPECT_EQ(taken.message(),
            "schema violation (snis: a.example already associated with existing certificate '" + id_in(first) + "')");
  EXPECT_EQ(post("/certificates", body({{"snis", {"x.example", "x.example"}}})).message(),
            "schema violation (snis: x.example is duplicated)");
  EXPECT_EQ(post("/certificates", body({{"snis", {"x.example", "*.*"}}})).message(),
            "schema violation (snis.2: only one wildcard must be specified)");
  EXPECT_EQ(post("/certificates", body({{"snis", 1}})).message(), "schema violation (snis: expected a set)");
  EXPECT_EQ(rows_of(get("/certificates")).size(), 1u) << "nothing is made by halves";
}

TEST_F(Certificates, must_fit_their_key_and_never_tell_it) {
  const auto pem = make_pem(), other = make_pem();
  const auto refused =
      post("/certificates", boost::json::serialize(boost::json::object{{"cert", pem.certificate}, {"key", other.key}}));
  EXPECT_EQ(refused.status, 400u);
  EXPECT_EQ(refused.message(), "schema violation (certificate does not match key)");
  EXPECT_EQ(refused.body.find(other.key.substr(40, 30)), std::string::npos);
}

TEST_F(Certificates, have_snis_with_endpoints_of_their_own) {
  const auto id = id_in(post("/certificates", body()));
  const auto made = post("/snis", R"({"name":"a.example","certificate":{"id":")" + id + R"("},"tags":["t"]})");
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(get("/snis/a.example").json(), made.json());
  EXPECT_EQ(post("/certificates/" + id + "/snis", R"({"name":"b.example"})").status, 201u);
  EXPECT_EQ(snis_in(get("/certificates/" + id)), R"(["a.example","b.example"])");
  EXPECT_EQ(post("/snis", R"({"name":"a.example","certificate":{"id":")" + id + R"("}})").status, 409u);
  EXPECT_EQ(post("/snis", R"({"name":"c.example","certificate":{"id":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}})")
                .json()
                .at("code"),
            4);
  EXPECT_EQ(get("/snis/a.example/certificate").status, 404u);
}

TEST_F(Certificates, of_authorities_are_told_apart_by_their_digest) {
  const auto pem = make_pem({.name = "ca", .authority = true});
  const auto input = boost::json::serialize(boost::json::object{{"cert", pem.certificate}});
  const auto made = post("/ca_certificates", input);
  ASSERT_EQ(made.status, 201u) << made.body;
  EXPECT_EQ(made.json().at("cert_digest").as_string().size(), 64u);
  EXPECT_EQ(post("/ca_certificates", input).status, 409u);
  EXPECT_EQ(rows_of(get("/ca_certificates")).size(), 1u);
  const auto expired = make_pem({.name = "ca", .authority = true, .days = -1});
  EXPECT_EQ(
      post("/ca_certificates", boost::json::serialize(boost::json::object{{"cert", expired.certificate}})).message(),
      "schema violation (cert: certificate expired, \"Not After\" time is in the past)");
}

TEST_F(Certificates, reach_the_snapshot) {
  const auto made = post("/certificates", body({{"snis", {"a.example"}}}));
  ASSERT_EQ(made.status, 201u);
  EXPECT_TRUE(node.snapshot()->tls_context({}, "a.example"));
  EXPECT_FALSE(node.snapshot()->tls_context({}, "b.example"));
  EXPECT_EQ(ask(*api, "DELETE", "/certificates/" + id_in(made)).status, 204u);
  EXPECT_FALSE(node.snapshot()->tls_context({}, "a.example"));
}

}  // namespace
}  // namespace weir::admin
