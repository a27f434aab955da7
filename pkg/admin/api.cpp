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
constexpr std::size_t on_store_max = 1000;               // requests that wait for or use the store's thread

// A request whose answer is not there yet, or waits until its change is in force. Control thread only; what goes to the
// store's thread and back is handed over, so that the last one to let go of it is on the control thread too.
struct Pending {
  Respond respond;
  Headers headers;  // of every answer
  Response response;
  Clock::time_point started;
  decltype(Request::after) after;
  std::shared_ptr<void> deadline;
  bool sent = false;

  void send() {
    if (std::exchange(sent, true)) return;
    deadline.reset();
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started);
    auto& all = response.headers;
    all.insert(all.end(), std::make_move_iterator(headers.begin()), std::make_move_iterator(headers.end()));
    all.emplace_back("X-Kong-Admin-Latency", std::to_string(spent.count()));
    respond(std::move(response));
  }
};
using PendingPtr = std::shared_ptr<Pending>;

Answer failed(const std::exception& error) {
  log::error("the Admin API failed to answer a request", {{"error", std::string_view(error.what())}});
  return answer_message(500, "An unexpected error occurred");
}

// Libraries below may throw (no memory, JSON access); a request must never take the process down.
Answer run_safely(const Operation& operation, const Call& call) {
  try {
    return operation.run(call);
  } catch (const std::exception& error) {
    return failed(error);
  }
}

Headers common_headers(const Verdict& verdict, const Options& options) {
  Headers out{{"Server", fmt::format("weir/{}", options.weir_version)}};
  if (verdict.allow_origin.empty()) return out;
  out.emplace_back("Access-Control-Allow-Origin", verdict.allow_origin);
  if (verdict.allow_origin == "*") return out;
  out.emplace_back("Access-Control-Allow-Credentials", "true");
  out.emplace_back("Vary", "Origin");
  return out;
}

Answer answer_options(const Endpoint& endpoint, const Request& request) {
  auto answer = answer_empty(204);
  const auto wanted = request.header("Access-Control-Request-Headers");
  answer.response.headers = {{"Allow", endpoint.allow()},
                             {"Access-Control-Allow-Methods", endpoint.allow()},
                             {"Access-Control-Allow-Headers", std::string(wanted.empty() ? "Content-Type" : wanted)}};
  return answer;
}

class TableApi final : public Api {
 public:
  TableApi(store::Store& store, Node& node, Options options, Threads threads)
      : context_{store, node, std::move(options)}, threads_(std::move(threads)) {}

  Table& table() { return table_; }
  const Context& context() const { return context_; }

  void handle(Request request, Respond respond) override {
    auto pending = std::make_shared<Pending>();
    pending->started = Clock::now();
    pending->respond = std::move(respond);
    pending->after = request.after;
    const auto verdict = judge(request, context_.options);
    pending->headers = common_headers(verdict, context_.options);
    if (verdict.status) return finish(pending, answer_message(verdict.status, verdict.message));
    Call call;
    const auto found = find(std::move(request), call);
    if (!found) return finish(pending, found.error());
    const auto& operation = **found;
    if (operation.on_control) return finish(pending, run_safely(operation, call));
    if (on_store_ == on_store_max) {
      auto busy = answer_message(503, "too many requests are waiting for the database");
      busy.response.headers.emplace_back("Retry-After", "1");
      return finish(pending, std::move(busy));
    }
    run_on_store(operation, std::move(call), std::move(pending));
  }

 private:
  void run_on_store(const Operation& operation, Call call, PendingPtr pending) {
    ++on_store_;
    call.request.after = nullptr;  // the control thread's
    threads_.on_store([this, &operation, call = std::move(call), pending = std::move(pending)]() mutable {
      auto answer = run_safely(operation, call);
      threads_.on_control([this, answer = std::move(answer), pending = std::move(pending)]() mutable {
        --on_store_;
        finish(pending, std::move(answer));
      });
    });
  }

  // Sends an answer once it is complete and its change is in force.
  void finish(const PendingPtr& pending, Answer answer) {
    if (answer.then) return complete(pending, answer.then);
    pending->response = std::move(answer.response);
    if (answer.changes.empty()) return pending->send();
    context_.node.apply(std::move(answer.changes), [pending] { pending->send(); });
    send_after(pending, "a change was stored, but not every worker has taken it over within 2 s");
  }

  void complete(const PendingPtr& pending, const decltype(Answer::then)& then) {
    pending->response = answer_message(503, "not every worker answered within 2 s").response;
    try {
      then([this, pending](Answer answer) { finish(pending, std::move(answer)); });
    } catch (const std::exception& error) {
      return finish(pending, failed(error));
    }
    send_after(pending, "not every worker answered the Admin API within 2 s");
  }

  static void send_after(const PendingPtr& pending, std::string_view warning) {
    if (pending->sent || !pending->after) return;
    pending->deadline = pending->after(adoption_wait, [weak = std::weak_ptr(pending), warning] {
      const auto waiting = weak.lock();
      if (!waiting) return;
      log::warn(warning);
      waiting->send();
    });
  }

  // The operation that a request is for, with the request taken apart; the error is the answer.
  std::expected<const Operation*, Answer> find(Request request, Call& call) const {
    const auto refused = [](unsigned status, std::string_view message) {
      return std::unexpected(answer_message(status, message));
    };
    const auto raw = split_path(request.path);
    std::vector<std::string> segments;
    for (const auto& segment : raw) {
      auto decoded = percent_decode(segment);
      if (!decoded || !model::is_text(*decoded)) return refused(400, "Invalid percent-encoding in the path");
      segments.push_back(std::move(*decoded));
    }
    std::vector<std::size_t> places;
    const auto* endpoint = table_.find(segments, places);
    if (!endpoint) return std::unexpected(not_found());
    if (request.method == "OPTIONS") return std::unexpected(answer_options(*endpoint, request));
    const auto operation = endpoint->operations.find(request.method == "HEAD" ? "GET" : request.method);
    if (operation == endpoint->operations.end()) return refused(405, "Method not allowed");
    auto query = parse_query(request.query);
    if (!query) return refused(400, query.error().message);
    for (const auto place : places) {
      call.params.push_back(segments[place]);
      call.raw_params.push_back(raw[place]);
    }
    call.query = std::move(*query);
    call.request = std::move(request);
    return &operation->second;
  }

  Context context_;
  Threads threads_;
  Table table_;
  std::size_t on_store_ = 0;  // control thread only
};

}  // namespace

std::unique_ptr<Api> Api::make(store::Store& store, Node& node, Options options, Threads threads) {
  auto api = std::make_unique<TableApi>(store, node, std::move(options), std::move(threads));
  for (const auto add : {add_entities, add_certificates, add_apis, add_health, add_node, add_status, add_cache,
                         add_debug, add_schemas, add_openapi})
    add(api->table(), api->context());
  return api;
}

std::unique_ptr<Api> make_status(store::Store& store, Node& node, Options options, Threads threads) {
  auto api = std::make_unique<TableApi>(store, node, std::move(options), std::move(threads));
  for (const auto add : {add_status, add_ready, add_health}) add(api->table(), api->context());
  return api;
}

}  // namespace weir::admin
