// For tests of this folder: entities written as short JSON, requests as a few words.
#pragma once
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <string>

#include "base/text.h"
#include "model/entities.h"
#include "snapshot/snapshot.h"

namespace weir::snapshot::testing {

// Identifiers that a test can name: id(7) ends in ...07.
inline Uuid id(std::uint32_t number) {
  Uuid out;
  for (int i = 0; i < 4; i++) out.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return out;
}

inline std::string reference(std::uint32_t number) {
  return R"({"id":")" + id(number).text() + "\"}";
}

// The entity `number` of type T with these fields, complete as a store would hold it; later numbers are younger.
template <class T>
store::Change put(std::uint32_t number, std::string_view json, std::int64_t created_at = 0) {
  auto input = boost::json::parse({json.data(), json.size()}).as_object();
  auto entity = model::schema<T>().upsert(std::move(input), id(number), 1000);
  if (!entity) {
    ADD_FAILURE() << json << ": " << boost::json::serialize(entity.error().body());
    return {&model::schema<T>(), id(number), std::nullopt};
  }
  (*entity)["created_at"] = created_at != 0 ? created_at : 1000 + static_cast<std::int64_t>(number);
  return {&model::schema<T>(), id(number), std::move(*entity)};
}
inline store::Change put_route(std::uint32_t number, std::string_view json, std::int64_t created_at = 0) {
  return put<model::Route>(number, json, created_at);
}
inline store::Change put_service(std::uint32_t number, std::string_view json) {
  return put<model::Service>(number, json);
}
inline store::Change put_upstream(std::uint32_t number, std::string_view json) {
  return put<model::Upstream>(number, json);
}
inline store::Change put_target(std::uint32_t number, std::uint32_t upstream, std::string_view target,
                                int weight = 100) {
  return put<model::Target>(
      number, fmt::format(R"({{"target":"{}","weight":{},"upstream":{}}})", target, weight, reference(upstream)));
}
template <class T>
store::Change drop(std::uint32_t number) {
  return {&model::schema<T>(), id(number), std::nullopt};
}

// "GET h.example:8080/path" with "https " in front for TLS.
struct Asked {
  std::string method = "GET", host, path = "/", sni, query;
  std::uint16_t port = 80;
  bool tls = false;
  Uuid entry;  // nil: proxy_listen
  std::multimap<std::string, std::string> headers;

  Asked(std::string_view text, std::multimap<std::string, std::string> fields = {}, std::string_view server_name = {})
      : sni(server_name), headers(std::move(fields)) {
    if (text.starts_with("https ")) {
      tls = true;
      port = 443;
      text.remove_prefix(6);
    }
    const auto space = text.find(' ');
    method = text.substr(0, space);
    const auto target = text.substr(space + 1);
    const auto slash = std::min(target.find('/'), target.size());
    host = target.substr(0, slash);
    if (slash < target.size()) path = target.substr(slash);
    if (const auto mark = path.find('?'); mark != path.npos) {
      query = path.substr(mark + 1);
      path.resize(mark);
    }
    if (const auto colon = host.rfind(':'); colon != host.npos && !host.ends_with(']')) {
      port = static_cast<std::uint16_t>(std::stoi(host.substr(colon + 1)));
      host.resize(colon);
    }
  }

  static bool any_header(const void* headers, std::string_view name,
                         bool (*test)(const void* context, std::string_view value), const void* context) {
    const auto& all = *static_cast<const std::multimap<std::string, std::string>*>(headers);
    const auto [first, last] = all.equal_range(std::string(name));
    for (auto at = first; at != last; ++at)
      if (test(context, at->second)) return true;
    return false;
  }

  Request request() const { return {method, host, port, path, sni, tls, query, entry, &headers, any_header}; }
};

// The number of the route that takes it, 0 when none does.
inline std::uint32_t taker(const SnapshotPtr& snapshot, const Asked& asked) {
  const auto match = snapshot->match(asked.request());
  if (!match.route) return 0;
  std::uint32_t number = 0;
  for (int i = 12; i < 16; i++) number = number << 8 | match.route->origin.id.bytes[static_cast<std::size_t>(i)];
  return number;
}

inline SnapshotPtr compile_all(const store::Changes& changes, const SnapshotPtr& previous = nullptr) {
  return compile(previous, changes, "test");
}

}  // namespace weir::snapshot::testing
