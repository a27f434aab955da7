#include <algorithm>
#include <optional>

#include "base/text.h"
#include "http/uri.h"
#include "net/tls.h"
#include "proxy/errors.h"
#include "proxy/exchange.h"

namespace weir::proxy {
namespace {

// The longest host that a route can have; longer ones match no route.
constexpr std::size_t host_bytes_max = 255;

bool any_header(const void* head, std::string_view name, bool (*test)(const void*, std::string_view),
                const void* context) {
  for (const auto& field : static_cast<const http::RequestHead*>(head)->fields())
    if (text::equal_ignoring_case(field.name, name) && test(context, field.value)) return true;
  return false;
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
  balancer_ = nullptr;
  request_.clear();
  request_sent_ = 0;
  tried_.clear();
  interims_ = 0;
  status_ = 0;
  head_only_ = head.method == "HEAD";
  http10_ = head.minor == 0;
  keep_alive_ = head.keep_alive && !context_.draining && client.requests < context_.options.keepalive_requests;
  idempotent_ = head.method != "POST" && head.method != "PATCH" && head.method != "LOCK";
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
  response_bytes_ = 0;
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
  if (choose() && take_first_piece()) connect();
}

// Routes the request and prints what goes to the upstream. False: answered.
bool Exchange::choose() {
  const auto& head = context_.request_head;
  const auto most = context_.options.client_max_body_bytes;
  if (head.expect_other) return answer(417, error_message(417), false);
  if (most && head.framing == http::Framing::length && head.content_length > most)
    return answer(413, error_message(413), false);

  std::string_view path;
  const auto authority = text::split_host_port(head.authority);
  std::array<char, host_bytes_max + 2> host_buffer;
  const auto host = router_host(authority ? authority->host : "", host_buffer);
  if (!http::normalise_path(head.path, context_.path_scratch, path) || !host || (!authority && !head.authority.empty()))
    return answer(400, error_message(400), false);

  snapshot::Request request;
  request.method = head.method;
  request.host = *host;
  request.port = authority && authority->port ? authority->port : client_->tls ? 443 : 80;
  request.path = path;
  request.tls = client_->tls;
  request.sni = client_->tls ? net::server_name(*client_) : "";
  request.headers = &head;
  request.any_header = &any_header;
  const auto match = epoch_ ? epoch_->snapshot->match(request) : snapshot::Match{};
  if (!match.route) return answer(404, "no Route matched with those values", true);
  route_ = match.route;
  if (!allows_scheme(*host) || !find_balancer()) return false;
  print_upstream_request(*host, path, match.prefix_bytes);
  return true;
}

// A route for https only sends plain requests there. False: answered.
bool Exchange::allows_scheme(std::string_view host) {
  if (route_->http || !route_->https) return true;
  const auto& head = context_.request_head;
  std::string_view proto = client_->tls ? "https" : "http", forwarded_host = host;
  if (client_->trusted) {
    proto = value_or(head, http::Name::x_forwarded_proto, proto);
    forwarded_host = value_or(head, http::Name::x_forwarded_host, forwarded_host);
  }
  return text::equal_ignoring_case(proto, "https") || redirect_to_https(forwarded_host);
}

bool Exchange::find_balancer() {
  service_ = route_->service == snapshot::no_slot ? nullptr : epoch_->snapshot->service(route_->service);
  if (!service_) return answer(503, "no Service found with those values", true);
  balancer_ = context_.backends.find(service_->backend, service_->tls, service_->port);
  if (!balancer_) return answer(503, "failure to get a peer from the ring-balancer", true);
  context_.backends.hold(*balancer_);
  attempts_left_ = static_cast<std::uint32_t>(std::min<std::size_t>(service_->retries, Context::attempts_max));
  return true;
}

void Exchange::print_upstream_request(std::string_view host, std::string_view path, std::size_t prefix_bytes) {
  auto& head = context_.request_head;
  context_.upstream_path.clear();
  snapshot::upstream_path(*route_, *service_, path, prefix_bytes, context_.upstream_path);
  preserve_host_ = route_->preserve_host && !head.authority.empty();
  RequestPlan p;
  p.path = context_.upstream_path;
  p.host = preserve_host_ ? head.authority : "";  // else the address brings it
  p.original_path = head.path;
  // The matched prefix, when it was taken off and is not all there is.
  if (route_->strip_path && prefix_bytes > 1) p.prefix = path.substr(0, prefix_bytes);
  p.client_ip = client_->ip;
  p.forwarded_proto = client_->tls ? "https" : "http";
  p.forwarded_host = host;
  p.forwarded_port = client_->listen_port;
  p.trusted = client_->trusted;
  if (context_.options.request_id_upstream) p.request_id = id();
  if (upgrade_asked_) p.upgrade = head.upgrade_protocol;
  p.token = context_.token;
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
  if (behind_bytes_ == 0) return true;
  auto piece = request_body_.decode(behind_, std::exchange(behind_bytes_, 0));
  if (!piece.ok) return answer_later(400);
  if (!piece.rest.empty()) client_->in.assign(piece.rest);
  const auto most = context_.options.client_max_body_bytes;
  if (most && request_body_.bytes() > most) return answer_later(413);
  if (request_body_.framing() == http::Framing::chunked) {
    request_.append(frame_chunk(piece.data, request_body_.done(), request_body_.trailers()));
  } else {
    request_.append(piece.data);
  }
  return true;
}

}  // namespace weir::proxy
