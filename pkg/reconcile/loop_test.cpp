#include "reconcile/loop.h"

#include <gtest/gtest.h>

#include "reconcile/kube_for_tests.h"

namespace weir::reconcile {
namespace {

const Kind thing{"test.dev", "v1", "Thing", "things"};

// spec {slots, fault, secret, service}: an upstream, and a status that claims to be served.
Output translate(const Name& name, const Object& object, View& view) {
  Output out;
  const auto& spec = object.at("spec").as_object();
  const auto generation = fields::generation(object);
  out.by = std::make_shared<const model::DeclaredBy>(model::DeclaredBy{"Thing", name.text(), generation});
  if (const auto secret = fields::text_at(spec, "secret"); !secret.empty())
    view.get(kinds::secret, Name{name.space, std::string(secret)});
  out.entities.push_back({model::find_schema("upstreams"), entity_id("Thing", name),
                          Object{{"name", name.text()}, {"slots", spec.at("slots")}}});
  if (const auto service = fields::text_at(spec, "service"); !service.empty())
    out.applied.push_back({{"apiVersion", "v1"},
                           {"kind", "Service"},
                           {"metadata", {{"namespace", name.space}, {"name", service}}},
                           {"spec", {{"ports", {{{"port", 80}}}}}}});
  out.fault = fields::text_at(spec, "fault");
  if (!out.fault.empty()) out.fault_reason = "Faulty";
  out.status = Object{{"conditions",
                       {condition("Accepted", "True", "Accepted", "", generation),
                        condition("weir.dev/Served", "True", "Served", "", generation)}}};
  return out;
}

struct Bench {
  FakeClient client;
  FakeInformers informers;
  Settings settings;
  metrics::Histogram latency{metrics::own_latency_bounds};
  std::vector<Batch> batches;
  std::vector<std::string> told;
  std::unique_ptr<Loop> loop;

