// Prints the heads that are forwarded: the request's to the upstream, the response's to the client, with the fields
// that Kong adds (kong-entities.md section 11). Lines that stay are copied as they came; nothing is printed unchecked.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "http/head.h"
#include "http/print.h"
#include "proxy/edits.h"
#include "snapshot/snapshot.h"

namespace weir::proxy {

// A request as it goes to the upstream.
struct RequestPlan {
  std::string_view path;           // escaped, without query
  std::string_view host;           // the Host field
  std::string_view original_path;  // X-Forwarded-Path
  std::string_view prefix;         // X-Forwarded-Prefix; empty: none
  std::string_view client_ip, forwarded_proto, forwarded_host;
  std::uint16_t forwarded_port = 0;
  bool trusted = false;         // the client's X-Forwarded-* and X-Real-IP are believed
  std::string_view request_id;  // empty: not sent
  std::string_view upgrade;     // protocol; empty: none
  std::string_view token;
  const FieldEdits* edits = nullptr;  // those of the head that they replace are marked as dropped
};

// Prints into `out` and returns where the Host value lies in it, so that another attempt can replace it. Marks in
// `head` which lines are dropped.
struct Span {
  std::size_t at = 0, bytes = 0;
};
Span print_request(std::string& out, http::RequestHead& head, const RequestPlan&);

// A response as it goes to the client.
struct ResponsePlan {
  enum class Framing : std::uint8_t { as_is, length, chunked, close } framing = Framing::as_is;
  bool http10 = false, keep_alive = true;
  std::string_view token;       // for Via, and Server when there is none; empty: neither
  std::string_view date;        // when the upstream sent none
  std::string_view request_id;  // empty: not sent
  bool latencies = false, upstream_status = false;
  std::uint64_t upstream_ms = 0, proxy_ms = 0;
  std::string_view upgrade;
  const snapshot::Route* route = nullptr;  // Kong-Debug: 1
  const snapshot::Service* service = nullptr;
  const FieldEdits* edits = nullptr;
  int status = 0;  // instead of the head's; 0: that one
};

// Returns where it stopped. Needs room for head.bytes and 4 KiB more than what the plan's texts take.
char* print_response(char* out, http::ResponseHead& head, const ResponsePlan&);
std::size_t room_for(const http::ResponseHead& head, const ResponsePlan&);

}  // namespace weir::proxy
