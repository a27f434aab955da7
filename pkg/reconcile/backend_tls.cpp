#include "reconcile/backend_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <tuple>

#include "reconcile/gateway_fields.h"

namespace weir::reconcile {
namespace {

bool holds_certificate(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                       &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> first(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr),
                                                          &X509_free);
  ERR_clear_error();
  return first != nullptr;
}

// Adds the certificates that a reference means.
void read_reference(const Object& reference, const std::string& space, View& view, PolicyReading& out,
                    std::string& pem) {
  const auto refuse = [&](std::string_view reason, std::string message) {
    if (out.reason.empty()) out.reason = reason, out.message = std::move(message);
  };
  const Name name{space, text_of(reference, "name")};
  if (!refers_to(reference, kinds::config_map, "", ""))
    return refuse("InvalidKind",
                  fmt::format("{} {} is not supported: refer to a ConfigMap.", text_of(reference, "kind"), name.name));
  const auto found = view.get(kinds::config_map, name);
  if (!found) return refuse("InvalidCACertificateRef", fmt::format("There is no ConfigMap {}.", name.text()));
  const auto text = text_of(object_of(*found, {"data"}), "ca.crt");
  if (!holds_certificate(text))
    return refuse("InvalidCACertificateRef",
                  fmt::format("ConfigMap {} has no CA certificate in PEM form as ca.crt.", name.text()));
  pem.append(text).append("\n");
}

}  // namespace

std::vector<TargetingPolicy> policies_of(const Name& service, View& view) {
  std::vector<TargetingPolicy> out;
  view.each(kinds::backend_tls_policy, service.space, [&](const Name& name, const Object& policy) {
    for (const auto& value : array_of(policy, {"spec", "targetRefs"})) {
      const auto& target = object_in(value);
      if (refers_to(target, kinds::service, "", "") && text_of(target, "name") == service.name)
        out.push_back({name, text_of(target, "sectionName"), created_at(policy)});
    }
  });
  std::ranges::sort(out, {}, [](const auto& each) { return std::tuple(each.created_at, each.name); });
  return out;
}

const TargetingPolicy* in_force(const std::vector<TargetingPolicy>& policies, const std::string& port_name) {
  for (const auto& section : {port_name, std::string()})
    for (const auto& each : policies)
      if (each.section == section) return &each;
  return nullptr;
}

PolicyReading read_policy(const Name& name, const Object& policy, View& view) {
  PolicyReading out;
  const auto& validation = object_of(policy, {"spec", "validation"});
  model::BackendTls tls;
  tls.hostname = text_of(validation, "hostname");
  for (const auto& value : array_of(validation, {"subjectAltNames"})) {
    const auto& each = object_in(value);
    if (text_of(each, "type") == "URI")
      tls.uris.push_back(text_of(each, "uri"));
    else
      tls.names.push_back(text_of(each, "hostname"));
  }
  const auto& references = array_of(validation, {"caCertificateRefs"});
  for (const auto& reference : references) read_reference(object_in(reference), name.space, view, out, tls.authorities);
  const bool system = references.empty() && text_of(validation, "wellKnownCACertificates") == "System";
  if (!system && tls.authorities.empty()) {
    if (out.reason.empty())
      out.reason = "InvalidCACertificateRef",
      out.message = "No CA certificates: give caCertificateRefs, or wellKnownCACertificates: System.";
    return out;
  }
  out.tls = std::make_shared<const model::BackendTls>(std::move(tls));
  return out;
}

}  // namespace weir::reconcile
