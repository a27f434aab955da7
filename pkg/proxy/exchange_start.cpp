#include <algorithm>
#include <optional>

#include "base/text.h"
#include "http/uri.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// The longest host that a route can have; longer ones match no route.
constexpr std::size_t host_bytes_max = 255;

using Test = bool (*)(const void* context, std::string_view value);

bool any_header(const void* head, std::string_view name, Test test, const void* context) {
  for (const auto& field : static_cast<const http::RequestHead*>(head)->fields())
    if (text::equal_ignoring_case(field.name, name) && test(context, field.value)) return true;
  return false;
}

// The same when plugins have changed some.
bool any_edited_header(const void* plugins, std::string_view wanted, Test test, const void* context) {
  bool found = false;
  static_cast<const PluginHost*>(plugins)->each_header([&](std::string_view name, std::string_view value) {
    return found = text::equal_ignoring_case(name, wanted) && test(context, value);
  });
  return found;
}

// The first value of a field, or `otherwise`.
std::string_view value_or(const http::Head& head, http::Name token, std::string_view otherwise) {
  for (const auto& field : head.fields())
    if (field.token == token) return field.value;
  return otherwise;
}

// A host as the router compares it: lower case, without a final dot, IPv6 in brackets. Nothing: too long to be one.
std::optional<std::string_view> router_host(std::string_view name, std::array<char, host_bytes_max + 2>& out) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() > host_bytes_max) return {};
  const bool bracketed = name.find(':') != name.npos;
  char* h = out.data();
  if (bracketed) *h++ = '[';
  for (char c : name) *h++ = text::lower(c);
  if (bracketed) *h++ = ']';
  return std::string_view(out.data(), h);
}

// Whom the picked service must be. Services of one route that share a slot share that, too.
const UpstreamTlsPtr* peer_of(const snapshot::Route& route, snapshot::Slot service) {
  for (const auto& each : route.services)
    if (each.service == service && each.tls) return &each.tls;
  return &any_peer;
}

bool is_idempotent(std::string_view method) {
  return method != "POST" && method != "PATCH" && method != "LOCK";
}

}  // namespace

std::array<char, 32> request_id(Random& random) {
  static constexpr char digits[] = "0123456789abcdef";
  std::array<char, 32> id;
  for (std::size_t half = 0; half < 32; half += 16) {
    std::uint64_t bits = random.next();
    for (std::size_t i = 0; i < 16; ++i, bits >>= 4) id[half + i] = digits[bits & 15];
  }
  return id;
}

void Exchange::reset(Client& client) {
  const auto& head = context_.request_head;
  client_ = &client;
  upstream_ = nullptr;
  route_ = nullptr;
  service_ = nullptr;
  service_slot_ = snapshot::no_slot;
  peer_ = &any_peer;
  balancer_ = nullptr;
  plugins_ = nullptr;
  request_.clear();
  request_sent_ = 0;
  tried_.clear();
  interims_ = 0;
  status_ = upstream_status_ = 0;
  head_only_ = head.method == "HEAD";
  http10_ = head.minor == 0;
  keep_alive_ = head.keep_alive && !client.leaving() && client.requests < context_.options.keepalive_requests;
  idempotent_ = is_idempotent(head.method);
  expects_continue_ = head.expect_continue && !http10_;
  te_trailers_ = head.te_trailers;
  debug_ = head.kong_debug && context_.options.allow_debug_header;
  upgrade_asked_ = head.upgrade && head.framing == http::Framing::none;
  reused_ = fresh_retry_used_ = write_broken_ = answer_bytes_ = response_begun_ = false;
  chunked_out_ = upstream_keep_alive_ = client_ended_ = upstream_ended_ = own_answer_ = false;
  replayable_ = true;
  started_us_ = net::Loop::clock_us();
  sent_us_ = answered_us_ = ended_us_ = 0;
  body_watched_ms_ = 0;
  response_bytes_ = sent_bytes_ = 0;
  const auto most = context_.options.client_max_body_bytes;
  body_max_ = most ? most : ~std::uint64_t{0};
  id_ = request_id(context_.random);
  epoch_ = context_.epoch.get();
  if (epoch_) ++epoch_->exchanges;
  request_body_.begin(head.framing, head.content_length);
  response_body_.begin(http::Framing::none, 0);
  context_.counters.requests_total.add();
  context_.loop.clear_timeout(client);
  if (context_.options.access_log) access_line_.assign(head.method).append(" ").append(head.path);
}