  explicit Bench(bool synced = true) {
    settings.pod_name = "me";
    settings.own_namespace = "weir";
    informers.is_synced = synced;
    loop = std::make_unique<Loop>(
        client, settings, [this](Batch batch) { batches.push_back(std::move(batch)); }, latency,
        std::vector<UnitKind>{{thing, translate}});
    loop->begin(informers);
    loop->present([this](std::string revisions) { told.push_back(std::move(revisions)); });
  }
  void set(const std::string& name, Object spec, std::int64_t generation = 1) {
    Object object{{"apiVersion", "test.dev/v1"},
                  {"kind", "Thing"},
                  {"metadata", {{"namespace", "ns"}, {"name", name}, {"generation", generation}}},
                  {"spec", std::move(spec)}};
    if (const auto old = informers.get(thing, {"ns", name}); old && old->contains("status"))
      object["status"] = old->at("status");
    loop->changed(thing, informers.set(thing, std::move(object)));
  }
  void settle() {
    loop->idle();
    client.run_posted();
  }
  void adopt(std::vector<Refusal> refused = {}) { loop->adopted(batches.back().number, std::move(refused)); }
  // All batches are adopted, and the object's status is what was written. Returns how many writes there were.
  std::size_t write_all() {
    std::size_t writes = 0;
    while (!client.sent.empty()) {
      const auto& request = client.sent.front();
      if (request.path.find("/status") != std::string::npos) {
        auto body = request.json();
        const auto& metadata = body.at("metadata").as_object();
        const Name name{std::string(fields::text_at(metadata, "namespace")),
                        std::string(fields::text_at(metadata, "name"))};
        auto object = *informers.get(thing, name);
        object["status"] = body.at("status");
        informers.put(thing, object);
        ++writes;
        client.answer(200, boost::json::serialize(object));
      } else {
        client.answer(201);
      }
    }
    return writes;
  }
  std::string served(const std::string& name) const {
    const auto object = informers.get(thing, {"ns", name});
    if (!object || !object->contains("status")) return "";
    for (const auto& value : object->at("status").at("conditions").as_array())
      if (fields::text_at(value.as_object(), "type") == "weir.dev/Served")
        return fmt::format("{} {}", fields::text_at(value.as_object(), "status"),
                           fields::text_at(value.as_object(), "message"));
    return "";
  }
  void see_replica(const std::string& pod, std::uint64_t revision, int renewal = 1) {
    Object lease{
        {"metadata",
         {{"namespace", "weir"},
          {"name", "weir-" + pod},
          {"labels", {{Replicas::label, "true"}}},
          {"annotations", {{Replicas::annotation, print_revisions({{"things.test.dev", revision}})}}}}},
        {"spec", {{"holderIdentity", pod}, {"renewTime", std::to_string(renewal)}, {"leaseDurationSeconds", 600}}}};
    loop->changed(kinds::lease, informers.set(kinds::lease, std::move(lease)));
  }
  std::uint64_t revision_of(const std::string& name) { return fields::revision(*informers.get(thing, {"ns", name})); }
};

TEST(Loop, hands_out_nothing_before_all_is_known_and_then_all_at_once) {
  Bench b(false);
  b.set("one", {{"slots", 10}});
  b.settle();
  EXPECT_TRUE(b.batches.empty());
  b.informers.is_synced = true;
  b.settle();
  ASSERT_EQ(b.batches.size(), 1u);
  EXPECT_TRUE(b.batches[0].complete);
  EXPECT_EQ(b.batches[0].entities.size(), 1u);
}

TEST(Loop, the_first_batch_comes_also_when_it_is_empty) {
  Bench b;
  b.settle();
  ASSERT_EQ(b.batches.size(), 1u);
  EXPECT_TRUE(b.batches[0].complete);
  b.settle();
  EXPECT_EQ(b.batches.size(), 1u);
}

TEST(Loop, the_first_batch_waits_for_secrets_that_are_referred_to) {
  Bench b;
  b.set("one", {{"slots", 10}, {"secret", "s"}});
  b.settle();
  EXPECT_TRUE(b.batches.empty());
  b.informers.answer(kinds::secret, {"ns", "s"});
  b.loop->changed(kinds::secret, {"ns", "s"});
  b.settle();
  ASSERT_EQ(b.batches.size(), 1u);
  EXPECT_EQ(b.batches[0].entities.size(), 1u);
}

TEST(Loop, thousands_of_units_are_one_first_batch_taken_in_turns) {
  Bench b;
  for (int i = 0; i < 1200; ++i) b.set(std::to_string(i), {{"slots", 10}});
  b.loop->idle();
  EXPECT_TRUE(b.batches.empty()) << "the thread is given back in between";
  EXPECT_EQ(b.client.posted.size(), 1u);
  b.client.run_posted();
  ASSERT_EQ(b.batches.size(), 1u);
  EXPECT_EQ(b.batches[0].entities.size(), 1200u);
}

TEST(Loop, changes_gather_while_workers_are_behind) {
  Bench b;
  b.settle();
  for (int i = 0; i < 20; ++i) {
    b.set(std::to_string(i), {{"slots", 10}});
    b.settle();
  }
  ASSERT_EQ(b.batches.size(), Loop::batches_out_max);
  b.adopt();
  EXPECT_EQ(b.batches.size(), Loop::batches_out_max + 1);
  EXPECT_EQ(b.batches.back().entities.size(), 21 - Loop::batches_out_max);
}

TEST(Loop, status_is_written_by_the_leader_once_it_is_served) {
  Bench b;
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  EXPECT_TRUE(b.client.sent.empty()) << "not the leader";
  b.loop->leads(true);
  b.loop->idle();
  EXPECT_EQ(b.write_all(), 1u);
  EXPECT_EQ(b.served("one"), "True 1 of 1 replicas");

  b.set("one", {{"slots", 11}}, 2);
  b.settle();
  EXPECT_TRUE(b.client.sent.empty()) << "no worker serves it yet";
  b.adopt();
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].path, "/apis/test.dev/v1/namespaces/ns/things/one/status?fieldManager=weir&force=true");
  EXPECT_EQ(b.client.sent[0].content_type, "application/apply-patch+yaml");
  EXPECT_EQ(b.write_all(), 1u);
  // Its own write comes back by the watch: nothing more is written.
  b.loop->changed(thing, {"ns", "one"});
  b.settle();
  EXPECT_EQ(b.write_all(), 0u);
}

