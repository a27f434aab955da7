#include "kube/transfer.h"

#include <charconv>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/text.h"

namespace weir::kube {
namespace {

// A peer that is gone without a word is found out by TCP, not by waiting for an answer that cannot come.
int on_socket(void*, curl_socket_t socket, curlsocktype) {
  const unsigned int unacknowledged_ms = 20'000;
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
  return CURL_SOCKOPT_OK;
}

// The string must outlive the handle.
void set_blob(CURL* easy, CURLoption option, const std::string& text) {
  if (text.empty()) return;
  curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_NOCOPY};
  curl_easy_setopt(easy, option, &blob);
}

}  // namespace

Result<Server> server_of(const Access& access, const std::string& user_agent) {
  Server out;
  out.base = access.server;
  while (out.base.ends_with('/')) out.base.pop_back();
  out.insecure = access.insecure;
  out.proxy = access.proxy_url;
  out.user_agent = user_agent;
  const bool tls = out.base.starts_with("https://");
  if (!tls && !out.base.starts_with("http://"))
    return fail("the Kubernetes API server's address '{}' is not an http or https URL", access.server);

  const auto scheme = out.base.find("://") + 3;
  const auto end = std::min(out.base.find('/', scheme), out.base.size());
  const auto authority = out.base.substr(scheme, end - scheme);
  const auto parsed = text::split_host_port(authority);
  if (!parsed || parsed->host.empty() || authority.find('@') != authority.npos)
    return fail("the Kubernetes API server's address '{}' has no valid host", access.server);
  if (access.tls_server_name.empty() || !tls) return out;

  // libcurl knows one name of a server: so the URL has the name that TLS is to see, and the address goes beside it.
  const int port = parsed->port ? parsed->port : 443;
  const auto bracketed = [](std::string_view host) {
    return host.find(':') == host.npos ? std::string(host) : fmt::format("[{}]", host);
  };
  out.host_header = authority;
  out.connect_to = fmt::format("{}:{}:{}:{}", bracketed(access.tls_server_name), port, bracketed(parsed->host), port);
  out.base = fmt::format("https://{}:{}{}", bracketed(access.tls_server_name), port, out.base.substr(end));
  return out;
}

CURL* Transfer::prepare(const Server& server, IdentityPtr who) {
  release();
  identity = std::move(who);
  answer = {};
  refused = nullptr;
  easy_ = curl_easy_init();
  WEIR_ASSERT(easy_);
  const std::string url = server.base + path;
  curl_easy_setopt(easy_, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);      // no waiting for a name's resolution at the end
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);  // a redirect must not get the token
  curl_easy_setopt(easy_, CURLOPT_PROXY, server.proxy.c_str());
  // One connection for all watches, where the server speaks HTTP/2; without TLS it does not, and waiting to see would
  // be waiting for an answer.
  curl_easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy_, CURLOPT_PIPEWAIT, server.base.starts_with("https:") ? 1L : 0L);
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, 64L * 1024);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, 5'000L);
  if (timeout.count() > 0) curl_easy_setopt(easy_, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPIDLE, 15L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPINTVL, 5L);
  curl_easy_setopt(easy_, CURLOPT_SOCKOPTFUNCTION, on_socket);
  curl_easy_setopt(easy_, CURLOPT_USERAGENT, server.user_agent.c_str());
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  set_tls(server);
  set_method();
  if (!server.host_header.empty()) add_header("Host: " + server.host_header);
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  if (!server.connect_to.empty()) {
    connect_to_ = curl_slist_append(nullptr, server.connect_to.c_str());
    curl_easy_setopt(easy_, CURLOPT_CONNECT_TO, connect_to_);
  }
  began = heard = Clock::now();
  return easy_;
}

void Transfer::set_tls(const Server& server) {
  curl_easy_setopt(easy_, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYPEER, server.insecure ? 0L : 1L);
  curl_easy_setopt(easy_, CURLOPT_SSL_VERIFYHOST, server.insecure ? 0L : 2L);
  set_blob(easy_, CURLOPT_CAINFO_BLOB, identity->ca);
  set_blob(easy_, CURLOPT_SSLCERT_BLOB, identity->cert);
  set_blob(easy_, CURLOPT_SSLKEY_BLOB, identity->key);
}

void Transfer::set_method() {
  add_header("Accept: application/json");
  if (!identity->authorization.empty()) add_header("Authorization: " + identity->authorization);
  if (method == "GET") return;
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, method.c_str());
  if (body.empty()) return;
  add_header("Expect:");  // without it libcurl waits for a 100 before a large body
  add_header("Content-Type: " + (content_type.empty() ? "application/json" : content_type));
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.data());
}

void Transfer::add_header(const std::string& text) {
  auto* longer = curl_slist_append(headers_, text.c_str());
  WEIR_ASSERT(longer);
  headers_ = longer;
}

void Transfer::release() {
  if (easy_) curl_easy_cleanup(easy_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(connect_to_);
  easy_ = nullptr;
  headers_ = connect_to_ = nullptr;
}

std::string Transfer::error_text(CURLcode code) const {
  if (refused) return refused;
  if (error_[0]) return error_;
  return curl_easy_strerror(code);
}

std::size_t Transfer::on_header(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string_view header(bytes, size * count);
  transfer.note_heard();
  constexpr std::string_view name = "retry-after:";
  if (header.size() > name.size() && text::equal_ignoring_case(header.substr(0, name.size()), name)) {
    const auto value = text::trim(header.substr(name.size()));
    unsigned seconds = 0;
    std::from_chars(value.data(), value.data() + value.size(), seconds);
    transfer.answer.retry_after = std::chrono::seconds(std::min(seconds, 3600u));
  }
  return header.size();
}

std::size_t Transfer::on_body(char* bytes, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  return transfer.take({bytes, size * count}) ? size * count : 0;
}

void Transfer::note_heard() {
  heard = Clock::now();
  if (heard_anywhere) *heard_anywhere = heard;
}

bool Transfer::take(std::string_view bytes) {
  note_heard();
  if (answer.status == 0) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
  }
  if (is_stream() && answer.ok()) {
    if (!lines.add(bytes)) refused = "a line of the stream is longer than 16 MiB";
  } else {
    answer.body += bytes;
    if (answer.body.size() > (is_stream() ? refusal_max : body_max)) refused = "the answer is too large";
  }
  return !refused;
}

}  // namespace weir::kube