void Exchange::start(Client& client, char* behind, std::size_t bytes) {
  behind_ = behind;
  behind_bytes_ = bytes;
  reset(client);
  if (const auto* chain = epoch_ ? epoch_->snapshot->chain(nullptr) : nullptr) {
    plugins_ = context_.new_plugins(*this);
    plugins_->use(chain, nullptr);
  }
  if (is_acceptable() && (!plugins_ || plugins_->rewrite())) route();
}

// False: answered.
bool Exchange::is_acceptable() {
  const auto& head = context_.request_head;
  if (head.expect_other) return answer(417, error_message(417), false);
  if (head.framing == http::Framing::length && head.content_length > body_max_)
    return answer(413, error_message(413), false);
  return true;
}

void Exchange::route() {
  if (choose() && (!plugins_ || plugins_->access())) forward();
}

void Exchange::forward() {
  if (!find_balancer()) return;
  print_upstream_request();
  if (!take_first_piece()) return;
  if (plugins_ && !plugins_->mirrors().empty()) begin_mirrors();
  connect();
}

// Reads host and path as the router compares them. False: malformed.
bool Exchange::locate() {
  const auto& head = context_.request_head;
  const auto authority = text::split_host_port(head.authority);
  const auto host = router_host(authority ? authority->host : "", host_buffer_);
  if (!http::normalise_path(head.path, context_.path_scratch, path_) || !host ||
      (!authority && !head.authority.empty()))
    return false;
  host_name_ = *host;
  host_port_ = authority && authority->port ? authority->port : client_->tls ? 443 : 80;
  return true;
}

// Finds the route and its plugins. False: answered.
bool Exchange::choose() {
  const auto& head = context_.request_head;
  if (!locate()) return answer(400, error_message(400), false);
  snapshot::Request request;
  request.method = plugins_ ? plugins_->method() : head.method;
  request.host = host_name_;
  request.port = host_port_;
  request.path = path_;
  request.tls = client_->tls;
  request.query = plugins_ ? plugins_->raw_query() : head.query;
  request.sni = client_->sni;
  request.entry = client_->entrance->entry;
  request.headers = &head;
  request.any_header = &any_header;
  if (plugins_ && plugins_->edits_request()) {
    request.headers = plugins_;
    request.any_header = &any_edited_header;
  }
  const auto match = epoch_ ? epoch_->snapshot->match(request) : snapshot::Match{};
  if (match.misdirected) return answer(421, "Misdirected Request", true);
  if (!match.route) return answer(404, "no Route matched with those values", true);
  route_ = match.route;
  prefix_bytes_ = match.prefix_bytes;
  service_slot_ = route_->service;
  if (route_->gateway) {
    service_slot_ = context_.turns.pick(*route_, epoch_->snapshot->revision(), context_.random.next());
    peer_ = peer_of(*route_, service_slot_);
    if (route_->request_timeout.count() > 0) {
      request_deadline_ms_ = context_.loop.now_ms() + ms(route_->request_timeout);
      watch_deadline();
    }
  }
  const auto* chain = epoch_->snapshot->chain(route_);
  if (chain && !plugins_) plugins_ = context_.new_plugins(*this);
  if (plugins_) plugins_->use(chain, match.regex);
  return allows_scheme();
}

// A route for https only sends plain requests there. False: answered.
bool Exchange::allows_scheme() {
  if (route_->http || !route_->https) return true;
  const auto& head = context_.request_head;
  std::string_view proto = client_->tls ? "https" : "http", forwarded_host = host_name_;
  if (client_->trusted) {
    proto = value_or(head, http::Name::x_forwarded_proto, proto);
    forwarded_host = value_or(head, http::Name::x_forwarded_host, forwarded_host);
  }
  return text::equal_ignoring_case(proto, "https") || redirect_to_https(forwarded_host);
}

const snapshot::Service* Exchange::service_of_route() const {
  if (!route_ || service_slot_ == snapshot::no_slot) return nullptr;
  return epoch_->snapshot->service(service_slot_);
}

