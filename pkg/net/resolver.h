// Host names as addresses: A, AAAA and SRV through c-ares, kept fresh by their TTL.
//
// One per node, with a thread of its own. Names that are watched are resolved again as their TTL runs out; while DNS is
// away the last good answer goes on being served (dns_stale_ttl). /etc/hosts is obeyed. Any thread may call.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>

#include "base/result.h"

namespace weir::net {

// An IPv4 or IPv6 socket address. A value.
struct Address {
  sockaddr_storage storage{};

  static std::optional<Address> from_ip(std::string_view ip, std::uint16_t port);
  std::string ip() const;  // IPv6 without brackets
  std::uint16_t port() const;
  socklen_t size() const;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  bool operator==(const Address&) const;
};

struct Resolved {
  struct Record {
    Address address;           // port 0: the caller's own
    std::uint32_t weight = 0;  // of an SRV record (0 in DNS counts as 1); 0: the caller's own
    std::string name;          // the SRV record's target name, else the name that was asked
  };
  enum class State : std::uint8_t { ok, not_found, failed } state = State::ok;
  std::string type;             // "A", "AAAA", "SRV"
  std::string message;          // of a failure: what the resolver said
  std::vector<Record> records;  // in a stable order; SRV: lowest priority value only
  bool stale = false;           // past its TTL, served because DNS does not answer
};
using ResolvedPtr = std::shared_ptr<const Resolved>;

class Resolver {
 public:
  struct Options {                                               // Kong's dns_* settings
    std::vector<std::string> servers;                            // dns_resolver, "ip[:port]"; empty: /etc/resolv.conf
    std::string hosts_file = "/etc/hosts";                       // dns_hostsfile
    std::vector<std::string> order{"LAST", "SRV", "A", "AAAA"};  // dns_order
    std::chrono::milliseconds valid_ttl{0};                      // dns_valid_ttl; 0: what the answer says
    std::chrono::seconds stale_ttl{3600}, not_found_ttl{30}, error_ttl{1};
    std::chrono::milliseconds timeout{2000};  // of one query
    int attempts = 5;
  };
  struct Counts {
    std::uint64_t queries = 0, failures = 0, stale_answers = 0;
  };
  // changed: called on the resolver's thread whenever the answer for a watched name differs from the one before in
  // state, type or records; what watch() returned is not told again, nor that an answer went stale.
  using Changed = std::function<void(const std::string& name, ResolvedPtr)>;

  static Result<std::unique_ptr<Resolver>> start(Options, Changed changed);
  virtual ~Resolver() = default;  // stops and joins the thread

  // Starts keeping `name` fresh; counted, so each watch needs its unwatch. Returns the answer when there is one
  // already: at once for an IP address, localhost and what the hosts file knows.
  virtual ResolvedPtr watch(const std::string& name) = 0;
  virtual void unwatch(const std::string& name) = 0;
  // The present answer for a watched name; null while the first query runs or when it is not watched.
  virtual ResolvedPtr find(const std::string& name) const = 0;
  virtual Counts counts() const = 0;
};

}  // namespace weir::net