TEST(Loop, a_change_that_changes_nothing_that_is_served_has_its_status_at_once) {
  Bench b;
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  b.loop->leads(true);
  b.loop->idle();
  b.write_all();
  b.set("one", {{"slots", 10}, {"unused", 1}}, 2);
  b.settle();
  EXPECT_EQ(b.batches.size(), 1u);
  EXPECT_EQ(b.write_all(), 1u);
}

TEST(Loop, a_status_that_somebody_took_away_is_written_again) {
  Bench b;
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  b.loop->leads(true);
  b.loop->idle();
  b.write_all();
  auto object = *b.informers.get(thing, {"ns", "one"});
  object.erase("status");
  b.informers.set(thing, object);
  b.loop->changed(thing, {"ns", "one"});
  b.settle();
  EXPECT_EQ(b.write_all(), 1u);
}

TEST(Loop, what_was_refused_says_why_until_it_is_changed) {
  Bench b;
  b.loop->leads(true);
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt({{entity_id("Thing", {"ns", "one"}), "slots are out"}});
  bool event = false;
  for (const auto& request : b.client.sent)
    event = event || (request.path == "/apis/events.k8s.io/v1/namespaces/ns/events" &&
                      request.json().at("note").as_string() == "slots are out");
  EXPECT_TRUE(event);
  b.write_all();
  EXPECT_EQ(b.served("one"), "False slots are out");
  b.set("one", {{"slots", 12}}, 2);
  b.settle();
  b.adopt();
  b.write_all();
  EXPECT_EQ(b.served("one"), "True 1 of 1 replicas");
}

TEST(Loop, a_fault_is_an_event_once_for_a_generation) {
  Bench b;
  b.loop->leads(true);
  b.set("one", {{"slots", 10}, {"fault", "no such thing"}});
  b.settle();
  const auto events = [&] {
    return std::ranges::count_if(b.client.sent,
                                 [](const auto& request) { return request.path.find("/events") != std::string::npos; });
  };
  ASSERT_EQ(events(), 1);
  const auto event = b.client.sent.front().json();
  EXPECT_EQ(event.at("reason").as_string(), "Faulty");
  EXPECT_EQ(event.at("type").as_string(), "Warning");
  EXPECT_EQ(event.at("regarding").at("name").as_string(), "one");
  b.set("one", {{"slots", 11}, {"fault", "no such thing"}});
  b.settle();
  EXPECT_EQ(events(), 1) << "the same generation";
  b.set("one", {{"slots", 12}, {"fault", "no such thing"}}, 2);
  b.settle();
  EXPECT_EQ(events(), 2);
}

TEST(Loop, served_waits_for_every_live_replica) {
  Bench b;
  b.settle();
  b.adopt();
  b.loop->leads(true);
  b.see_replica("other", 1);
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  EXPECT_EQ(b.write_all(), 0u) << "the other does not serve it yet";
  b.see_replica("other", b.revision_of("one"), 2);
  b.settle();
  EXPECT_EQ(b.write_all(), 1u);
  EXPECT_EQ(b.served("one"), "True 2 of 2 replicas");
}

