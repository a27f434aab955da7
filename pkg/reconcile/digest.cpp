#include "reconcile/digest.h"

namespace weir::reconcile {
namespace {

// Writes values one after the other so that no two different ones give the same text: everything ends with a byte that
// stands in no text of Kubernetes.
class Text {
 public:
  Text& add(std::string_view text) {
    out_.append(text).push_back('\0');
    return *this;
  }
  Text& add(const Uuid& id) {
    out_.append(reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size());
    return *this;
  }
  template <class Number>
    requires std::is_integral_v<Number>
  Text& add(Number number) {
    fmt::format_to(std::back_inserter(out_), "{};", static_cast<std::int64_t>(number));
    return *this;
  }
  // How many follow.
  template <class List>
  Text& begin(const List& list) {
    return add(list.size());
  }
  const std::string& text() const { return out_; }

 private:
  std::string out_;
};

void add(Text& out, const std::vector<std::string>& list) {
  out.begin(list);
  for (const auto& text : list) out.add(text);
}

void add(Text& out, const model::HeaderEdits& edits) {
  for (const auto* list : {&edits.set, &edits.add}) {
    out.begin(*list);
    for (const auto& [name, value] : *list) out.add(name).add(value);
  }
  add(out, edits.remove);
}

void add(Text& out, const model::PathModifier& path) {
  out.add(static_cast<int>(path.kind)).add(path.value);
}

void add(Text& out, const model::Cors& cors) {
  for (const auto* list : {&cors.origins, &cors.methods, &cors.headers, &cors.exposed}) add(out, *list);
  out.add(cors.credentials).add(cors.max_age);
}

void add(Text& out, const model::Filters* filters) {
  out.add(filters != nullptr);
  if (!filters) return;
  add(out, filters->request);
  add(out, filters->response);
  out.add(filters->redirect.has_value());
  if (const auto& redirect = filters->redirect) {
    out.add(redirect->scheme).add(redirect->hostname).add(redirect->port ? *redirect->port : -1).add(redirect->status);
    add(out, redirect->path);
  }
  out.add(filters->rewrite.has_value());
  if (filters->rewrite) {
    out.add(filters->rewrite->hostname);
    add(out, filters->rewrite->path);
  }
  out.begin(filters->mirrors);
  for (const auto& mirror : filters->mirrors) out.add(mirror.service).add(mirror.numerator).add(mirror.denominator);
  out.add(filters->cors.has_value());
  if (filters->cors) add(out, *filters->cors);
}

void add(Text& out, const model::DeclaredByPtr& by) {
  out.add(by != nullptr);
  if (by) out.add(by->kind).add(by->name);
}

void erase(Object& object, std::string_view field) {
  if (const auto at = object.find(field); at != object.end()) object.erase(at);
}

}  // namespace

Digest digest_of(std::string_view text) {
  static const auto space = *Uuid::parse("c1c8f7a2-2d57-4c1c-9f0a-6a3c5f0f4f10");
  return Uuid::from_name(space, text);
}

Digest digest_of_entity(const Object& entity) {
  std::string text;
  for (const auto& [name, value] : entity) {
    if (name == "created_at" || name == "updated_at" || name == "id") continue;
    text.append(name).push_back('\0');
    text.append(boost::json::serialize(value)).push_back('\0');
  }
  return digest_of(text);
}

Digest digest_of(const model::Entry& entry) {
  Text out;
  add(out, entry.by);
  out.add(entry.ip).add(entry.port).add(entry.public_port).add(entry.tls).begin(entry.listeners);
  for (const auto& listener : entry.listeners) {
    out.add(listener.id).add(listener.name).add(listener.hostname).begin(listener.certificates);
    for (const auto& id : listener.certificates) out.add(id);
  }
  return digest_of(out.text());
}

Digest digest_of(const model::GatewayRoute& route) {
  Text out;
  add(out, route.by);
  out.add(route.created_at).add(route.order).begin(route.attached);
  for (const auto& attachment : route.attached) {
    out.add(attachment.entry).add(attachment.listener);
    add(out, attachment.hosts);
  }
  out.add(static_cast<int>(route.path_kind)).add(route.path).add(route.method);
  for (const auto* list : {&route.headers, &route.queries}) {
    out.begin(*list);
    for (const auto& condition : *list) out.add(condition.name).add(condition.value).add(condition.regex);
  }
  add(out, route.filters.get());
  out.begin(route.services);
  for (const auto& service : route.services) {
    out.add(service.service).add(service.weight).add(service.tls != nullptr);
    if (service.tls) {
      out.add(service.tls->hostname).add(service.tls->authorities);
      add(out, service.tls->names);
      add(out, service.tls->uris);
    }
    add(out, service.filters.get());
  }
  out.add(route.request_timeout.count()).add(route.backend_timeout.count());
  return digest_of(out.text());
}

Digest digest_of_content(const Object& object) {
  Object copy = object;
  erase(copy, "status");
  if (const auto at = copy.find("metadata"); at != copy.end() && at->value().is_object())
    for (const std::string_view field : {"resourceVersion", "managedFields"}) erase(at->value().get_object(), field);
  return digest_of(boost::json::serialize(copy));
}

}  // namespace weir::reconcile
