// A DNS server for tests: answers over UDP on a free loopback port from a script that may change at any time.
//
// Knows A, AAAA, SRV and CNAME, error codes and silence, and counts what it is asked. Thread-safe.
#pragma once
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "net/resolver.h"

namespace weir::net {

class StubServer {
 public:
  using Bytes = std::vector<std::uint8_t>;
  struct Srv {
    std::uint16_t priority, weight, port;
    std::string target;
  };

  StubServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    auto any = *Address::from_ip("127.0.0.1", 0);
    socklen_t size = sizeof any.storage;
    if (::bind(socket_, any.get(), any.size()) != 0 || ::pipe(stop_) != 0) std::abort();
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&any.storage), &size);
    port_ = any.port();
    thread_ = std::thread([this] { serve(); });
  }
  ~StubServer() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(socket_);
  }
  StubServer(const StubServer&) = delete;
  StubServer& operator=(const StubServer&) = delete;

  std::string server() const { return fmt::format("127.0.0.1:{}", port_); }

  void a(const std::string& name, const std::vector<std::string>& ips, std::uint32_t ttl = 300) {
    std::vector<Bytes> data;
    for (const auto& ip : ips) data.push_back(address_bytes<AF_INET, 4>(ip));
    put(name, ns_t_a, std::move(data), ttl);
  }
  void aaaa(const std::string& name, const std::vector<std::string>& ips, std::uint32_t ttl = 300) {
    std::vector<Bytes> data;
    for (const auto& ip : ips) data.push_back(address_bytes<AF_INET6, 16>(ip));
    put(name, ns_t_aaaa, std::move(data), ttl);
  }
  void srv(const std::string& name, const std::vector<Srv>& targets, std::uint32_t ttl = 300) {
    std::vector<Bytes> data;
    for (const auto& [priority, weight, port, target] : targets) {
      Bytes bytes;
      for (auto n : {priority, weight, port}) put16(bytes, n);
      put_name(bytes, target);
      data.push_back(std::move(bytes));
    }
    put(name, ns_t_srv, std::move(data), ttl);
  }
  void cname(const std::string& name, const std::string& target, std::uint32_t ttl = 300) {
    Bytes bytes;
    put_name(bytes, target);
    put(name, ns_t_cname, {bytes}, ttl);
    std::lock_guard lock(mutex_);
    aliases_[name] = target;
  }
  // For one type of a name, or (type 0) for every query: answer with this code, or not at all.
  void fail(const std::string& name, int type, int code) { change(name, type, {.code = code}); }
  void silence(const std::string& name, int type) { change(name, type, {.silent = true}); }
  void fail_all(int code) { change("", 0, {.code = code}); }
  void silence_all() { change("", 0, {.silent = true}); }
  void recover() { forget("", 0); }
  void forget(const std::string& name, int type) {
    std::lock_guard lock(mutex_);
    zone_.erase({name, type});
  }

  std::size_t asked(const std::string& name, int type) const {
    std::lock_guard lock(mutex_);
    auto count = asked_.find({name, type});
    return count == asked_.end() ? 0 : count->second;
  }
  std::size_t asked() const {
    std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [question, count] : asked_) sum += count;
    return sum;
  }

 private:
  using Key = std::pair<std::string, int>;
  struct Script {
    std::vector<Bytes> data = {};
    std::uint32_t ttl = 0;
    int code = ns_r_noerror;
    bool silent = false;
  };

  static void put16(Bytes& out, unsigned n) {
    out.push_back(static_cast<std::uint8_t>(n >> 8));
    out.push_back(static_cast<std::uint8_t>(n));
  }
  static void put_name(Bytes& out, std::string_view name) {
    while (!name.empty()) {
      auto label = name.substr(0, name.find('.'));
      out.push_back(static_cast<std::uint8_t>(label.size()));
      out.insert(out.end(), label.begin(), label.end());
      name.remove_prefix(std::min(label.size() + 1, name.size()));
    }
    out.push_back(0);
  }
  template <int family, std::size_t size>
  static Bytes address_bytes(const std::string& ip) {
    Bytes bytes(size);
    if (inet_pton(family, ip.c_str(), bytes.data()) != 1) std::abort();
    return bytes;
  }

  void change(const std::string& name, int type, Script script) {
    std::lock_guard lock(mutex_);
    zone_[{name, type}] = std::move(script);
  }
  void put(const std::string& name, int type, std::vector<Bytes> data, std::uint32_t ttl) {
    change(name, type, {.data = std::move(data), .ttl = ttl});
  }

  void serve() {
    std::array<std::uint8_t, 4096> packet;
    std::array<pollfd, 2> watched{{{socket_, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
    while (::poll(watched.data(), watched.size(), -1) > 0 && !watched[1].revents) {
      sockaddr_storage from;
      socklen_t size = sizeof from;
      auto got = ::recvfrom(socket_, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got < 17) continue;
      auto answer = answer_to({packet.data(), static_cast<std::size_t>(got)});
      if (!answer.empty()) ::sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  Bytes answer_to(std::span<const std::uint8_t> query) {
    std::string name;
    std::size_t at = 12;
    while (at < query.size() && query[at] != 0) {
      if (!name.empty()) name += '.';
      for (std::size_t i = 0; i < query[at]; ++i) name += static_cast<char>(std::tolower(query[at + 1 + i]));
      at += query[at] + 1u;
    }
    int type = query[at + 1] << 8 | query[at + 2];
    std::lock_guard lock(mutex_);
    ++asked_[{name, type}];
    auto script = script_of(name, type);
    if (script.silent) return {};
    Bytes out(query.begin(), query.begin() + static_cast<std::ptrdiff_t>(at + 5));
    out[2] |= 0x84;  // answer, authoritative
    out[3] = static_cast<std::uint8_t>(0x80 | script.code);
    std::fill(out.begin() + 6, out.begin() + 12, std::uint8_t{0});
    auto add = [&](const std::string& owner, int record_type, const Script& records) {
      for (const auto& data : records.data) {
        ++out[7];
        put_name(out, owner);
        put16(out, static_cast<unsigned>(record_type));
        put16(out, ns_c_in);
        put16(out, records.ttl >> 16);
        put16(out, records.ttl & 0xffff);
        put16(out, static_cast<unsigned>(data.size()));
        out.insert(out.end(), data.begin(), data.end());
      }
    };
    if (auto alias = aliases_.find(name); alias != aliases_.end() && script.code == ns_r_noerror) {
      add(name, ns_t_cname, zone_[{name, ns_t_cname}]);
      add(alias->second, type, script_of(alias->second, type));
    } else {
      add(name, type, script);
    }
    return out;
  }

  Script script_of(const std::string& name, int type) const {
    if (auto all = zone_.find({"", 0}); all != zone_.end()) return all->second;
    if (auto exact = zone_.find({name, type}); exact != zone_.end()) return exact->second;
    auto any = zone_.lower_bound({name, 0});
    bool exists = any != zone_.end() && any->first.first == name;
    return {.code = exists ? ns_r_noerror : ns_r_nxdomain};
  }

  int socket_;
  int stop_[2];
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::map<Key, Script> zone_;
  std::map<std::string, std::string> aliases_;
  std::map<Key, std::size_t> asked_;
  std::thread thread_;
};

}  // namespace weir::net