TEST(Loop, served_does_not_wait_for_a_replica_that_is_gone) {
  Bench b;
  b.settle();
  b.adopt();
  b.loop->leads(true);
  b.see_replica("other", 1);
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  EXPECT_EQ(b.write_all(), 0u);
  b.informers.remove(kinds::lease, {"weir", "weir-other"});
  b.loop->changed(kinds::lease, {"weir", "weir-other"});
  b.settle();
  EXPECT_EQ(b.write_all(), 1u);
  EXPECT_EQ(b.served("one"), "True 1 of 1 replicas");
}

TEST(Loop, tells_the_others_only_what_its_workers_have_adopted) {
  Bench b;
  b.settle();
  b.see_replica("other", 1);
  b.adopt();
  b.told.clear();
  b.set("one", {{"slots", 10}});
  const auto revision = b.revision_of("one");
  b.settle();
  const auto says = [&] {
    std::uint64_t most = 0;
    for (const auto& text : b.told)
      most = std::max(most, boost::json::parse(text).at("things.test.dev").to_number<std::uint64_t>());
    return most;
  };
  EXPECT_LT(says(), revision);
  b.adopt();
  EXPECT_GE(says(), revision);
}

TEST(Loop, applies_what_units_want_and_deletes_what_none_wants_any_more) {
  Bench b;
  b.loop->leads(true);
  b.set("one", {{"slots", 10}, {"service", "front"}});
  b.settle();
  ASSERT_FALSE(b.client.sent.empty());
  const auto& request = b.client.sent.front();
  EXPECT_EQ(request.path, "/api/v1/namespaces/ns/services/front?fieldManager=weir&force=true");
  auto applied = request.json();
  EXPECT_EQ(applied.at("metadata").at("labels").at("app.kubernetes.io/managed-by").as_string(), "weir");
  EXPECT_EQ(applied.at("metadata").at("ownerReferences").at(0).at("name").as_string(), "one");
  b.client.answer(201, boost::json::serialize(applied));
  b.adopt();
  b.write_all();
  // As it is wanted: nothing is written. Changed by somebody: put back.
  b.loop->changed(kinds::service, {"ns", "front"});
  EXPECT_TRUE(b.client.sent.empty());
  applied["spec"].as_object()["ports"].as_array()[0].as_object()["port"] = 81;
  b.informers.set(kinds::service, applied);
  b.loop->changed(kinds::service, {"ns", "front"});
  ASSERT_EQ(b.client.sent.size(), 1u);
  b.client.answer(200);
  b.set("one", {{"slots", 10}}, 2);
  b.settle();
  const auto deletion = std::ranges::find(b.client.sent, "DELETE", &FakeClient::Sent::method);
  ASSERT_NE(deletion, b.client.sent.end());
  EXPECT_EQ(deletion->path, "/api/v1/namespaces/ns/services/front");
}

TEST(Loop, a_new_leader_deletes_what_is_left_of_units_that_are_gone) {
  Bench b;
  b.informers.set(kinds::service, boost::json::parse(R"({"metadata": {"namespace": "ns", "name": "stale",
      "labels": {"app.kubernetes.io/managed-by": "weir", "weir.dev/unit": "x"}}})")
                                      .as_object());
  b.informers.set(kinds::service,
                  boost::json::parse(R"({"metadata": {"namespace": "ns", "name": "foreign"}})").as_object());
  b.settle();
  b.loop->leads(true);
  b.settle();
  ASSERT_EQ(b.client.sent.size(), 1u);
  EXPECT_EQ(b.client.sent[0].method, "DELETE");
  EXPECT_EQ(b.client.sent[0].path, "/api/v1/namespaces/ns/services/stale");
}

TEST(Loop, counts_the_time_from_event_to_served) {
  Bench b;
  b.settle();
  b.adopt();
  b.set("one", {{"slots", 10}});
  b.settle();
  b.adopt();
  std::uint64_t observed = 0;
  for (const auto& bucket : b.latency.buckets) observed += bucket.get();
  EXPECT_EQ(observed, 1u);
}

}  // namespace
}  // namespace weir::reconcile
