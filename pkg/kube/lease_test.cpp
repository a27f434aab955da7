#include "kube/lease.h"

#include "kube/lease_record.h"
#include "kube/test_support.h"

namespace weir::kube {
namespace {

using std::chrono::milliseconds;
namespace json = boost::json;

// One lease as an API server keeps it: resourceVersions, conflicts, merge patches.
class Leases : public testing::Test {
 protected:
  void serve(const ScriptedServer::Request& request, ScriptedServer::Reply& reply) {
    std::lock_guard lock(mutex_);
    if (status_ != 0) return reply.answer(status_, R"({"message":"not now"})");
    if (hangs_) return reply.silence();
    if (request.method == "DELETE") {
      deleted_with_ = request.body;
      lease_.reset();
      return reply.answer(200, "{}");
    }
    if (request.method != "POST" && !lease_) return reply.answer(404, R"({"message":"not found"})");
    if (request.method == "GET") return reply.answer(200, json::serialize(*lease_));
    auto body = json::parse(request.body).get_object();
    if (request.method == "POST") {
      if (lease_) return reply.answer(409, R"({"message":"already exists"})");
      lease_ = json::object{};
      body["metadata"].get_object()["uid"] = fmt::format("uid-{}", revision_);
    }
    if (request.method == "PUT" &&
        body.at("metadata").at("resourceVersion") != lease_->at("metadata").at("resourceVersion"))
      return reply.answer(409, R"({"message":"the object has been modified"})");
    if (request.method == "PUT") lease_ = json::object{};
    merge(*lease_, body);
    writes_++;
    lease_->at("metadata").get_object()["resourceVersion"] = std::to_string(++revision_);
    reply.answer(200, json::serialize(*lease_));
  }
  static void merge(json::object& into, const json::object& from) {
    for (const auto& [name, value] : from)
      if (value.is_object() && into.contains(name) && into.at(name).is_object())
        merge(into.at(name).get_object(), value.get_object());
      else
        into[name] = value;
  }
  template <class Function>
  auto locked(Function function) {
    std::lock_guard lock(mutex_);
    return function();
  }
  std::string holder() {
    return locked([&] { return lease_ ? std::string(lease_->at("spec").at("holderIdentity").as_string()) : "none"; });
  }
  std::int64_t transitions() {
    return locked([&] { return lease_->at("spec").at("leaseTransitions").as_int64(); });
  }
  int writes() {
    return locked([&] { return writes_; });
  }
  std::string annotation(const char* name) {
    return locked([&]() -> std::string {
      if (!lease_) return "";
      const auto* found = lease_->at("metadata").at("annotations").as_object().if_contains(name);
      return found ? std::string(found->as_string()) : "";
    });
  }

  struct Candidate {
    Candidate(ScriptedServer& server, const std::string& identity) : kube(server.url()) {
      kube.on_thread([&] {
        election = Election::start(*kube.client,
                                   {"ns", "leader", identity, milliseconds(900), milliseconds(600), milliseconds(50)},
                                   [this](bool now) {
                                     leads = now;
                                     changes++;
                                   });
      });
    }
    ~Candidate() {
      kube.on_thread([&] { election.reset(); });
    }
    std::string fault() {
      return kube.on_thread([&] { return election->fault(); });
    }
    std::atomic<bool> leads = false;
    std::atomic<int> changes = 0;
    ClientForTests kube;
    std::unique_ptr<Election> election;
  };

