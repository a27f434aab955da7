// What plugins see of an exchange, and what they change of it.
#include <re2/re2.h>
#include <sys/socket.h>

#include <charconv>
#include <chrono>

#include "base/text.h"
#include "http/uri.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"
#include "proxy/plugin_host.h"

namespace weir::proxy {
namespace {

constexpr int captures_max = 32;

// Nothing that ends a request line or its target, or begins a fragment.
bool is_target_part(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '#') return false;
  return true;
}

std::string_view forwarded_ip(std::string_view value) {
  value = text::trim(value);
  if (text::is_ip(value)) return value;
  const auto parts = text::split_host_port(value);
  return parts && text::is_ip(parts->host) ? parts->host : std::string_view();
}

}  // namespace

void PluginHost::refuse_unless(bool accepted) {
  if (!accepted) context_.counters.edits_refused.add();
}

// --- the request ---

std::string_view PluginHost::method() const {
  return method_.empty() ? head().method : std::string_view(method_);
}

std::string_view PluginHost::scheme() const {
  return x_->client_->tls ? "https" : "http";
}

std::string_view PluginHost::http_version() const {
  return x_->http10_ ? "1.0" : "1.1";
}

std::string_view PluginHost::host() const {
  const auto authority = text::split_host_port(head().authority);
  host_.clear();
  if (authority)
    for (const char c : authority->host) host_ += text::lower(c);
  return host_;
}

std::uint16_t PluginHost::port() const {
  return x_->client_->entrance->port;
}

std::string_view PluginHost::path() const {
  return head().path;
}

std::string_view PluginHost::raw_query() const {
  return query_set_ ? std::string_view(query_) : head().query;
}

std::optional<std::string_view> PluginHost::header(std::string_view lower_name) const {
  return first_value(head(), request_edits_, lower_name);
}

std::size_t PluginHost::header_count(std::string_view lower_name) const {
  std::size_t count = 0;
  each_field(head(), request_edits_, [&](std::string_view name, std::string_view) {
    count += text::equal_ignoring_case(name, lower_name);
    return false;
  });
  return count;
}

void PluginHost::each_header(const plugin::EachField& visit) const {
  each_field(head(), request_edits_, visit);
}

std::optional<std::uint64_t> PluginHost::content_length() const {
  if (head().framing != http::Framing::length) return {};
  return head().content_length;
}

bool PluginHost::has_body() const {
  const auto& head = this->head();
  return head.framing == http::Framing::chunked || (head.framing == http::Framing::length && head.content_length > 0);
}

bool PluginHost::expects_continue() const {
  return head().expect_continue && !x_->http10_;
}

// What the peer says that it forwards for, when it is trusted: X-Real-IP, else the last untrusted of X-Forwarded-For.
std::string_view PluginHost::client_ip() const {
  if (!x_->client_->trusted) return x_->client_->ip;
  if (!client_ip_.empty()) return client_ip_;
  std::string_view found;
  for (const auto& field : head().fields()) {
    if (field.token != http::Name::x_real_ip) continue;
    found = forwarded_ip(field.value);
    break;
  }
  const auto fields = head().fields();
  for (auto field = fields.rbegin(); field != fields.rend() && found.empty(); ++field) {
    if (field->token != http::Name::x_forwarded_for) continue;
    const auto hops = text::split(field->value);
    for (auto hop = hops.rbegin(); hop != hops.rend() && found.empty(); ++hop) {
      const auto ip = forwarded_ip(*hop);
      if (ip.empty()) break;
      if (!context_.trust.holds(ip)) found = ip;
    }
  }
  client_ip_.assign(found.empty() ? x_->client_->ip : found);
  return client_ip_;
}

std::string_view PluginHost::peer_ip() const {
  return x_->client_->ip;
}

std::string PluginHost::server_ip() const {
  net::Address own;
  socklen_t bytes = sizeof own.storage;
  return getsockname(x_->client_->fd, reinterpret_cast<sockaddr*>(&own.storage), &bytes) == 0 ? own.ip() : "0.0.0.0";
}

std::uint16_t PluginHost::peer_port() const {
  return x_->client_->peer_port;
}

std::string_view PluginHost::request_id() const {
  return x_->id();
}

std::uint64_t PluginHost::connection_serial() const {
  return x_->client_->serial;
}

std::uint64_t PluginHost::connection_requests() const {
  return x_->client_->requests;
}

// Matched anew, since hardly anybody asks.
std::string_view PluginHost::regex_capture(std::string_view name) const {
  std::string_view path;
  if (!regex_ || !http::normalise_path(head().path, normal_path_, path)) return {};
  capture_path_.assign(path);
  re2::StringPiece groups[captures_max];
  const int count = std::min(regex_->NumberOfCapturingGroups() + 1, captures_max);
  if (!regex_->Match(capture_path_, 0, capture_path_.size(), re2::RE2::ANCHOR_START, groups, count)) return {};
  int index = -1;
  if (std::from_chars(name.data(), name.data() + name.size(), index).ptr != name.data() + name.size()) {
    const auto& names = regex_->NamedCapturingGroups();
    const auto found = names.find(std::string(name));
    index = found == names.end() ? -1 : found->second;
  }
  if (index < 0 || index >= count) return {};
  return {groups[index].data(), groups[index].size()};
}

// --- edits of the request ---

void PluginHost::set_header(std::string_view name, std::string_view value) {
  if (text::equal_ignoring_case(name, "host")) return set_upstream_host(value);
  refuse_unless(!is_own_request_field(name) && request_edits_.set(name, value));
}

void PluginHost::add_header(std::string_view name, std::string_view value) {
  refuse_unless(!is_own_request_field(name) && request_edits_.add(name, value));
}

