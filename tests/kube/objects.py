"""Objects that several tests need, as Python dicts."""
from api import made


def upstream(space, name, targets=(), **spec):
    """targets: (address, weight) pairs, written inline."""
    return made("WeirUpstream", space, name,
                {"targets": [{"target": t, "weight": w} for t, w in targets], **spec} if targets else spec or {})


def target(space, name, upstream, address, weight=100):
    return made("WeirTarget", space, name, {"upstream": {"name": upstream}, "target": address, "weight": weight})


def route(space, name, upstream, hosts, **spec):
    """A route straight to an upstream."""
    return made("WeirRoute", space, name, {"hosts": list(hosts), "upstream": {"name": upstream}, **spec})


def ingress(space, name, host, service, port=80, path="/", path_type="Prefix", ingress_class="weir", annotations=None, **spec):
    backend = {"service": {"name": service, "port": {"number": port}}}
    rule = {"http": {"paths": [{"path": path, "pathType": path_type, "backend": backend}]}}
    if host:
        rule["host"] = host
    return made("Ingress", space, name, {"ingressClassName": ingress_class, "rules": [rule], **spec},
                annotations=annotations or {})


def gateway_class(name="weir", controller="weir.dev/gateway-controller"):
    return made("GatewayClass", None, name, {"controllerName": controller})


def gateway(space, name, listeners=None, class_name="weir"):
    return made("Gateway", space, name, {"gatewayClassName": class_name,
                                         "listeners": listeners or [{"name": "http", "port": 80, "protocol": "HTTP"}]})


def http_route(space, name, gateway, hosts, rules):
    return made("HTTPRoute", space, name, {"parentRefs": [{"name": gateway}], "hostnames": list(hosts), "rules": rules})


def backend(name, port=80, **more):
    return {"name": name, "port": port, **more}


def slice_of(space, service, addresses, port, ready=True):
    """An EndpointSlice written by hand, for a Service without a selector."""
    return made("EndpointSlice", space, f"{service}-1", labels={"kubernetes.io/service-name": service},
                addressType="IPv4", ports=[{"name": "http", "port": port, "protocol": "TCP"}],
                endpoints=[{"addresses": [a], "conditions": {"ready": ready, "serving": ready, "terminating": False}}
                           for a in addresses])


def bare_service(space, name, port=80):
    return made("Service", space, name, {"ports": [{"name": "http", "port": port, "targetPort": port}]})
