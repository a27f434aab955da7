// What clients hear while the database is away.
#include "admin/fake_node.h"

namespace weir::admin {
namespace {

using model::Outcome;

class AwayStore final : public store::Store {
  static auto away() { return std::unexpected(model::database_unavailable("the database at db:5432 does not answer")); }

 public:
  std::string_view name() const override { return "postgres"; }
  Result<void> load(const std::function<void(const model::Schema&, model::Object)>&,
                    const std::function<void(store::Fault)>&) override {
    return fail("away");
  }
  Outcome<std::optional<model::Object>> find(const model::Schema&, const Uuid&) override { return away(); }
  Outcome<std::optional<model::Object>> find_by(const model::Schema&, std::string_view, std::string_view,
                                                const Uuid*) override {
    return away();
  }
  Outcome<std::vector<model::Object>> find_all(const model::Schema&, std::string_view, std::string_view) override {
    return away();
  }
  Outcome<store::Page> page(const model::Schema&, const store::PageQuery&) override { return away(); }
  Outcome<store::TagPage> tags(const std::optional<std::string>&, std::size_t, std::string_view) override {
    return away();
  }
  Outcome<store::Written> insert(const model::Schema&, const model::Object&) override { return away(); }
  Outcome<store::Written> update(const model::Schema&, const model::Object&) override { return away(); }
  Outcome<store::Written> upsert(const model::Schema&, const model::Object&) override { return away(); }
  Outcome<store::Changes> remove(const model::Schema&, const Uuid&) override { return away(); }
  using Entities = std::vector<std::pair<const model::Schema*, model::Object>>;
  Outcome<store::Changes> insert_all(const Entities&) override { return away(); }
  Outcome<store::Changes> upsert_all(const Entities&) override { return away(); }
  Outcome<store::Changes> replace_all(const Entities&) override { return away(); }
  bool reachable() override { return false; }
};

class WhileAway : public ApiTest {
 protected:
  WhileAway() { api = Api::make(away_, node, {}, inline_threads()); }
  AwayStore away_;
};

TEST_F(WhileAway, entities_are_refused_with_the_reason_and_when_to_try_again) {
  const std::vector<std::pair<std::string, std::string>> asked{{"GET", "/services"},
                                                               {"GET", "/services/s"},
                                                               {"POST", "/services"},
                                                               {"PUT", "/services/s"},
                                                               {"PATCH", "/services/s"},
                                                               {"DELETE", "/services/s"},
                                                               {"GET", "/services/s/routes"},
                                                               {"POST", "/services/s/plugins"},
                                                               {"GET", "/tags"},
                                                               {"GET", "/upstreams/u/health"},
                                                               {"GET", "/consumers?custom_id=x"},
                                                               {"GET", "/routes/r/service"},
                                                               {"POST", "/apis"}};
  for (const auto& [method, target] : asked) {
    const auto body = target == "/apis" ? R"({"name":"a","hosts":["h"],"upstream_url":"http://h"})" : R"({"host":"h"})";
    const auto reply = send(method, target, body);
    EXPECT_EQ(reply.status, 503u) << method << target << reply.body;
    EXPECT_EQ(reply.message(), "the database at db:5432 does not answer") << target;
    EXPECT_EQ(reply.header("Retry-After"), "1") << target;
  }
  EXPECT_EQ(node.applied, 0);
}

TEST_F(WhileAway, the_node_still_shows_itself) {
  node.reachable = false;
  EXPECT_EQ(get("/status").json().at("database").at("reachable"), false);
  for (const auto* path : {"/", "/metrics", "/endpoints", "/schemas/plugins", "/plugins/enabled", "/openapi.json"})
    EXPECT_EQ(get(path).status, 200u) << path;
}

}  // namespace
}  // namespace weir::admin
