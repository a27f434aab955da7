#include "net/http_post.h"

#include <curl/curl.h>

#include <algorithm>
#include <mutex>
#include <utility>

namespace weir::net {
namespace {

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

// What a server answers is of no interest.
std::size_t discard(char*, std::size_t size, std::size_t count, void*) {
  return size * count;
}

}  // namespace

struct HttpPost::Transfer {
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string body;
  Done done;
  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
};

HttpPost::HttpPost() {
  initialise();
  multi_ = curl_multi_init();
  WEIR_ASSERT(multi_);
}

HttpPost::~HttpPost() {
  for (const auto& transfer : transfers_) curl_multi_remove_handle(multi_, transfer->easy);
  transfers_.clear();
  curl_multi_cleanup(multi_);
}

void HttpPost::start(HttpRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  auto* easy = transfer->easy = curl_easy_init();
  WEIR_ASSERT(easy);
  transfer->body = std::move(request.body);
  transfer->done = std::move(done);
  // "Expect:": without it libcurl waits for a 100 before a large body.
  transfer->headers = curl_slist_append(nullptr, "Expect:");
  for (const auto& header : request.headers)
    if (auto* longer = curl_slist_append(transfer->headers, header.c_str())) transfer->headers = longer;
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // what the environment says about proxies is not for this
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body.data());
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer->body.size()));
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, static_cast<long>(std::max<long>(1, request.keepalive.count() / 1000)));
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
  if (!request.username.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_USERNAME, request.username.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, request.password.c_str());
  }
  curl_multi_add_handle(multi_, easy);
  transfers_.push_back(std::move(transfer));
}

void HttpPost::run(std::chrono::milliseconds wait) {
  int running = 0;
  curl_multi_perform(multi_, &running);
  int left = 0;
  bool ended = false;
  while (const auto* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    finish(message->easy_handle, message->data.result);
    ended = true;
  }
  if (!ended) curl_multi_poll(multi_, nullptr, 0, static_cast<int>(std::max<long>(0, wait.count())), nullptr);
}

void HttpPost::finish(void* easy, int code) {
  const auto at = std::ranges::find_if(transfers_, [&](const auto& transfer) { return transfer->easy == easy; });
  WEIR_ASSERT(at != transfers_.end());
  const auto transfer = std::move(*at);
  transfers_.erase(at);
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  curl_multi_remove_handle(multi_, easy);
  if (code == CURLE_OK)
    transfer->done(static_cast<int>(status));
  else
    transfer->done(fail("{}", curl_easy_strerror(static_cast<CURLcode>(code))));
}

void HttpPost::wake() {
  curl_multi_wakeup(multi_);
}

}  // namespace weir::net