  ScriptedServer server{[this](const auto& request, auto& reply) { serve(request, reply); }};
  std::mutex mutex_;
  std::optional<json::object> lease_;
  int revision_ = 100, writes_ = 0, status_ = 0;
  bool hangs_ = false;
  std::string deleted_with_;
};

TEST_F(Leases, have_one_leader_and_the_next_follows_when_it_releases) {
  auto one = std::make_unique<Candidate>(server, "one");
  ASSERT_TRUE(eventually([&] { return one->leads.load(); }));
  EXPECT_EQ(holder(), "one");
  EXPECT_EQ(transitions(), 0);
  Candidate two(server, "two");
  const auto before = writes();
  ASSERT_TRUE(eventually([&] { return writes() > before + 3; })) << "the leader renews";
  EXPECT_FALSE(two.leads);
  EXPECT_EQ(two.fault(), "");
  const auto released = std::chrono::steady_clock::now();
  one.reset();
  ASSERT_TRUE(eventually([&] { return two.leads.load(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - released, milliseconds(800)) << "it need not wait for the lease to end";
  EXPECT_EQ(holder(), "two");
  EXPECT_EQ(transitions(), 1) << "the release itself is none";
}

TEST_F(Leases, are_taken_over_when_their_record_has_not_changed_for_their_duration) {
  // Its holder's clock is an hour ahead: that does not keep it.
  locked([&] {
    lease_ = json::object{{"metadata", {{"name", "leader"}, {"resourceVersion", "7"}}},
                          {"spec",
                           {{"holderIdentity", "dead"},
                            {"leaseDurationSeconds", 1},
                            {"renewTime", print_micro_time(std::chrono::system_clock::now() + std::chrono::hours(1))},
                            {"leaseTransitions", 4}}}};
    return 0;
  });
  const auto began = std::chrono::steady_clock::now();
  Candidate two(server, "two");
  ASSERT_TRUE(eventually([&] { return two.leads.load(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - began, milliseconds(990));
  EXPECT_EQ(transitions(), 5);
}

TEST_F(Leases, are_given_up_when_they_cannot_be_renewed_and_taken_again_after) {
  for (const bool hangs : {false, true}) {
    Candidate one(server, "one");
    ASSERT_TRUE(eventually([&] { return one.leads.load(); }));
    const auto began = std::chrono::steady_clock::now();
    locked([&] { return hangs ? (hangs_ = true) : (status_ = 500) != 0; });
    ASSERT_TRUE(eventually([&] { return !one.leads; })) << hangs;
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_GE(took, milliseconds(450)) << "one failure is none";
    EXPECT_LT(took, milliseconds(2000));
    EXPECT_NE(one.fault().find("lease ns/leader: "), std::string::npos) << one.fault();
    locked([&] { return hangs_ = (status_ = 0) != 0; });
    server.end();
    ASSERT_TRUE(eventually([&] { return one.leads.load(); })) << hangs;
    EXPECT_EQ(one.changes, 3);
    EXPECT_EQ(one.fault(), "");
  }
}

TEST_F(Leases, are_lost_at_once_to_somebody_who_took_them) {
  Candidate one(server, "one");
  ASSERT_TRUE(eventually([&] { return one.leads.load(); }));
  locked([&] {
    lease_->at("spec").get_object()["holderIdentity"] = "thief";
    lease_->at("spec").get_object()["leaseDurationSeconds"] = 60;
    lease_->at("metadata").get_object()["resourceVersion"] = std::to_string(++revision_);
    return 0;
  });
  ASSERT_TRUE(eventually([&] { return !one.leads; }, milliseconds(450))) << "before the renew deadline";
  EXPECT_EQ(holder(), "thief");
}

class PresenceLease : public Leases {
 protected:
  void start(const char* uid = "pod-uid") {
    kube = std::make_unique<ClientForTests>(server.url());
    kube->on_thread([&] {
      presence = Presence::start(
          *kube->client, {"ns", "weir-a", "pod-a", {{"app", "weir"}}, uid, milliseconds(900), milliseconds(60)});
    });
  }
  void tell(const char* name, const std::string& value) {
    kube->on_thread([&] { presence->tell(name, value); });
  }
  void TearDown() override {
    if (kube) kube->on_thread([&] { presence.reset(); });
    kube.reset();
  }
  std::unique_ptr<ClientForTests> kube;
  std::unique_ptr<Presence> presence;
};

TEST_F(PresenceLease, is_made_renewed_and_deleted_at_the_end) {
  start();
  ASSERT_TRUE(eventually([&] { return writes() >= 3; }));
  locked([&] {
    const auto& metadata = lease_->at("metadata").as_object();
    EXPECT_EQ(metadata.at("labels").at("app"), "weir");
    const auto& owner = metadata.at("ownerReferences").as_array().at(0);
    EXPECT_EQ(owner.at("uid"), "pod-uid");
    EXPECT_EQ(owner.at("name"), "pod-a");
    EXPECT_EQ(owner.at("kind"), "Pod");
    EXPECT_EQ(lease_->at("spec").at("holderIdentity"), "pod-a");
    EXPECT_EQ(lease_->at("spec").at("leaseDurationSeconds"), 1);
    return 0;
  });
  kube->on_thread([&] { presence.reset(); });
  kube.reset();
  EXPECT_EQ(holder(), "none");
  EXPECT_EQ(json::parse(deleted_with_).at("preconditions").at("uid"), "uid-100");
}

TEST_F(PresenceLease, writes_what_it_is_told_a_few_times_a_second_at_most) {
  start();
  tell("first", "1");
  ASSERT_TRUE(eventually([&] { return annotation("first") == "1"; })) << "told before the lease was there";
  const auto before = writes();
  const auto began = std::chrono::steady_clock::now();
  int i = 0;
  while (std::chrono::steady_clock::now() - began < milliseconds(600)) tell("applied", std::to_string(++i));
  ASSERT_TRUE(eventually([&] { return annotation("applied") == std::to_string(i); }));
  EXPECT_LE(writes() - before, 6);
  EXPECT_EQ(annotation("first"), "1");
  EXPECT_GT(i, 100);
}

TEST_F(PresenceLease, takes_over_one_that_is_there_and_makes_it_anew_when_it_is_deleted) {
  locked([&] {
    lease_ = json::object{
        {"metadata", {{"name", "weir-a"}, {"uid", "older"}, {"resourceVersion", "7"}, {"annotations", {{"old", "x"}}}}},
        {"spec", {{"holderIdentity", "before"}}}};
    return 0;
  });
  start();
  tell("applied", "7");
  ASSERT_TRUE(eventually([&] { return holder() == "pod-a" && annotation("applied") == "7"; }));
  locked([&] {
    lease_.reset();
    return 0;
  });
  ASSERT_TRUE(eventually([&] { return annotation("applied") == "7"; })) << "with all that was told";
}

TEST_F(PresenceLease, goes_on_after_failures_with_what_it_was_told_meanwhile) {
  start();
  ASSERT_TRUE(eventually([&] { return writes() >= 1; }));
  locked([&] { return status_ = 503; });
  tell("applied", "8");
  const auto asked = server.requests().size();
  ASSERT_TRUE(eventually([&] { return server.requests().size() > asked; }));
  locked([&] { return status_ = 0; });
  ASSERT_TRUE(eventually([&] { return annotation("applied") == "8"; }));
}

TEST(LeaseRecord, that_is_no_lease_is_refused) {
  for (const auto* text : {"", "[]", "{}", R"({"metadata":1})"}) EXPECT_FALSE(LeaseRecord::parse(text)) << text;
  const auto nobodys = LeaseRecord::parse(R"({"metadata":{"name":"x"}})");
  ASSERT_TRUE(nobodys);
  EXPECT_EQ(nobodys->holder, "");
}

}  // namespace
}  // namespace weir::kube
