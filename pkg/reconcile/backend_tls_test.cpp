// BackendTLSPolicy: which one is in force, what it makes of a route's backends, and what it says of itself.
#include "reconcile/backend_tls.h"

#include "model/pem_for_tests.h"
#include "reconcile/gateway_test_support.h"

namespace weir::reconcile {
namespace {

constexpr std::string_view old = "2026-01-01T00:00:00Z", young = "2026-01-02T00:00:00Z";

class BackendTlsPolicies : public testing::Test {
 protected:
  BackendTlsPolicies() { put_config_map("authorities", pem.certificate); }

  void put_config_map(std::string_view name, std::string_view text) {
    view.put({{"kind", "ConfigMap"},
              {"metadata", Object{{"name", name}, {"namespace", "infra"}}},
              {"data", Object{{"ca.crt", text}}}});
  }
  // A policy of the Service one; section: of its targetRef, with a comma before it.
  void put_policy(std::string_view name, std::string_view validation, std::string_view section = "",
                  std::string_view created = old) {
    view.put(fmt::format(R"(
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {{name: {}, namespace: infra, generation: 2, creationTimestamp: "{}"}}
spec: {{targetRefs: [{{group: "", kind: Service, name: two{}}}], validation: {{{}}}}}
)",
                         name, created, section, validation));
  }
  // What the one backend of a route becomes.
  model::WeightedService backend() {
    auto out = translated_route(view, "parentRefs: [{name: gate}], rules: [{backendRefs: [{name: two, port: 8080}]}]");
    EXPECT_EQ(parent_state(out, "ResolvedRefs"), "True/ResolvedRefs");
    view.tells.clear();
    for (const auto& tell : out.tells) ++view.tells[std::string(tell.about.kind) + " " + tell.name.text()][tell.text];
    for (const auto& change : out.gateway)
      if (change.route) return change.route->services.at(0);
    ADD_FAILURE() << "no route";
    return {};
  }
  // Its only ancestor's conditions, as "Accepted ResolvedRefs".
  std::string verdict(const std::string& policy) {
    const auto out = translated(view, {"infra", policy}, kinds::backend_tls_policy);
    if (!out.status) return "no status";
    const auto& ancestors = array_of(*out.status, {"ancestors"});
    EXPECT_EQ(ancestors.size(), 1u);
    EXPECT_EQ(text_of(object_of(object_in(ancestors[0]), {"ancestorRef"}), "name"), "gate");
    const auto& conditions = array_of(object_in(ancestors[0]), {"conditions"});
    return state(conditions, "Accepted") + " " + state(conditions, "ResolvedRefs");
  }

  FakeView view = gateway_view();
  const model::testing::Pem pem = model::testing::make_pem({.authority = true});
};

constexpr std::string_view valid =
    R"(hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: authorities}])";

TEST_F(BackendTlsPolicies, without_a_route_say_nothing) {
  put_policy("policy", valid);
  EXPECT_FALSE(translated(view, {"infra", "policy"}, kinds::backend_tls_policy).status);
}

TEST_F(BackendTlsPolicies, are_obeyed_by_the_backends_of_routes) {
  put_policy("policy", std::string(valid) +
                           ", subjectAltNames: [{type: Hostname, hostname: b.com}, {type: URI, uri: 'spiffe://c'}]");
  const auto service = backend();
  ASSERT_TRUE(service.tls);
  EXPECT_FALSE(service.service.is_nil());
  EXPECT_EQ(service.tls->hostname, "a.com");
  EXPECT_EQ(service.tls->names, std::vector<std::string>{"b.com"});
  EXPECT_EQ(service.tls->uris, std::vector<std::string>{"spiffe://c"});
  EXPECT_EQ(service.tls->authorities, pem.certificate + "\n");
  EXPECT_EQ(verdict("policy"), "True/Accepted True/ResolvedRefs");
}

TEST_F(BackendTlsPolicies, may_trust_the_system) {
  put_policy("policy", "hostname: a.com, wellKnownCACertificates: System");
  ASSERT_TRUE(backend().tls);
  EXPECT_EQ(backend().tls->authorities, "");
  EXPECT_EQ(verdict("policy"), "True/Accepted True/ResolvedRefs");
}

TEST_F(BackendTlsPolicies, of_a_port_go_before_those_of_the_service_and_old_ones_before_young_ones) {
  put_policy("whole", valid, "", old);
  put_policy("younger", "hostname: younger.com, wellKnownCACertificates: System", ", sectionName: first", young);
  put_policy("older", "hostname: older.com, wellKnownCACertificates: System", ", sectionName: first", old);
  ASSERT_TRUE(backend().tls);
  EXPECT_EQ(backend().tls->hostname, "older.com");
  EXPECT_EQ(verdict("older"), "True/Accepted True/ResolvedRefs");
  EXPECT_EQ(verdict("younger"), "False/Conflicted True/ResolvedRefs");
  EXPECT_EQ(verdict("whole"), "True/Accepted True/ResolvedRefs");
}

struct Refused {
  std::string_view validation, verdict;
};
class BackendTlsRefusals : public BackendTlsPolicies, public testing::WithParamInterface<Refused> {};

TEST_P(BackendTlsRefusals, leave_no_backend_that_is_spoken_to_in_plain) {
  put_config_map("broken", "-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----");
  put_policy("policy", GetParam().validation);
  EXPECT_TRUE(backend().service.is_nil());
  EXPECT_EQ(verdict("policy"), GetParam().verdict);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, BackendTlsRefusals,
    testing::Values(
        Refused{R"(hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: nobody}])",
                "False/NoValidCACertificate False/InvalidCACertificateRef"},
        Refused{R"(hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: broken}])",
                "False/NoValidCACertificate False/InvalidCACertificateRef"},
        Refused{R"(hostname: a.com, caCertificateRefs: [{group: "", kind: Secret, name: authorities}])",
                "False/NoValidCACertificate False/InvalidKind"},
        Refused{"hostname: a.com", "False/NoValidCACertificate False/InvalidCACertificateRef"}));

TEST_F(BackendTlsPolicies, keep_the_references_that_are_good) {
  put_policy("policy", R"(hostname: a.com, caCertificateRefs: [{group: "", kind: ConfigMap, name: nobody},
                          {group: "", kind: ConfigMap, name: authorities}])");
  EXPECT_TRUE(backend().tls);
  EXPECT_EQ(verdict("policy"), "True/Accepted False/InvalidCACertificateRef");
}

}  // namespace
}  // namespace weir::reconcile
