// What an endpoint of the Admin API is: a path, its methods, and a function that answers.
//
// A function gets one request taken apart and gives an answer as a value; bringing it to the right thread, writing the
// answer to the client, and waiting until a change is in force, is done for it (api.cpp).
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/api.h"
#include "admin/http_server.h"
#include "model/problem.h"
#include "store/store.h"

namespace weir::admin {

using model::Object;
using Query = std::vector<std::pair<std::string, std::string>>;  // decoded, in order

struct Call {
  Request request;
  std::vector<std::string> params;      // what the braces of the path matched, decoded, in order
  std::vector<std::string> raw_params;  // the same as they stand in the path, for links
  Query query;

  const std::string* arg(std::string_view name) const;  // first value; null when absent
};

struct Answer {
  Response response;
  store::Changes changes = {};  // must be in force before the client sees the answer
  // When set, the answer is what this gives, now or later, and the response above is not used. Runs on the control
  // thread: for what needs the store's rows and then the node, or the workers.
  std::function<void(std::function<void(Answer)> done)> then = {};
};

Answer answer_json(unsigned status, const boost::json::value& body);
Answer answer_message(unsigned status, std::string_view message);  // {"message": ...}
Answer answer_problem(const model::Problem&);
Answer answer_empty(unsigned status);
Answer not_found();  // {"message":"Not found"}

// One method of a path, with what the OpenAPI document says of it.
struct Operation {
  std::function<Answer(const Call&)> run;
  std::string summary;
  std::string takes;                    // component schema of the body; empty: no body
  std::string gives;                    // component schema of the answer; empty: any object
  unsigned status = 200;                // of success
  std::vector<std::string> query = {};  // names of query parameters
  bool on_control = false;              // runs on the control thread; else on the store's
};
Operation on_control(Operation);  // the same, run there: for what shows the node and touches no entity

struct Endpoint {
  std::string path;                                          // "/services/{services}/routes"
  std::vector<std::string> segments;                         // of the path
  std::map<std::string, Operation, std::less<>> operations;  // by method

  std::string allow() const;  // "GET, HEAD, OPTIONS, POST"
};

// All paths that are served.
class Table {
 public:
  void add(std::string_view method, std::string_view path, Operation);
  // The endpoint for decoded segments, literal segments preferred to braces; fills params with indexes of segments.
  const Endpoint* find(const std::vector<std::string>& segments, std::vector<std::size_t>& params) const;
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }  // sorted segment by segment

 private:
  std::vector<Endpoint> endpoints_;
};

// What endpoints work with. Outlives the table.
struct Context {
  store::Store& store;
  Node& node;
  Options options;
};

double now();  // Unix seconds with fraction

// Each adds its paths to the table.
void add_entities(Table&, const Context&);      // entities.cpp: for every schema
void add_certificates(Table&, const Context&);  // certificates.cpp: in place of what add_entities made
void add_apis(Table&, const Context&);          // apis.cpp: Kong 0.10's /apis
void add_health(Table&, const Context&);        // health.cpp: /upstreams/{u}/health
void add_node(Table&, const Context&);          // node.cpp: /
void add_status(Table&, const Context&);        // node.cpp: /status, /metrics
void add_ready(Table&, const Context&);         // node.cpp: /status/ready
void add_cache(Table&, const Context&);         // debug.cpp: /cache
void add_debug(Table&, const Context&);         // debug.cpp: /debug/node/log-level, /timers
void add_schemas(Table&, const Context&);       // schemas.cpp: /schemas/..., /endpoints, /tags
void add_openapi(Table&, const Context&);       // openapi.cpp: /openapi.json

}  // namespace weir::admin
