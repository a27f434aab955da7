// A whole Exchange in memory, for the tests of plugins: the request is given by members, rows and bodies are answered
// from them, and what a plugin did is there to be looked at.
//
// `slow` makes everything that may be elsewhere (rows, body, asks) come late: run_access() then goes through Step::wait
// as the proxy does, and fails the test when a step waits for nothing.
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.h"
#include "plugin/plugin.h"

namespace weir::plugin {

class FakeExchange : public Exchange {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // --- the request; the test sets these ---
  std::string method_ = "GET", scheme_ = "http", http_version_ = "1.1", host_ = "example.com", path_ = "/", query_;
  std::uint16_t port_ = 80, peer_port_ = 40000;
  Fields headers_;
  std::optional<std::uint64_t> content_length_;
  std::string body_;
  bool has_body_ = false, expects_continue_ = false, body_too_large_ = false;
  std::string client_ip_ = "192.0.2.1", peer_ip_ = "192.0.2.1", request_id_ = "0123456789abcdef0123456789abcdef";
  std::uint64_t connection_serial_ = 7, connection_requests_ = 3, now_ms_ = 1'700'000'000'123;
  std::map<std::string, std::string, std::less<>> captures_;
  std::optional<RouteView> route_;
  std::optional<ServiceView> service_;
  Ending ending_;
  bool slow = false;            // what is asked for is there on the second call only
  bool database_fails = false;  // every lookup says so

  // The response, from header_filter on.
  int response_status_ = 200;
  bool from_upstream_ = true;
  Fields response_headers_;

  // --- what plugins did ---
  int answered = 0;         // status of respond() or error(); 0: neither
  bool by_error = false;    // error(), whose body the proxy words
  std::string answer_type;  // Content-Type of respond()
  std::string answer;       // body of respond(), message of error()
  std::string upstream_path_ = "/", upstream_host;
  bool upstream_path_set = false, wants_response_body = false, body_set = false;
  struct BodyLimit {
    std::uint64_t bytes = 0;
    int status = 0;
    std::string message;
  };
  std::optional<BodyLimit> body_limit;
  std::vector<Uuid> mirrors;  // asked for; the share is the proxy's business
  store::Row consumer_row, credential_row;
  std::size_t lookups = 0, waits = 0, edits = 0;

  // --- the test's tools ---
  FakeExchange& with(std::string_view name, std::string_view value) {
    headers_.emplace_back(name, value);
    return *this;
  }
  FakeExchange& with_body(std::string_view type, std::string body) {
    if (!type.empty()) headers_.emplace_back("Content-Type", type);
    content_length_ = body.size();
    body_ = std::move(body);
    has_body_ = true;
    return *this;
  }
  // The schema is that of an entity, the row a complete one.
  store::Row add_row(const model::Schema& schema, model::Object row) {
    rows_[&schema].push_back(std::make_shared<const model::Object>(std::move(row)));
    return rows_[&schema].back();
  }
  // Runs a step as the proxy does: again after each wait, of which none may be without a reason.
  Step run(const std::function<Step()>& step) {
    for (int i = 0; i < 100; i++) {
      asked_ = false;
      edits_before_wait_ = edits;
      const auto said = step();
      if (said != Step::wait) {
        EXPECT_EQ(said == Step::done, answered != 0) << "done is said when an answer was given, and only then";
        return said;
      }
      waits++;
      EXPECT_TRUE(asked_) << "a step waits although nothing was asked for";
      EXPECT_EQ(edits, edits_before_wait_) << "an edit before a wait is made twice, and hides what was sent";
      if (!asked_) return said;
      arrive();
    }
    ADD_FAILURE() << "a step waits for ever";
    return Step::wait;
  }
  Step run_access(const Plugin& plugin) {
    return run([&] { return plugin.access(*this); });
  }
  Step run_rewrite(const Plugin& plugin) {
    return run([&] { return plugin.rewrite(*this); });
  }
  // The response's head goes through a plugin: what was noted before is applied to it first.
  void run_header_filter(const Plugin& plugin) { plugin.header_filter(*this); }
  std::string sent(std::string_view name) const {  // to the upstream; fields of one name joined, "-" when there is none
    return joined(headers_, name);
  }
  std::string response(std::string_view name) const { return joined(response_headers_, name); }

