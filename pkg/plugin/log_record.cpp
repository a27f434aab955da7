#include "plugin/log_record.h"

#include <algorithm>
#include <vector>

#include <fmt/compile.h>

#include "base/text.h"
#include "model/rules.h"

namespace weir::plugin {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

// The length of the UTF-8 sequence that text begins with (RFC 3629); 0: it is none.
std::size_t sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto first = byte(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xC2 ? 0
                             : first < 0xE0 ? 2
                             : first < 0xF0 ? 3
                             : first < 0xF5 ? 4
                                            : 0;
  if (length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
  if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

// Prints JSON straight into a string; keeps track of commas only.
class Printer {
 public:
  explicit Printer(std::string& out) : out_(out) {}

  void open(char bracket) { out_.push_back(bracket), fresh_ = true; }
  void close(char bracket) { out_.push_back(bracket), fresh_ = false; }
  void item() {
    if (!fresh_) out_.push_back(',');
    fresh_ = false;
  }
  Printer& key(std::string_view name) {
    item();
    text(name);
    out_.push_back(':');
    return *this;
  }
  void object(std::string_view name) { key(name).open('{'); }
  void text(std::string_view value) {
    out_.push_back('"');
    while (!value.empty()) {
      const auto plain = static_cast<std::size_t>(
          std::ranges::find_if(value, [](char c) { return c < 0x20 || c == '"' || c == '\\' || c == 0x7f; }) -
          value.begin());  // char is signed: bytes above 0x7f stop it as well
      out_.append(value.substr(0, plain));
      value.remove_prefix(plain);
      if (!value.empty()) value.remove_prefix(special(value));
    }
    out_.push_back('"');
  }
  void number(auto value) { fmt::format_to(std::back_inserter(out_), FMT_COMPILE("{}"), value); }
  void word(std::string_view value) { out_.append(value); }

  void field(std::string_view name, std::string_view value) { key(name).text(value); }
  void field(std::string_view name, const char* value) { key(name).text(value); }
  template <class N>
    requires std::is_arithmetic_v<N>
  void field(std::string_view name, N value) {
    key(name).number(value);
  }

 private:
  std::size_t special(std::string_view value) {
    const auto c = static_cast<unsigned char>(value.front());
    if (c == '"' || c == '\\') {
      out_.push_back('\\');
      out_.push_back(value.front());
    } else if (c < 0x80) {
      fmt::format_to(std::back_inserter(out_), FMT_COMPILE("\\u{:04x}"), c);
    } else if (const auto length = sequence(value)) {
      out_.append(value.substr(0, length));
      return length;
    } else {
      out_.append("\\ufffd");
    }
    return 1;
  }

  std::string& out_;
  bool fresh_ = true;
};

// An object of them; a name that comes several times has an array. value_of prints a value.
void print_pairs(Printer& json, const auto& pairs, const auto& same, const auto& name_of, const auto& value_of) {
  json.open('{');
  for (auto at = pairs.begin(); at != pairs.end(); ++at) {
    const auto is_same = [&](const auto& other) { return same(other.first, at->first); };
    if (std::any_of(pairs.begin(), at, is_same)) continue;
    const bool several = std::any_of(at + 1, pairs.end(), is_same);
    json.key(name_of(at->first));
    if (several) json.open('[');
    for (auto value = at; value != pairs.end(); ++value) {
      if (value != at && !is_same(*value)) continue;
      if (several) json.item();
      value_of(*value);
    }
    if (several) json.close(']');
  }
  json.close('}');
}

void print_headers(Printer& json, const auto& each, bool redact) {
  thread_local Pairs fields;  // keeps its memory from one request to the next
  fields.clear();
  each([](std::string_view name, std::string_view value) {
    fields.emplace_back(name, value);
    return fields.size() >= 1000;
  });
  thread_local std::string lower;
  print_pairs(
      json, fields, [](auto a, auto b) { return text::equal_ignoring_case(a, b); },
      [](std::string_view name) -> std::string_view { return lower = text::lower(name); },
      [&](const auto& field) {
        const bool secret = redact && (text::equal_ignoring_case(field.first, "authorization") ||
                                       text::equal_ignoring_case(field.first, "proxy-authorization"));
        json.text(secret ? "REDACTED" : field.second);
      });
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = text::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string decoded(std::string_view part) {
  std::string out;
  for (std::size_t i = 0; i < part.size(); ++i) {
    const bool escape = part[i] == '%' && i + 2 < part.size() && hex(part[i + 1]) >= 0 && hex(part[i + 2]) >= 0;
    if (escape) {
      out.push_back(static_cast<char>(hex(part[i + 1]) * 16 + hex(part[i + 2])));
      i += 2;
    } else {
      out.push_back(part[i] == '+' ? ' ' : part[i]);
    }
  }
  return out;
}

// As nginx's Lua module reads it: the first hundred arguments; one without "=" is true.
void print_query(Printer& json, std::string_view query) {
  std::vector<std::pair<std::string, std::optional<std::string>>> arguments;
  while (!query.empty() && arguments.size() < 100) {
    const auto part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const auto equals = part.find('=');
    if (part.empty() || equals == 0) continue;
    arguments.emplace_back(decoded(part.substr(0, equals)), std::nullopt);
    if (equals != part.npos) arguments.back().second = decoded(part.substr(equals + 1));
  }
  print_pairs(
      json, arguments, [](const auto& a, const auto& b) { return a == b; },
      [](const std::string& name) -> std::string_view { return name; },
      [&](const auto& argument) {
        if (argument.second)
          json.text(*argument.second);
        else
          json.word("true");
      });
}

void print_request(Printer& json, const Exchange& x) {
  thread_local std::string uri;
  uri.assign(x.path());
  if (!x.raw_query().empty()) uri.append("?").append(x.raw_query());
  json.object("request");
  json.field("id", x.request_id());
  json.field("uri", uri);
  json.field("url", fmt::format("{}://{}:{}{}", x.scheme(), x.host(), x.port(), uri));
  json.key("querystring");
  print_query(json, x.raw_query());
  json.field("method", x.method());
  json.key("headers");
  print_headers(json, [&](const EachField& f) { x.each_header(f); }, true);
  json.field("size", x.ending().request_bytes);
  json.close('}');
}

void print_tries(Printer& json, std::span<const Try> tries) {
  json.key("tries").open('[');
  for (const auto& one : tries) {
    json.item();
    json.open('{');
    json.field("balancer_start", one.started_ms);
    json.field("balancer_start_ns", one.started_ms * 1'000'000);
    json.field("balancer_latency", one.latency_us / 1000);
    json.field("balancer_latency_ns", one.latency_us * 1000);
    json.field("ip", one.ip);
    json.field("port", one.port);
    if (one.code != 0) {
      json.field("state", "failed");
      json.field("code", one.code);
    }
    json.close('}');
  }
  json.close(']');
}

void print_service(Printer& json, const ServiceView& service) {
  json.object("service");
  json.field("id", service.id.text());
  if (!service.name.empty()) json.field("name", service.name);
  json.field("protocol", service.protocol);
  json.field("host", service.host);
  json.field("port", service.port);
  if (!service.path.empty()) json.field("path", service.path);
  json.field("retries", service.retries);
  json.field("connect_timeout", service.connect_timeout);
  json.field("write_timeout", service.write_timeout);
  json.field("read_timeout", service.read_timeout);
  json.close('}');
}

void print_caller(Printer& json, const Exchange& x) {
  if (const auto* consumer = x.consumer()) json.key("consumer").word(boost::json::serialize(*consumer));
  const auto* credential = x.credential();
  if (!credential) return;
  json.object("authenticated_entity");
  json.field("id", model::text_of(model::value_of(*credential, "id")));
  if (const auto* consumer = model::value_of(*credential, "consumer").if_object())
    json.field("consumer_id", model::text_of(model::value_of(*consumer, "id")));
  json.close('}');
}

}  // namespace

void print_log_record(std::string& out, const Exchange& x) {
  out.clear();
  const auto& ending = x.ending();
  Printer json(out);
  json.open('{');
  print_request(json, x);
  if (ending.upstream_asked) {
    std::string uri(x.upstream_path());
    if (!x.raw_query().empty()) uri.append("?").append(x.raw_query());
    json.field("upstream_uri", uri);
  }
  if (ending.upstream_status != 0) json.field("upstream_status", fmt::to_string(ending.upstream_status));
  json.object("response");
  json.field("status", ending.status);
  json.key("headers");
  print_headers(json, [&](const EachField& f) { x.each_response_header(f); }, false);
  json.field("size", ending.response_bytes);
  json.close('}');
  json.object("latencies");
  json.field("kong", ending.weir_us / 1000);
  json.field("proxy", ending.upstream_asked ? static_cast<std::int64_t>(ending.upstream_us / 1000) : -1);
  json.field("request", ending.total_us / 1000);
  const auto accounted = ending.weir_us + ending.upstream_us;
  json.field("receive", ending.total_us > accounted ? (ending.total_us - accounted) / 1000 : 0);
  json.close('}');
  print_tries(json, ending.tries);
  if (const auto* route = x.route()) {
    json.object("route");
    json.field("id", route->id.text());
    if (!route->name.empty()) json.field("name", route->name);
    json.close('}');
  }
  if (const auto* service = x.service()) print_service(json, *service);
  print_caller(json, x);
  json.field("client_ip", x.client_ip());
  json.field("started_at", ending.started_ms);
  json.field("source", ending.from_upstream ? "upstream" : "kong");
  json.field("workspace_name", "default");
  json.close('}');
}

}  // namespace weir::plugin
