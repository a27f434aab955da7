// Routes of one Ingress: what its annotations say of all of them.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconcile/ingress_sheet.h"

namespace weir::reconcile {

class IngressRoutes {
 public:
  explicit IngressRoutes(Sheet&);
  // Adds the route and its plugins to the sheet. host: empty for any. Without a service it answers 503: a request must
  // not fall through to a route that is less specific.
  void add_route(const std::string& name, const std::string& host, std::vector<std::string> paths,
                 const std::optional<Uuid>& service);
  // What marks a path as a regular expression.
  const std::string& regex_prefix() const { return regex_prefix_; }

 private:
  void read_headers();
  void read_redirect();
  void add_rewrite(const Uuid& route);

  Sheet& sheet_;
  Object common_;                                // fields of every route
  std::map<std::string, std::string> optional_;  // those that an annotation made, with its name
  std::vector<std::string> aliases_;
  std::string regex_prefix_ = "/~", of_;
  std::optional<std::string> rewrite_;  // request-transformer's replace.uri
};

}  // namespace weir::reconcile
