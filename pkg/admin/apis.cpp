// Kong 0.10's /apis over services and routes: one model, two views of it.
#include "admin/api_object.h"
#include "admin/body.h"
#include "admin/endpoint.h"
#include "admin/lookup.h"
#include "admin/paging.h"
#include "admin/uri.h"
#include "model/entities.h"
#include "model/formats.h"

namespace weir::admin {

namespace {

using model::Outcome;
using model::Problem;

const model::Schema& services() {
  return model::schema<model::Service>();
}
const model::Schema& routes() {
  return model::schema<model::Route>();
}

Answer refused(const Problem& problem) {
  if (auto refusal = to_api_refusal(problem)) return answer_json(refusal->status, refusal->body);
  return answer_problem(problem);
}

// A route with its service, and how they look as an api.
struct Pair {
  Object route, service, api;
};

std::string printed(const boost::json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
}

// `?hosts=a.com`: lists match by any of their elements.
bool passes(const Object& api, const Query& filters) {
  return std::ranges::all_of(filters, [&](const auto& filter) {
    const auto* value = api.if_contains(filter.first);
    if (!value) return false;
    if (!value->is_array()) return printed(*value) == filter.second;
    return std::ranges::any_of(value->get_array(), [&](const auto& v) { return printed(v) == filter.second; });
  });
}

class Apis {
 public:
  explicit Apis(const Context& context) : context_(context) {}

  Answer create(const Call& call) const {
    auto given = read(call);
    if (!given) return given.error();
    return create_from(std::move(*given));
  }

  // PUT on the collection: with an id a full update, without one a new api.
  Answer put(const Call& call) const {
    auto given = read(call);
    if (!given) return given.error();
    const auto* id = given->if_contains("id");
    if (!id || id->is_null()) return create_from(std::move(*given));
    const auto pair = find_pair(std::string(id->get_string()));
    if (!pair) return answer_problem(pair.error());
    if (!*pair) return not_found();
    given->erase("created_at");
    return update(**pair, complete_api(std::move(*given)));
  }

  Answer show(const Call& call) const {
    const auto pair = find_pair(call.params[0]);
    if (!pair) return answer_problem(pair.error());
    return *pair ? answer_json(200, (*pair)->api) : not_found();
  }

  Answer change(const Call& call) const {
    const auto pair = find_pair(call.params[0]);
    if (!pair) return answer_problem(pair.error());
    if (!*pair) return not_found();
    const auto given = read(call);
    if (!given) return given.error();
    if (given->empty()) return answer_message(400, "empty body");
    Object merged = (*pair)->api;
    for (const auto& [name, value] : *given) {
      if ((name == "id" || name == "created_at") && value != merged.at(name))
        return answer_json(400, Object{{name, fmt::format("{} cannot be updated", std::string_view(name))}});
      merged[name] = value;
    }
    return update(**pair, complete_api(std::move(merged)));
  }

  // The service goes too when it was made with the api (it has its name) and nothing else uses it.
  Answer remove(const Call& call) const {
    if (context_.options.database_off) return no_database("delete");
    const auto pair = find_pair(call.params[0]);
    if (!pair) return answer_problem(pair.error());
    if (!*pair) return not_found();
    const auto& [route, service, api] = **pair;
    auto changes = context_.store.remove(routes(), id_of(route));
    if (!changes) return answer_problem(changes.error());
    auto answer = answer_empty(204);
    answer.changes = std::move(*changes);
    if (route.at("name").is_null() || route.at("name") != service.at("name")) return answer;
    auto more = context_.store.remove(services(), id_of(service));
    if (more)
      std::ranges::move(*more, std::back_inserter(answer.changes));
    else if (more.error().code != Problem::foreign_key_violation)
      return answer_problem(more.error());
    return answer;
  }

  // Every route that can be said as an api, in the order of ids. `total` counts all, so all are looked at.
  Answer list(const Call& call) const {
    const auto query = read_page_query(call, false);
    if (!query) return answer_json(400, Object{{"size", query.error().message}});
    Query filters;
    for (const auto& [name, value] : call.query) {
      if (name == "size" || name == "offset") continue;
      if (std::ranges::find(api_fields(), std::string_view(name)) == api_fields().end())
        return answer_json(400, Object{{model::shown(name), "unknown field"}});
      filters.emplace_back(name, value);
    }
    if (!query->offset.empty() && !Uuid::parse(query->offset))
      return answer_json(400,
                         Object{{"offset", fmt::format("'{}' is not a valid offset", model::shown(query->offset))}});
    return collect(call, *query, filters);
  }

 private:
  std::expected<Object, Answer> read(const Call& call) const {
    auto body = read_body(call.request);
    if (!body) return std::unexpected(body.error());
    auto api = read_api(std::move(body->values));
    if (!api) return std::unexpected(answer_json(400, api.error()));
    return std::move(*api);
  }

  static Answer no_database(std::string_view verb) {
    return answer_problem({Problem::operation_unsupported,
                           fmt::format("cannot {} 'apis' entities when not using a database", verb),
                           {},
                           {}});
  }

  Outcome<std::optional<Pair>> find_pair(const std::string& key) const {
    auto route = find(context_, routes(), Key{Uuid::parse(key), "name", key}, nullptr);
    if (!route) return std::unexpected(route.error());
    if (!*route || !is_api(**route)) return std::optional<Pair>();
    auto service = context_.store.find(services(), *foreign_id(**route, "service"));
    if (!service) return std::unexpected(service.error());
    if (!*service) return std::optional<Pair>();
    Object api = to_api(**route, **service);
    return Pair{std::move(**route), std::move(**service), std::move(api)};
  }