// While the snapshot that it began with is the worker's: later its slots may stand for something else.
void Exchange::hold_balancer() {
  if (balancer_) return;
  service_ = service_of_route();
  if (service_) balancer_ = context_.backends.find(service_->backend, service_->tls || *peer_, service_->port, *peer_);
  if (balancer_) context_.backends.hold(*balancer_);
}

bool Exchange::find_balancer() {
  hold_balancer();
  if (!service_) {
    return route_->gateway ? answer(500, "the route has no backend for this request", true)
                           : answer(503, "no Service found with those values", true);
  }
  if (!balancer_) return answer(503, "failure to get a peer from the ring-balancer", true);
  attempts_left_ = static_cast<std::uint32_t>(std::min<std::size_t>(service_->retries, Context::attempts_max));
  return true;
}

// Replaces `out`. A route of the Gateway API has its path rewritten by filters only.
void Exchange::upstream_path(std::string& out) const {
  const auto& service = *service_of_route();
  if (!route_->gateway) return snapshot::upstream_path(*route_, service, path_, prefix_bytes_, out);
  out.clear();
  std::string_view base = service.path;
  if (base.ends_with('/')) base.remove_suffix(1);
  http::escape_path(base, out);
  http::escape_path(path_, out);
}

void Exchange::print_upstream_request() {
  auto& head = context_.request_head;
  context_.upstream_path.clear();
  upstream_path(context_.upstream_path);
  preserve_host_ = (route_->preserve_host || route_->gateway) && !head.authority.empty();
  RequestPlan p;
  p.path = context_.upstream_path;
  p.host = preserve_host_ ? head.authority : "";  // else the address brings it
  p.original_path = head.path;
  // The matched prefix, when it was taken off and is not all there is.
  if (route_->strip_path && !route_->gateway && prefix_bytes_ > 1) p.prefix = path_.substr(0, prefix_bytes_);
  p.client_ip = client_->ip;
  p.forwarded_proto = client_->tls ? "https" : "http";
  p.forwarded_host = host_name_;
  p.forwarded_port = client_->entrance->port;
  p.trusted = client_->trusted;
  if (context_.options.request_id_upstream) p.request_id = id();
  if (upgrade_asked_) p.upgrade = head.upgrade_protocol;
  p.token = context_.token;
  if (plugins_) {
    plugins_->edit_request(head, p, context_.upstream_path);
    idempotent_ = is_idempotent(head.method);
  }
  method_bytes_ = head.method.size();
  host_ = print_request(request_, head, p);
}

bool Exchange::redirect_to_https(std::string_view host) {
  const auto& head = context_.request_head;
  int status = route_->https_redirect_status_code;
  if (status == 426)
    return answer(426, "Please use HTTPS protocol", true, "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n");
  // The target as it came, made of what a target may hold: it cannot end the line.
  std::string location = "Location: https://";
  location.append(host).append(head.path);
  if (head.has_query) location.append("?").append(head.query);
  location.append("\r\n");
  return answer_with(status, {}, {}, location);
}

// Frames what came of the body together with its head, so that both leave in one send; keeps what lies behind it.
bool Exchange::take_first_piece() {
  if (plugins_ && plugins_->has_gathered()) append_gathered();
  if (behind_bytes_ == 0) return true;
  auto piece = request_body_.decode(behind_, std::exchange(behind_bytes_, 0));
  if (!piece.ok) return answer_later(400);
  if (!piece.rest.empty()) client_->in.assign(piece.rest);
  if (request_body_.bytes() > body_max_) return answer_too_large();
  if (request_body_.framing() == http::Framing::chunked) {
    request_.append(frame_chunk(piece.data, request_body_.done(), request_body_.trailers()));
  } else {
    request_.append(piece.data);
  }
  return true;
}

// What plugins had read of the body. One that is not whole keeps its framing, and the rest of it follows.
void Exchange::append_gathered() {
  const auto& body = plugins_->gathered();
  const bool chunked = !plugins_->body_is_whole() && request_body_.framing() == http::Framing::chunked;
  if (chunked && !body.empty()) {
    char size[frame_room];
    request_.append(size, http::print_chunk_size(size, body.size()));
  }
  request_.append(body);
  if (!chunked) return;
  if (!body.empty()) request_.append("\r\n");
  if (request_body_.done()) request_.append("0\r\n").append(request_body_.trailers()).append("\r\n");
}

}  // namespace weir::proxy
