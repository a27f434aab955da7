#include "reconcile/ingress_service.h"

#include "model/formats.h"
#include "reconcile/kong_annotations.h"
#include "reconcile/kong_plugins.h"

namespace weir::reconcile {
namespace {

namespace json = boost::json;
using Form = kong::AnnotatedField::Form;

constexpr std::string_view service_upstream = "ingress.kubernetes.io/service-upstream";

constexpr kong::AnnotatedField annotated[] = {
    {"protocol", "protocol", Form::text},
    {"path", "path", Form::text},
    {"retries", "retries", Form::number},
    {"connect-timeout", "connect_timeout", Form::number},
    {"write-timeout", "write_timeout", Form::number},
    {"read-timeout", "read_timeout", Form::number},
    {"tls-verify", "tls_verify", Form::flag},
    {"tls-verify-depth", "tls_verify_depth", Form::number},
};

// The number of a port that the Service has, or may be sent to all the same: one of type ExternalName has no use for
// ports, a headless one may have none.
std::optional<std::uint16_t> port_number(const Object& service, const PortName& port) {
  const auto& spec = object_of(service, {"spec"});
  for (const auto& element : array_of(spec, {"ports"})) {
    const auto& one = object_in(element);
    const auto number = number_of(one, "port");
    if (!number || *number < 1 || *number > 65535) continue;
    const bool named = port.number == 0 && text_of(one, "name") == port.name;
    if (named || *number == port.number) return static_cast<std::uint16_t>(*number);
  }
  const bool needs_none = text_of(spec, "type") == "ExternalName" || text_of(spec, "clusterIP") == "None";
  return needs_none && port.number ? std::optional(port.number) : std::nullopt;
}

// Whether the service verifies certificates if its annotation wants that, also in words that cannot be read.
bool verifies_as_wanted(const Object& annotated, const Object& service) {
  const auto wanted = kong::kong_annotation(annotated, "tls-verify");
  return !wanted || kong::read_flag(*wanted) == false || flag_of(service, "tls_verify") == true;
}

}  // namespace

std::optional<Uuid> IngressServices::find(const std::string& service, const PortName& port) {
  const auto [at, is_new] = made_.try_emplace({service, port});
  if (is_new) at->second = make({sheet_.name.space, service}, port);
  return at->second;
}

std::optional<Uuid> IngressServices::make(const Name& name, const PortName& port) {
  const auto service = sheet_.view.get(kinds::service, name);
  if (!service) {
    sheet_.fault(fmt::format("there is no Service {}", name.text()));
    return std::nullopt;
  }
  const auto number = port_number(*service, port);
  if (!number) {
    sheet_.fault(fmt::format("Service {} has no port {}", name.text(), model::shown(port.text())));
    return std::nullopt;
  }
  const auto of = fmt::format("Service {}", name.text());
  for (const std::string_view key : {"client-cert", "ca-certificates-secrets", "ca-certificates-configmaps"})
    if (kong::kong_annotation(*service, key))
      sheet_.fault(fmt::format("{}: annotation konghq.com/{} is left out: not supported by this version", of, key));

  // The cluster's DNS name instead of endpoints, when the Ingress alone asks for it: other Ingresses may not, so it is
  // a service of its own.
  const bool by_cluster_ip = kong::annotation(*service, service_upstream) == "true";
  const bool by_dns = !by_cluster_ip && kong::annotation(sheet_.object, service_upstream) == "true";
  const Backend backend{name, *number, "", by_cluster_ip};
  const auto id = entity_id("Service", name, fmt::format("{}{}", *number, by_dns ? "/dns" : ""));
  Object input{{"name", fmt::format("{}.{}.{}{}", name.space, name.name, *number, by_dns ? ".dns" : "")},
               {"host", upstream_name(backend)},
               {"port", 80},
               {"path", "/"},
               {"tags", kong::tags(kinds::service, *service)}};
  if (by_dns) {
    input["host"] = fmt::format("{}.{}.svc", name.name, name.space);
    input["port"] = *number;
  }
  auto optional = kong::read_annotations(*service, annotated, input, of, sheet_.output.fault);
  // Without these the connection would be a weaker one than was asked for, so there is none.
  optional.erase("protocol");
  optional.erase("tls_verify");
  optional.emplace("tags", "annotation konghq.com/tags");
  auto made = kong::make_without_faulty("services", id, std::move(input), created_at(*service), optional, of,
                                        sheet_.output.fault);
  if (!made) {
    sheet_.fault(fmt::format("{} is not served: {}", of, made.error().message));
    return std::nullopt;
  }
  if (!verifies_as_wanted(*service, made->now)) {
    sheet_.fault(of + " is not served: annotation konghq.com/tls-verify is not true or false");
    return std::nullopt;
  }
  sheet_.entities.add(std::move(*made));
  if (!by_dns) sheet_.output.backends.push_back(backend);
  sheet_.entities.add_all(plugins_of(*service, "Service", name, id, sheet_.view, sheet_.output.fault));
  return id;
}

}  // namespace weir::reconcile
