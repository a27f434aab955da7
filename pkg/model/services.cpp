// The entity "services", and the shorthand `url`.
#include <algorithm>
#include <charconv>

#include "base/text.h"

#include "model/entities.h"
#include "model/fields.h"

namespace weir::model {
namespace {

namespace json = boost::json;

const std::vector<std::string> protocols{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp"};
constexpr double timeout_max = 2147483646;  // ms; Kong: 2^31 - 2

// scheme://host:port/path, read as luasocket's url.parse does, which Kong uses.
struct Url {
  std::optional<std::string> scheme, host, port, path;
  std::string wrong;
};

Url parse_url(std::string_view text) {
  Url out;
  // Kong drops these three silently; what is not going to be used must not be accepted.
  if (text.find_first_of("?#") != text.npos) return {{}, {}, {}, {}, "query and fragment are not supported in 'url'"};
  const auto colon = text.find(':');
  const auto is_scheme_char = [](char c) {
    return (c >= '0' && c <= '9') || (text::lower(c) >= 'a' && text::lower(c) <= 'z') || c == '+' || c == '-' ||
           c == '.';
  };
  if (colon != text.npos && colon > 0 && std::all_of(text.begin(), text.begin() + colon, is_scheme_char)) {
    out.scheme = text::lower(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    auto authority = text.substr(0, text.find('/'));
    text.remove_prefix(authority.size());
    if (authority.find('@') != authority.npos) return {{}, {}, {}, {}, "user information is not supported in 'url'"};
    const auto last = authority.rfind(':');
    if (last != authority.npos && authority.find(']', last) == authority.npos) {
      out.port = authority.substr(last + 1);
      authority = authority.substr(0, last);
    }
    if (authority.starts_with('[') && authority.ends_with(']')) authority = authority.substr(1, authority.size() - 2);
    if (!authority.empty()) out.host = authority;
  }
  if (!text.empty()) out.path = text;
  return out;
}

json::value port_of(const Url& url, std::string_view protocol) {
  if (url.port && !url.port->empty()) {
    int port = 0;
    const auto* end = url.port->data() + url.port->size();
    const auto read = std::from_chars(url.port->data(), end, port);
    return read.ec == std::errc{} && read.ptr == end ? json::value(port) : json::value(*url.port);  // fails its check
  }
  return protocol == "https" ? 443 : 80;
}

void expand_url(Object& input, Object& faults) {
  const auto* given = input.if_contains("url");
  if (!given) return;
  const json::value value = *given;
  input.erase("url");
  if (value.is_null()) return;
  if (!value.is_string()) {
    faults["url"] = "expected a string";
    return;
  }
  if (!is_text(value.get_string())) {
    faults["url"] = "invalid value: expected valid utf-8 without NUL characters";
    return;
  }
  const auto url = parse_url(value.get_string());
  if (!url.wrong.empty()) {
    faults["url"] = url.wrong;
    return;
  }
  const auto text_or_null = [](const std::optional<std::string>& text) {
    return text ? json::value(*text) : json::value();
  };
  const std::string protocol = url.scheme.value_or(url.port == "443" ? "https" : "http");
  input["protocol"] = protocol;
  input["host"] = text_or_null(url.host);
  input["port"] = port_of(url, protocol);
  input["path"] = text_or_null(url.path);
}

// "[::1]" -> "::1": an address is handed to connect(2), which knows no brackets.
std::string without_brackets(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) return std::string(host.substr(1, host.size() - 2));
  return std::string(host);
}

const Declared<Service>& declared() {
  static const auto built =
      entity<Service>("services")
          .endpoint_key("name")
          .field("name", &Service::name, "The service's name.", unique(), check(check_name))
          .field("retries", &Service::retries, "Further attempts after the first one failed to connect.", nullable(),
                 between(0, 32767))
          .field("protocol", &Service::protocol, "How to speak with the upstream.", one_of(protocols),
                 supports_only({"http", "https"}, "use http or https"))
          .field("host", &Service::host, "The upstream's host name or address, or the name of an upstream entity.",
                 check(check_host), normalised(without_brackets))
          .field("port", &Service::port, "The upstream's port; not used when host names an upstream entity.",
                 between(0, 65535))
          .field("path", &Service::path, "What goes before the path of each request.", check(check_path))
          .field("connect_timeout", &Service::connect_timeout, "Milliseconds to establish a connection.", nullable(),
                 between(1, timeout_max))
          .field("write_timeout", &Service::write_timeout,
                 "Milliseconds between two successive writes to the upstream.", nullable(), between(1, timeout_max))
          .field("read_timeout", &Service::read_timeout, "Milliseconds between two successive reads from the upstream.",
                 nullable(), between(1, timeout_max))
          .field("tags", &Service::tags, tags_help, tags())
          .field("client_certificate", &Service::client_certificate,
                 "The certificate to show to the upstream over TLS.", foreign("certificates"),
                 supports_only({}, "leave client_certificate out"))
          .field("tls_verify", &Service::tls_verify, "Whether to verify the upstream's certificate.",
                 supports_only({false}, "leave tls_verify out or set it to false"))
          .field("tls_verify_depth", &Service::tls_verify_depth, "Longest certificate chain to accept.", between(0, 64),
                 supports_only({}, "leave tls_verify_depth out"))
          .field("ca_certificates", &Service::ca_certificates,
                 "Which CA certificates to trust when the upstream's certificate is verified.", each({uuid_form()}),
                 supports_only({}, "leave ca_certificates out"))
          .field("enabled", &Service::enabled, "Whether requests are routed to it; when false its routes answer 404.")
          .rule(null_when("protocol", {"tcp", "tls", "udp", "grpc", "grpcs"}, "path"))
          .rule(null_unless("protocol", {"https", "tls"}, "client_certificate"))
          .rule(null_unless("protocol", {"https", "tls"}, "tls_verify"))
          .rule(null_unless("protocol", {"https", "tls"}, "tls_verify_depth"))
          .rule(null_unless("protocol", {"https", "tls"}, "ca_certificates"))
          .shorthand({declare("url", Type::string, "protocol, host, port and path at once; write only.")}, expand_url)
          .build();
  return built;
}

}  // namespace

template <>
const Schema& schema<Service>() {
  return declared().schema;
}
template <>
Service read<Service>(const Object& entity) {
  return declared().read(entity);
}

}  // namespace weir::model