  // --- Exchange ---
  std::string_view method() const override { return method_; }
  std::string_view scheme() const override { return scheme_; }
  std::string_view http_version() const override { return http_version_; }
  std::string_view host() const override { return host_; }
  std::uint16_t port() const override { return port_; }
  std::string_view path() const override { return path_; }
  std::string_view raw_query() const override { return query_; }
  std::optional<std::string_view> header(std::string_view lower_name) const override {
    return first(headers_, lower_name);
  }
  std::size_t header_count(std::string_view lower_name) const override {
    expect_lower(lower_name);
    return static_cast<std::size_t>(
        std::ranges::count_if(headers_, [&](const auto& f) { return text::equal_ignoring_case(f.first, lower_name); }));
  }
  void each_header(const EachField& f) const override { each(headers_, f); }
  std::optional<std::uint64_t> content_length() const override { return content_length_; }
  bool has_body() const override { return has_body_; }
  bool expects_continue() const override { return expects_continue_; }
  std::string_view client_ip() const override { return client_ip_; }
  std::string_view peer_ip() const override { return peer_ip_; }
  std::uint16_t peer_port() const override { return peer_port_; }
  std::string server_ip() const override { return "0.0.0.0"; }
  std::string_view request_id() const override { return request_id_; }
  std::uint64_t connection_serial() const override { return connection_serial_; }
  std::uint64_t connection_requests() const override { return connection_requests_; }
  std::string_view regex_capture(std::string_view name) const override {
    const auto found = captures_.find(name);
    return found == captures_.end() ? std::string_view() : std::string_view(found->second);
  }
  const Body* body() override {
    asked_ = true;
    if (slow && !body_there_) {
      body_asked_ = true;
      return nullptr;
    }
    body_view_ = {body_too_large_ ? std::string_view() : std::string_view(body_), body_too_large_};
    return &body_view_;
  }
  void limit_body(std::uint64_t bytes, int status, std::string_view message) override {
    edits++;
    body_limit = BodyLimit{bytes, status, std::string(message)};
  }
  void set_header(std::string_view name, std::string_view value) override {
    edits++;
    set(headers_, name, value);
  }
  void add_header(std::string_view name, std::string_view value) override {
    edits++;
    headers_.emplace_back(name, value);
  }
  void remove_header(std::string_view name) override {
    edits++;
    remove(headers_, name);
  }
  void set_method(std::string_view method) override {
    edits++;
    method_ = method;
  }
  void set_upstream_path(std::string_view path) override {
    edits++;
    upstream_path_set = true;
    upstream_path_ = path;
  }
  std::string_view upstream_path() const override { return upstream_path_; }
  void set_raw_query(std::string_view query) override {
    edits++;
    query_ = std::string(query);
  }
  void set_upstream_host(std::string_view host) override {
    edits++;
    upstream_host = host;
  }
  void set_body(std::string body) override {
    edits++;
    body_set = true;
    body_ = std::move(body);
    content_length_ = body_.size();
    has_body_ = true;
  }
  void mirror(const Uuid& service, std::uint32_t, std::uint32_t) override {
    edits++;
    mirrors.push_back(service);
  }
  void respond(int status, std::string_view type, std::string_view body) override {
    EXPECT_EQ(answered, 0) << "a request is answered once";
    edits++;
    answered = response_status_ = status;
    from_upstream_ = false;
    answer_type = type;
    answer = body;
    if (!type.empty()) set(response_headers_, "Content-Type", type);
  }
  void error(int status, std::string_view message) override {
    respond(status, "", message);
    by_error = true;
  }
  void set_response_header(std::string_view name, std::string_view value) override {
    edits++;
    set(response_headers_, name, value);
  }
  void add_response_header(std::string_view name, std::string_view value) override {
    edits++;
    response_headers_.emplace_back(name, value);
  }
  void remove_response_header(std::string_view name) override {
    edits++;
    remove(response_headers_, name);
  }
  int response_status() const override { return response_status_; }
  void set_response_status(int status) override { response_status_ = status; }
  bool from_upstream() const override { return from_upstream_; }
  std::optional<std::string_view> response_header(std::string_view lower_name) const override {
    return first(response_headers_, lower_name);
  }
  void each_response_header(const EachField& f) const override { each(response_headers_, f); }
  void want_response_body() override { wants_response_body = true; }
  const RouteView* route() const override { return route_ ? &*route_ : nullptr; }
  const ServiceView* service() const override { return service_ ? &*service_ : nullptr; }
  void authenticate(store::Row consumer, store::Row credential) override {
    edits++;
    consumer_row = std::move(consumer);
    credential_row = std::move(credential);
  }
  const model::Object* consumer() const override { return consumer_row.get(); }
  const model::Object* credential() const override { return credential_row.get(); }
  const store::Found* lookup(const store::LookupKey& key) override {
    EXPECT_NE(key.schema, nullptr);
    asked_ = true;
    const Key id{key.schema, std::string(key.field), std::string(key.value)};
    if (const auto known = found_.find(id); known != found_.end()) return &known->second;
    if (slow && !arrived_.contains(id)) {
      awaited_.insert(id);
      return nullptr;
    }
    lookups++;
    return &found_.emplace(id, find(id)).first->second;
  }
  const void* ask(const void* who, const std::function<void(Resume)>& start) override {
    asked_ = true;
    const auto [place, first] = answers_.try_emplace(who, std::make_shared<Answer>());
    const auto answer = place->second;
    if (first) {
      start([answer](std::shared_ptr<const void> value) {
        const std::lock_guard lock(answer->mutex);
        EXPECT_FALSE(answer->there) << "an ask is answered once";
        answer->there = true;
        answer->value = std::move(value);
        answer->come.notify_all();
      });
      return nullptr;
    }
    const std::lock_guard lock(answer->mutex);
    return answer->there ? answer->value.get() : nullptr;
  }
  std::uint64_t now_ms() const override { return now_ms_; }
  const Ending& ending() const override { return ending_; }

