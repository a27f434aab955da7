#include "admin/api.h"

#include <chrono>
#include <exception>

#include "admin/endpoint.h"
#include "admin/guard.h"
#include "admin/uri.h"
#include "base/log.h"
#include "model/formats.h"

namespace weir::admin {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto adoption_wait = std::chrono::seconds(2);  // a stuck worker must not hold up the Admin API for longer

// An answer that waits until its change is in force.
struct Pending {
  Respond respond;
  Response response;
  Clock::time_point started;
  std::shared_ptr<void> deadline;
  bool sent = false;

  void send() {
    if (std::exchange(sent, true)) return;
    deadline.reset();
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
    response.headers.emplace_back("X-Kong-Admin-Latency", std::to_string(spent.count()));
    respond(std::move(response));
  }
};

class TableApi final : public Api {
 public:
  TableApi(store::Store& store, Node& node, Options options) : context_{store, node, std::move(options)} {}

  Table& table() { return table_; }
  const Context& context() const { return context_; }

  void handle(Request request, Respond respond) override {
    auto pending = std::make_shared<Pending>();
    pending->started = Clock::now();
    pending->respond = std::move(respond);
    const auto after = std::move(request.after);
    const auto verdict = judge(request, context_.options);
    auto answer = verdict.status ? answer_message(verdict.status, verdict.message) : run_safely(std::move(request));
    pending->response = std::move(answer.response);
    auto& headers = pending->response.headers;
    headers.emplace_back("Server", fmt::format("weir/{}", context_.options.weir_version));
    if (!verdict.allow_origin.empty()) headers.emplace_back("Access-Control-Allow-Origin", verdict.allow_origin);
    if (!verdict.allow_origin.empty() && verdict.allow_origin != "*") {
      headers.emplace_back("Access-Control-Allow-Credentials", "true");
      headers.emplace_back("Vary", "Origin");
    }
    if (answer.changes.empty()) return pending->send();
    context_.node.apply(std::move(answer.changes), [pending] { pending->send(); });
    if (pending->sent || !after) return;
    pending->deadline = after(adoption_wait, [weak = std::weak_ptr(pending)] {
      const auto waiting = weak.lock();
      if (!waiting) return;
      log::warn("a change was stored, but not every worker has taken it over within 2 s");
      waiting->send();
    });
  }

 private:
  // Libraries below may throw (no memory, JSON access); a request must never take the process down.
  Answer run_safely(Request request) {
    try {
      return run(std::move(request));
    } catch (const std::exception& error) {
      log::error("the Admin API failed to answer a request", {{"error", std::string_view(error.what())}});
      return answer_message(500, "An unexpected error occurred");
    }
  }

  Answer run(Request request) {
    Call call;
    const auto raw = split_path(request.path);
    std::vector<std::string> segments;
    for (const auto& segment : raw) {
      auto decoded = percent_decode(segment);
      if (!decoded || !model::is_text(*decoded)) return answer_message(400, "Invalid percent-encoding in the path");
      segments.push_back(std::move(*decoded));
    }
    std::vector<std::size_t> places;
    const auto* endpoint = table_.find(segments, places);
    if (!endpoint) return not_found();
    if (request.method == "OPTIONS") return options(*endpoint, request);
    const auto operation = endpoint->operations.find(request.method == "HEAD" ? "GET" : request.method);
    if (operation == endpoint->operations.end()) return answer_message(405, "Method not allowed");
    auto query = parse_query(request.query);
    if (!query) return answer_message(400, query.error().message);
    for (const auto place : places) {
      call.params.push_back(segments[place]);
      call.raw_params.push_back(raw[place]);
    }
    call.query = std::move(*query);
    call.request = std::move(request);
    return operation->second.run(call);
  }

  static Answer options(const Endpoint& endpoint, const Request& request) {
    auto answer = answer_empty(204);
    const auto wanted = request.header("Access-Control-Request-Headers");
    answer.response.headers = {{"Allow", endpoint.allow()},
                               {"Access-Control-Allow-Methods", endpoint.allow()},
                               {"Access-Control-Allow-Headers", std::string(wanted.empty() ? "Content-Type" : wanted)}};
    return answer;
  }

  Context context_;
  Table table_;
};

}  // namespace

std::unique_ptr<Api> Api::make(store::Store& store, Node& node, Options options) {
  auto api = std::make_unique<TableApi>(store, node, std::move(options));
  for (const auto add : {add_entities, add_apis, add_health, add_node, add_status, add_schemas, add_openapi})
    add(api->table(), api->context());
  return api;
}

std::unique_ptr<Api> make_status(store::Store& store, Node& node, Options options) {
  auto api = std::make_unique<TableApi>(store, node, std::move(options));
  for (const auto add : {add_status, add_ready, add_health}) add(api->table(), api->context());
  return api;
}

}  // namespace weir::admin
