"""The Kubernetes API as tests need it: one connection for each thread, JSON in and out, much faster than kubectl.

What a user types goes through kubectl (Lab.kubectl, Lab.apply); what a test does thousands of times, or watches
closely, through this.
"""
import http.client
import json
import ssl
import threading

GROUPS = {  # kind: (group/version, plural, namespaced)
    "Namespace": ("v1", "namespaces", False),
    "Service": ("v1", "services", True),
    "Secret": ("v1", "secrets", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Pod": ("v1", "pods", True),
    "Event": ("v1", "events", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "Deployment": ("apps/v1", "deployments", True),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "Ingress": ("networking.k8s.io/v1", "ingresses", True),
    "IngressClass": ("networking.k8s.io/v1", "ingressclasses", False),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "GatewayClass": ("gateway.networking.k8s.io/v1", "gatewayclasses", False),
    "Gateway": ("gateway.networking.k8s.io/v1", "gateways", True),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "httproutes", True),
    "ReferenceGrant": ("gateway.networking.k8s.io/v1beta1", "referencegrants", True),
    "KongPlugin": ("configuration.konghq.com/v1", "kongplugins", True),
    "KongConsumer": ("configuration.konghq.com/v1", "kongconsumers", True),
}
for _kind in ("WeirUpstream", "WeirTarget", "WeirService", "WeirRoute", "WeirPlugin", "WeirConsumer"):
    GROUPS[_kind] = ("weir.dev/v1", _kind.lower() + "s", True)


class Refused(AssertionError):
    """The API server said no; its Status object is in `body`."""

    def __init__(self, what, status, body):
        self.status, self.body = status, body
        super().__init__(f"{what}: {status} {body.get('message', body)}")


def path_of(kind, space=None, name=None):
    version, plural, namespaced = GROUPS[kind]
    out = ("/api/" if "/" not in version else "/apis/") + version
    if namespaced and space:
        out += f"/namespaces/{space}"
    return f"{out}/{plural}" + (f"/{name}" if name else "")


def made(kind, space, name, spec=None, **more):
    """An object as a dict; labels and annotations go to its metadata."""
    meta = {"name": name, **({"namespace": space} if space else {})}
    for key in ("labels", "annotations"):
        if key in more:
            meta[key] = more.pop(key)
    out = {"apiVersion": GROUPS[kind][0], "kind": kind, "metadata": meta, **more}
    if spec is not None:
        out["spec"] = spec
    return out


class Api:
    def __init__(self, host, ca, token, port=6443, timeout=30):
        self.host, self.port, self.timeout, self.token = host, port, timeout, token
        self.tls = ssl.create_default_context(cafile=ca)
        self.local = threading.local()

    def call(self, method, path, body=None, kind="application/json", expect=(200, 201, 202)):
        """The answer's object. Statuses that are not in `expect` raise Refused; an API server that is away OSError."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = kind
            body = json.dumps(body)
        for attempt in (1, 2):
            connection = getattr(self.local, "connection", None)
            fresh = connection is None
            if fresh:
                connection = http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout, context=self.tls)
                self.local.connection = connection
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as e:
                connection.close()
                self.local.connection = None
                if fresh or attempt == 2:
                    raise e if isinstance(e, OSError) else OSError(repr(e))
        try:
            found = json.loads(text)
        except ValueError:
            found = {"message": text.decode(errors="replace")}
        if expect and answer.status not in expect:
            raise Refused(f"{method} {path}", answer.status, found)
        return found

    def get(self, kind, space, name):
        return self.call("GET", path_of(kind, space, name))

    def find(self, kind, space, name):
        """The object, or None."""
        found = self.call("GET", path_of(kind, space, name), expect=(200, 404))
        return found if found.get("kind") != "Status" else None

    def list(self, kind, space=None, query=""):
        return self.call("GET", path_of(kind, space) + query)["items"]

    def create(self, item):
        return self.call("POST", path_of(item["kind"], item["metadata"].get("namespace")), item)

    def put(self, item):
        """Made or changed to be exactly this (server-side apply)."""
        meta = item["metadata"]
        path = path_of(item["kind"], meta.get("namespace"), meta["name"])
        return self.call("PATCH", f"{path}?fieldManager=test&force=true", item, "application/apply-patch+yaml")

    def merge(self, kind, space, name, patch, sub=""):
        return self.call("PATCH", path_of(kind, space, name) + sub, patch, "application/merge-patch+json")

    def delete(self, kind, space, name):
        return self.call("DELETE", path_of(kind, space, name), expect=(200, 202, 404))

    def watch(self, kind, space=None, revision=""):
        """Events as they come, on a connection of its own, until the caller closes the generator."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=600, context=self.tls)
        try:
            connection.request("GET", f"{path_of(kind, space)}?watch=true&resourceVersion={revision}",
                               headers={"Authorization": f"Bearer {self.token}"})
            answer = connection.getresponse()
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()


def condition(item, kind):
    """The condition of this type in the object's status; {} when there is none."""
    for one in (item or {}).get("status", {}).get("conditions", []):
        if one["type"] == kind:
            return one
    return {}