 private:
  using Key = std::tuple<const model::Schema*, std::string, std::string>;
  struct Answer {  // may come from another thread
    std::mutex mutex;
    std::condition_variable come;
    bool there = false;
    std::shared_ptr<const void> value;
  };

  static void expect_lower(std::string_view name) {
    EXPECT_EQ(name, text::lower(name)) << "header names are asked for in lower case";
  }
  static std::optional<std::string_view> first(const Fields& fields, std::string_view lower_name) {
    expect_lower(lower_name);
    for (const auto& [name, value] : fields)
      if (text::equal_ignoring_case(name, lower_name)) return value;
    return std::nullopt;
  }
  static void each(const Fields& fields, const EachField& f) {
    for (const auto& [name, value] : fields)
      if (f(name, value)) return;
  }
  static void remove(Fields& fields, std::string_view name) {
    std::erase_if(fields, [&](const auto& f) { return text::equal_ignoring_case(f.first, name); });
  }
  static void set(Fields& fields, std::string_view name, std::string_view value) {
    std::string kept(value);  // may be a view of what is replaced
    remove(fields, name);
    fields.emplace_back(name, std::move(kept));
  }
  static std::string joined(const Fields& fields, std::string_view name) {
    std::string out;
    bool any = false;
    for (const auto& field : fields) {
      if (!text::equal_ignoring_case(field.first, name)) continue;
      out.append(any ? " | " : "").append(field.second);
      any = true;
    }
    return any ? out : "-";
  }
  store::Found find(const Key& key) const {
    store::Found out;
    out.failed = database_fails;
    const auto& [schema, field, value] = key;
    const auto rows = rows_.find(schema);
    if (database_fails || rows == rows_.end()) return out;
    for (const auto& row : rows->second) {
      const auto* held = row->if_contains(field);
      if (held && held->is_object()) held = held->get_object().if_contains("id");
      if (held && held->is_string() && held->get_string() == value) out.rows.push_back(row);
    }
    return out;
  }
  void arrive() {
    arrived_.merge(awaited_);
    awaited_.clear();
    body_there_ = body_there_ || body_asked_;
    for (const auto& [who, answer] : answers_) {
      std::unique_lock lock(answer->mutex);
      EXPECT_TRUE(answer->come.wait_for(lock, std::chrono::seconds(20), [&] { return answer->there; }))
          << "an ask was never answered";
    }
  }

  std::map<const model::Schema*, std::vector<store::Row>> rows_;
  std::map<Key, store::Found> found_;
  std::set<Key> awaited_, arrived_;
  std::map<const void*, std::shared_ptr<Answer>> answers_;
  Body body_view_;
  bool asked_ = false, body_asked_ = false, body_there_ = false;
  std::size_t edits_before_wait_ = 0;
};

}  // namespace weir::plugin