void PluginHost::remove_header(std::string_view name) {
  refuse_unless(!is_own_request_field(name) && request_edits_.remove(name));
}

void PluginHost::set_method(std::string_view method) {
  const bool possible = http::is_token(method) && method != "CONNECT" && method != "TRACE";
  if (possible) method_.assign(method);
  refuse_unless(possible);
}

void PluginHost::set_upstream_path(std::string_view path) {
  const bool possible = path.starts_with('/') && path.size() <= context_.options.limits.line_bytes;
  if (possible) {
    escaped_path_.clear();  // `path` may be a view of what is replaced
    http::escape_path(path, escaped_path_);
    upstream_path_.swap(escaped_path_);
    path_set_ = path_known_ = true;
  }
  refuse_unless(possible);
}

std::string_view PluginHost::upstream_path() const {
  if (path_known_) return upstream_path_;
  if (!x_->route_ || !x_->service_of_route()) return head().path;
  x_->upstream_path(upstream_path_);
  path_known_ = true;
  return upstream_path_;
}

void PluginHost::mirror(const Uuid& service, std::uint32_t numerator, std::uint32_t denominator) {
  if (x_->upgrade_asked_ || !x_->route_) return;  // of a tunnel there is no copy
  if (context_.mirrors.is_due(x_->route_->origin.id, service, numerator, denominator)) mirrors_.push_back(service);
}

void PluginHost::set_raw_query(std::string_view query) {
  const bool possible = is_target_part(query) && query.size() <= context_.options.limits.head_bytes;
  if (possible) {
    query_ = std::string(query);  // may be a view of it
    query_set_ = true;
  }
  refuse_unless(possible);
}

void PluginHost::set_upstream_host(std::string_view host) {
  const bool possible = http::is_authority(host);
  if (possible) upstream_host_.assign(host);
  refuse_unless(possible);
}

void PluginHost::edit_request(http::RequestHead& head, RequestPlan& plan, std::string& upstream_path) {
  keep_head();
  if (path_set_) {
    upstream_path.assign(upstream_path_);
  } else {
    upstream_path_.assign(upstream_path);
    path_known_ = true;
  }
  plan.path = upstream_path;
  if (!method_.empty()) head.method = method_;
  if (query_set_) {
    head.query = query_;
    head.has_query = !query_.empty();
  }
  if (!upstream_host_.empty()) {
    plan.host = upstream_host_;
    x_->preserve_host_ = true;
  }
  if (body_state_ == BodyState::whole) {
    if (head.framing != http::Framing::none || !request_body_.empty()) head.framing = http::Framing::length;
    head.content_length = request_body_.size();
  }
  request_edits_.drop_replaced(head);
  plan.edits = &request_edits_;
  head_live_ = false;  // it is not what the client sent any more
}

// --- answers ---

void PluginHost::respond(int status, std::string_view type, std::string_view body) {
  answer_status_ = status >= 100 && status <= 999 ? status : 500;
  answer_type_.assign(type);
  answer_body_.assign(body);
}

void PluginHost::error(int status, std::string_view message) {
  const auto format = error_format(head(), false, context_.options.error_default_type);
  std::string body;
  print_error(body, format, message, x_->id());
  respond(status, content_type(format), body);
}

// --- the response ---

void PluginHost::set_response_header(std::string_view name, std::string_view value) {
  refuse_unless(!is_own_response_field(name) && response_edits_.set(name, value));
}

void PluginHost::add_response_header(std::string_view name, std::string_view value) {
  refuse_unless(!is_own_response_field(name) && response_edits_.add(name, value));
}

void PluginHost::remove_response_header(std::string_view name) {
  if (http::name_of(name) == http::Name::content_length) return;  // Weir writes the one that is right
  refuse_unless(!is_own_response_field(name) && response_edits_.remove(name));
}

int PluginHost::response_status() const {
  return response_status_;
}

// Only between statuses that have a body: another one would change how the response's end is found.
void PluginHost::set_response_status(int status) {
  const auto has_body = [](int s) { return s >= 200 && s <= 999 && s != 204 && s != 304; };
  const bool possible = has_body(status) && has_body(response_status_);
  if (possible) response_status_ = status;
  refuse_unless(possible);
}

std::optional<std::string_view> PluginHost::response_header(std::string_view lower_name) const {
  return first_value(response_head(), response_edits_, lower_name);
}

void PluginHost::each_response_header(const plugin::EachField& visit) const {
  each_field(response_head(), response_edits_, visit);
}

void PluginHost::want_response_body() {
  if (running_filter_ && (body_filters_.empty() || body_filters_.back() != running_filter_))
    body_filters_.push_back(running_filter_);
}

// --- what it belongs to ---

const plugin::RouteView* PluginHost::route() const {
  if (!x_->route_) return nullptr;
  route_view_ = {x_->route_->origin.id, x_->route_->origin.name};
  return &route_view_;
}

const plugin::ServiceView* PluginHost::service() const {
  const auto* service = x_->service_of_route();
  if (!service) return nullptr;
  auto& view = service_view_;
  view.id = service->origin.id;
  view.name = service->origin.name;
  view.protocol = service->tls ? "https" : "http";
  view.host = service->host;
  view.path = service->path;
  view.port = service->port;
  view.retries = service->retries;
  view.connect_timeout = x_->ms(service->connect_timeout);
  view.write_timeout = x_->ms(service->write_timeout);
  view.read_timeout = x_->ms(service->read_timeout);
  return &view;
}

void PluginHost::authenticate(store::Row consumer, store::Row credential) {
  consumer_ = std::move(consumer);
  credential_ = std::move(credential);
  rechoose_ = true;
}

std::uint64_t PluginHost::now_ms() const {
  using namespace std::chrono;
  return static_cast<std::uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace weir::proxy
