// Sends small HTTP requests to servers that are told what happened: libcurl's multi interface.
//
// Belongs to one thread, which calls run() again and again; wake() alone may be called from another one. Connections
// are kept and used again. Redirects are not followed; certificates are verified.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace weir::net {

struct HttpRequest {
  std::string url, method, body;
  std::vector<std::string> headers;  // "Name: value"
  std::string username, password;    // Basic, when there is a username
  std::chrono::milliseconds timeout{10'000}, keepalive{60'000};
};

class HttpPost {
 public:
  using Done = std::function<void(Result<int> status)>;  // errors name no secret

  HttpPost();
  ~HttpPost();  // requests on their way are given up without a word

  void start(HttpRequest, Done);
  // Works for as long as there is something to do, else waits for at most that long, or until wake().
  void run(std::chrono::milliseconds wait);
  void wake();
  std::size_t on_their_way() const { return transfers_.size(); }

 private:
  struct Transfer;
  void finish(void* easy, int code);

  void* multi_ = nullptr;  // CURLM
  std::vector<std::unique_ptr<Transfer>> transfers_;
};

}  // namespace weir::net
