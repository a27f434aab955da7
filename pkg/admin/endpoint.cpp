#include "admin/endpoint.h"

#include <algorithm>
#include <chrono>

#include "admin/uri.h"
#include "base/json.h"

namespace weir::admin {

namespace {

constexpr std::string_view json_type = "application/json; charset=utf-8";

bool is_brace(const std::string& segment) {
  return segment.starts_with('{');
}

// Literals before braces at each place, so that the first match is the most specific one.
bool before(const Endpoint& a, const Endpoint& b) {
  return std::lexicographical_compare(
      a.segments.begin(), a.segments.end(), b.segments.begin(), b.segments.end(),
      [](const auto& x, const auto& y) { return is_brace(x) != is_brace(y) ? !is_brace(x) : x < y; });
}

}  // namespace

const std::string* Call::arg(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return &value;
  return nullptr;
}

Answer answer_json(unsigned status, const boost::json::value& body) {
  return {{status, {{"Content-Type", std::string(json_type)}}, print_json(body)}};
}

Answer answer_message(unsigned status, std::string_view message) {
  return answer_json(status, Object{{"message", message}});
}

Answer answer_problem(const model::Problem& problem) {
  auto answer = answer_json(problem.http_status(), problem.body());
  if (problem.unavailable) answer.response.headers.emplace_back("Retry-After", "1");
  return answer;
}

Answer answer_empty(unsigned status) {
  return {{status, {}, {}}};
}

Answer not_found() {
  return answer_message(404, "Not found");
}

Operation on_control(Operation operation) {
  operation.on_control = true;
  return operation;
}

std::string Endpoint::allow() const {
  std::vector<std::string_view> names{"OPTIONS"};
  for (const auto& [method, operation] : operations) {
    names.push_back(method);
    if (method == "GET") names.push_back("HEAD");
  }
  std::ranges::sort(names);
  return fmt::format("{}", fmt::join(names, ", "));
}

void Table::add(std::string_view method, std::string_view path, Operation operation) {
  auto found = std::ranges::find(endpoints_, path, &Endpoint::path);
  if (found == endpoints_.end()) {
    Endpoint made{std::string(path), split_path(path), {}};
    found = endpoints_.insert(std::ranges::upper_bound(endpoints_, made, before), std::move(made));
  }
  found->operations.insert_or_assign(std::string(method), std::move(operation));
}

const Endpoint* Table::find(const std::vector<std::string>& segments, std::vector<std::size_t>& params) const {
  for (const auto& endpoint : endpoints_) {
    if (endpoint.segments.size() != segments.size()) continue;
    params.clear();
    bool matches = true;
    for (std::size_t i = 0; i < segments.size() && matches; ++i) {
      if (is_brace(endpoint.segments[i]))
        params.push_back(i);
      else
        matches = endpoint.segments[i] == segments[i];
    }
    if (matches) return &endpoint;
  }
  return nullptr;
}

double now() {
  using namespace std::chrono;
  return static_cast<double>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()) / 1000.0;
}

}  // namespace weir::admin
