// One request to the API server on its way through libcurl, and what has arrived of its answer.
//
// libcurl's callbacks only collect; nothing of the caller's is called from inside of libcurl.
#pragma once
#include <curl/curl.h>

#include <memory>
#include <string>

#include "kube/client.h"
#include "kube/credentials.h"
#include "kube/lines.h"

namespace weir::kube {

// Where requests go; made once of an Access.
struct Server {
  std::string base;                     // "https://10.0.0.1:443" and the path that all paths are below, if any
  std::string host_header, connect_to;  // where TLS is to see another name than the URL's host; else empty
  std::string proxy, user_agent;
  bool insecure = false;
};
Result<Server> server_of(const Access&, const std::string& user_agent);

struct Transfer {
  static constexpr std::size_t body_max = 256 * 1024 * 1024;  // of a whole answer: a list's page of large Secrets
  static constexpr std::size_t refusal_max = 256 * 1024;      // of a stream's answer that is no stream

  std::string method, path, body, content_type;
  Client::Done done;
  std::function<void(std::string_view)> line;  // of a stream only
  std::chrono::milliseconds timeout{0};        // 0: none

  bool cancelled = false;  // nothing is called any more
  bool repeated = false;   // after a 401
  IdentityPtr identity;

  Answer answer;
  Lines lines;
  const char* refused = nullptr;                // why the rest is not read
  Clock::time_point began, heard;               // heard: when something came last
  Clock::time_point* heard_anywhere = nullptr;  // the same, of all transfers

  ~Transfer() { release(); }
  bool is_stream() const { return static_cast<bool>(line); }
  bool writes() const { return method != "GET"; }

  // Makes the handle; the transfer must not move from then on.
  CURL* prepare(const Server&, IdentityPtr);
  void release();
  CURL* easy() const { return easy_; }
  std::string error_text(CURLcode) const;

 private:
  static std::size_t on_body(char* bytes, std::size_t size, std::size_t count, void* self);
  static std::size_t on_header(char* bytes, std::size_t size, std::size_t count, void* self);
  bool take(std::string_view bytes);
  void note_heard();
  void set_tls(const Server&);
  void set_method();
  void add_header(const std::string& line);

  CURL* easy_ = nullptr;
  curl_slist* headers_ = nullptr;
  curl_slist* connect_to_ = nullptr;
  char error_[CURL_ERROR_SIZE] = "";
};

}  // namespace weir::kube