  Answer create_from(Object given) const {
    if (context_.options.database_off) return no_database("create");
    const auto api = complete_api(std::move(given));
    if (!api) return answer_json(400, api.error());
    const auto service = services().insert(service_part(*api), now());
    if (!service) return refused(service.error());
    auto input = route_part(*api);
    input["service"] = foreign_key(id_of(*service));
    const auto route = routes().insert(std::move(input), now());
    if (!route) return refused(route.error());
    auto changes = context_.store.insert_all({{&services(), *service}, {&routes(), *route}});
    if (!changes) return refused(changes.error());
    auto answer = answer_json(201, to_api(*route, *service));
    answer.changes = std::move(*changes);
    return answer;
  }

  // Whether another entity has this name. Asked before the first of two writes, so that neither is done in vain: nobody
  // else writes in between (store's thread).
  Outcome<bool> taken(const model::Schema& schema, const Object& entity) const {
    const auto& name = entity.at("name");
    if (name.is_null()) return false;
    const auto other = context_.store.find_by(schema, "name", std::string(name.get_string()));
    if (!other) return std::unexpected(other.error());
    return *other && id_of(**other) != id_of(entity);
  }

  Answer update(const Pair& pair, const std::expected<Object, ApiFaults>& api) const {
    if (context_.options.database_off) return no_database("update");
    if (!api) return answer_json(400, api.error());
    auto service_input = service_part(*api);
    // A service that was not made with the api keeps its own name.
    if (pair.service.at("name") != pair.route.at("name")) service_input.erase("name");
    const auto service = services().update(pair.service, std::move(service_input), now());
    if (!service) return refused(service.error());
    const auto route = routes().update(pair.route, route_part(*api, &pair.api), now());
    if (!route) return refused(route.error());
    for (const auto& [schema, entity] : {std::pair{&services(), &*service}, std::pair{&routes(), &*route}}) {
      const auto conflict = taken(*schema, *entity);
      if (!conflict) return answer_problem(conflict.error());
      if (*conflict) return refused(model::unique_violation(Object{{"name", entity->at("name")}}));
    }
    auto changes = context_.store.upsert_all({{&services(), *service}, {&routes(), *route}});
    if (!changes) return refused(changes.error());
    auto answer = answer_json(200, to_api(*route, *service));
    answer.changes = std::move(*changes);
    return answer;
  }

  Answer collect(const Call& call, const store::PageQuery& wanted, const Query& filters) const {
    boost::json::array rows;
    std::size_t total = 0;
    std::string last;
    bool more = false;
    store::PageQuery query;
    query.size = 1000;
    while (true) {
      const auto page = context_.store.page(routes(), query);
      if (!page) return answer_problem(page.error());
      for (const auto& route : page->rows) {
        if (!is_api(route)) continue;
        const std::string id(route.at("id").get_string());
        const bool due = id > wanted.offset;
        if (filters.empty() && (!due || rows.size() == wanted.size)) {  // counted without a look at its service
          ++total;
          more = more || due;
          continue;
        }
        const auto service = context_.store.find(services(), *foreign_id(route, "service"));
        if (!service) return answer_problem(service.error());
        if (!*service) continue;
        auto api = to_api(route, **service);
        if (!passes(api, filters)) continue;
        ++total;
        if (!due) continue;
        more = rows.size() == wanted.size;
        if (more) continue;
        rows.push_back(std::move(api));
        last = id;
      }
      if (!page->next_offset) break;
      query.offset = *page->next_offset;
    }
    Object body{{"total", total}, {"data", std::move(rows)}};
    if (more) {
      const auto host = call.request.header("Host");
      body["offset"] = last;
      std::string next = fmt::format("http://{}/apis?offset={}&size={}", host, last, wanted.size);
      for (const auto& [name, value] : filters) next += fmt::format("&{}={}", name, percent_encode(value));
      body["next"] = next;
    }
    return answer_json(200, body);
  }

  const Context& context_;
};

}  // namespace

void add_apis(Table& table, const Context& context) {
  const Apis apis(context);
  table.add("GET", "/apis",
            {[apis](const Call& c) { return apis.list(c); },
             "List routes and their services as APIs of Kong 0.10",
             "",
             "apis_list",
             200,
             {"size", "offset"}});
  table.add("POST", "/apis",
            {[apis](const Call& c) { return apis.create(c); }, "Create a service and a route as an API of Kong 0.10",
             "apis", "apis", 201});
  table.add("PUT", "/apis",
            {[apis](const Call& c) { return apis.put(c); },
             "Create an API (201), or replace the one whose id is given (200)", "apis", "apis"});
  table.add("GET", "/apis/{apis}",
            {[apis](const Call& c) { return apis.show(c); }, "Read an API by id or name", "", "apis"});
  table.add("PATCH", "/apis/{apis}",
            {[apis](const Call& c) { return apis.change(c); }, "Change fields of an API", "apis", "apis"});
  table.add("DELETE", "/apis/{apis}",
            {[apis](const Call& c) { return apis.remove(c); },
             "Delete an API: its route, and its service when nothing else uses it", "", "", 204});
}

}  // namespace weir::admin
