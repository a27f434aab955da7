// The list of all entities.
#include "model/entities.h"

namespace weir::model {

std::span<const Schema* const> schemas() {
  static const Schema* const all[] = {&schema<Certificate>(),
                                      &schema<Sni>(),
                                      &schema<CaCertificate>(),
                                      &schema<Service>(),
                                      &schema<Route>(),
                                      &schema<Upstream>(),
                                      &schema<Target>(),
                                      &schema<Consumer>(),
                                      &schema<Plugin>(),
                                      &schema<KeyAuthCredential>(),
                                      &schema<BasicAuthCredential>(),
                                      &schema<Acl>()};
  return all;
}

}  // namespace weir::model
