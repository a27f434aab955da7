"""Today's objects through the Admin API: JSON, forms and multipart, nested paths, PUT, PATCH, lists, tags, schemas."""
import json
import subprocess
import uuid

import pytest

from harness import curl, request


@pytest.fixture
def node(weir):
    return weir()


def url(node, path):
    return f"http://127.0.0.1:{node.admin_port}{path}"


def posted(*args):
    status, body = curl(*args)
    assert status == 201, body
    return json.loads(body)


def test_a_service_shows_every_field_with_its_default(node):
    service = node.admin("POST", "/services", {"name": "s", "url": "http://example.com:8080/base"}, expect=201).json
    assert uuid.UUID(service.pop("id")) and service.pop("created_at") == service.pop("updated_at")
    assert service == {
        "name": "s", "protocol": "http", "host": "example.com", "port": 8080, "path": "/base", "retries": 5,
        "connect_timeout": 60000, "write_timeout": 60000, "read_timeout": 60000, "enabled": True, "tags": None,
        "client_certificate": None, "tls_verify": None, "tls_verify_depth": None, "ca_certificates": None}


def test_a_route_shows_every_field_with_its_default(node):
    service = node.admin("POST", "/services", {"name": "s", "host": "h"}, expect=201).json
    route = node.admin("POST", "/services/s/routes", {"paths": ["/x"]}, expect=201).json
    assert uuid.UUID(route.pop("id")) and route.pop("created_at") == route.pop("updated_at")
    assert route == {
        "name": None, "protocols": ["http", "https"], "https_redirect_status_code": 426, "strip_path": True,
        "preserve_host": False, "request_buffering": True, "response_buffering": True, "tags": None,
        "service": {"id": service["id"]}, "snis": None, "sources": None, "destinations": None, "methods": None,
        "hosts": None, "paths": ["/x"], "headers": None, "regex_priority": 0, "path_handling": "v0"}


def test_forms_are_typed_by_the_schema(node):
    service = posted("-d", "name=s", "--data", "url=http://example.com", "-d", "retries=7", "-d", "tags[]=a",
                     "-d", "tags[]=b", url(node, "/services"))
    assert service["retries"] == 7 and service["tags"] == ["a", "b"]
    route = posted("--data", "paths[]=/x", "--data", "paths[]=/y", "-d", "strip_path=false", "-d", "methods[]=GET&methods[]=POST",
                   "-d", "headers.x-version[1]=2", "--data", "hosts=example.com", url(node, "/services/s/routes"))
    assert route["paths"] == ["/x", "/y"] and route["strip_path"] is False and route["methods"] == ["GET", "POST"]
    assert route["headers"] == {"x-version": ["2"]} and route["hosts"] == ["example.com"]
    by_name = posted("-d", "service.name=s", "-d", "paths%5B%5D=/z", url(node, "/routes"))
    assert by_name["service"] == {"id": service["id"]} and by_name["paths"] == ["/z"]
    by_id = posted("-d", f"service.id={service['id']}", "-d", "paths[1]=/q", url(node, "/routes"))
    assert by_id["service"] == {"id": service["id"]}
    changed = json.loads(curl("-X", "PATCH", "-d", "methods=", url(node, f"/routes/{route['id']}"))[1])
    assert changed["methods"] is None


def test_multipart_is_read_like_a_form(node):
    posted("-F", "name=s", "-F", "host=example.com", "-F", "port=81", url(node, "/services"))
    route = posted("-F", "paths[]=/x", "-F", "paths[]=/y", "-F", "service.name=s", "-F", "preserve_host=true", url(node, "/routes"))
    assert route["paths"] == ["/x", "/y"] and route["preserve_host"] is True
    assert node.admin("GET", "/services/s").json["port"] == 81


def test_put_makes_or_replaces(node):
    id = str(uuid.uuid4())
    assert node.admin("PUT", f"/services/{id}", {"host": "a", "retries": 1}, expect=200).json["id"] == id
    replaced = node.admin("PUT", f"/services/{id}", {"host": "b"}, expect=200).json
    assert (replaced["id"], replaced["host"], replaced["retries"]) == (id, "b", 5)
    named = node.admin("PUT", "/services/n", {"host": "c"}, expect=200).json
    assert named["name"] == "n"
    assert node.admin("PUT", "/services/n", {"host": "d"}, expect=200).json["id"] == named["id"]


def test_patch_merges_and_null_clears(node):
    node.admin("POST", "/services", {"name": "s", "host": "h", "path": "/p", "tags": ["t"]}, expect=201)
    patched = node.admin("PATCH", "/services/s", {"path": None, "port": 81}, expect=200).json
    assert (patched["path"], patched["port"], patched["tags"]) == (None, 81, ["t"])


def test_delete_answers_204_even_for_what_is_not_there(node):
    node.admin("POST", "/services", {"name": "s", "host": "h"}, expect=201)
    assert node.admin("DELETE", "/services/s", expect=204).body == b""
    node.admin("DELETE", "/services/s", expect=204)
    node.admin("GET", "/services/s", expect=404)


def test_nested_paths_keep_to_their_parent(node):
    for name in ("a", "b"):
        node.admin("POST", "/services", {"name": name, "host": "h"}, expect=201)
    route = node.admin("POST", "/services/a/routes", {"name": "r", "paths": ["/x"]}, expect=201).json
    assert node.admin("GET", "/services/a/routes/r", expect=200).json["id"] == route["id"]
    node.admin("GET", "/services/b/routes/r", expect=404)
    assert node.admin("GET", "/routes/r/service", expect=200).json["name"] == "a"
    node.admin("PATCH", "/routes/r/service", {"retries": 3}, expect=200)
    assert node.admin("GET", "/services/a").json["retries"] == 3
    node.admin("DELETE", "/routes/r/service", expect=405)
    assert node.admin("GET", "/services/b/routes").json == {"data": [], "next": None}
    node.admin("DELETE", "/services/a/routes/r", expect=204)
    node.admin("DELETE", "/services/a/routes/r", expect=404)


def test_a_service_with_routes_is_not_deleted(node):
    node.admin("POST", "/services", {"name": "s", "host": "h"}, expect=201)
    node.admin("POST", "/services/s/routes", {"paths": ["/x"]}, expect=201)
    problem = node.admin("DELETE", "/services/s", expect=400).json
    assert problem["code"] == 4 and problem["fields"] == {"@referenced_by": "routes"}


def test_targets_live_below_their_upstream(node):
    node.admin("POST", "/upstreams", {"name": "u"}, expect=201)
    first = node.admin("POST", "/upstreams/u/targets", {"target": "127.0.0.1"}, expect=201).json
    assert first["target"] == "127.0.0.1:8000" and first["weight"] == 100 and isinstance(first["created_at"], float)
    six = node.admin("POST", "/upstreams/u/targets", {"target": "[::1]:80", "weight": 0}, expect=201).json
    assert six["target"] == "[0000:0000:0000:0000:0000:0000:0000:0001]:80"
    newest_first = [t["id"] for t in node.admin("GET", "/upstreams/u/targets").json["data"]]
    assert newest_first == [six["id"], first["id"]]
    assert node.admin("POST", "/upstreams/u/targets", {"target": "127.0.0.1:8000"}, expect=409).json["code"] == 5
    assert node.admin("PATCH", "/upstreams/u/targets/127.0.0.1:8000", {"weight": 7}, expect=200).json["weight"] == 7
    node.admin("GET", "/targets", expect=404)
    node.admin("DELETE", f"/upstreams/u/targets/{first['id']}", expect=204)
    node.admin("DELETE", "/upstreams/u", expect=204)  # its targets go with it


def test_lists_are_paged(node):
    ids = sorted(node.admin("POST", "/services", {"name": f"s{n}", "host": "h"}, expect=201).json["id"] for n in range(25))
    seen, path = [], "/services?size=10"
    while path:
        page = node.admin("GET", path, expect=200).json
        assert len(page["data"]) <= 10 and ("offset" in page) == (page["next"] is not None)
        seen += [row["id"] for row in page["data"]]
        path = page["next"]
    assert seen == ids
    assert len(node.admin("GET", "/services").json["data"]) == 25


def test_lists_are_filtered_by_tags(node):
    for name, tags in (("a", ["red"]), ("b", ["red", "blue"]), ("c", ["blue"]), ("d", None)):
        node.admin("POST", "/services", {"name": name, "host": "h", "tags": tags}, expect=201)
    names = lambda query: sorted(s["name"] for s in node.admin("GET", f"/services?tags={query}", expect=200).json["data"])
    assert names("red") == ["a", "b"] and names("red,blue") == ["b"] and names("red/blue") == ["a", "b", "c"]
    tags = node.admin("GET", "/tags", expect=200).json["data"]
    assert sorted(t["tag"] for t in tags) == ["blue", "blue", "red", "red"]
    assert {t["entity_name"] for t in node.admin("GET", "/tags/red").json["data"]} == {"services"}
    assert node.admin("GET", "/services?tags=a,b/c", expect=400).json["code"] == 11


def test_a_trailing_slash_changes_nothing(node):
    node.admin("POST", "/services/", {"name": "s", "host": "h"}, expect=201)
    node.admin("GET", "/services/s/", expect=200)
    node.admin("POST", "/services/s/routes/", {"paths": ["/x"]}, expect=201)


def test_schemas_tell_what_entities_look_like(node):
    fields = {k: v for f in node.admin("GET", "/schemas/services", expect=200).json["fields"] for k, v in f.items()}
    assert fields["retries"]["type"] == "integer" and fields["retries"]["default"] == 5
    assert fields["retries"]["between"] == [0, 32767] and fields["host"]["required"] is True
    for entity in ("routes", "upstreams", "targets"):
        node.admin("GET", f"/schemas/{entity}", expect=200)
    assert "No entity named 'x'" in node.admin("GET", "/schemas/x", expect=404).json["message"]
    said = node.admin("POST", "/schemas/services/validate", {"host": "h"}, expect=200).json
    assert said == {"message": "schema validation successful"}
    assert node.admin("POST", "/schemas/services/validate", {"hots": "h"}, expect=400).json["code"] == 2
    assert node.admin("GET", "/services").json["data"] == []


def test_the_openapi_document_names_every_entity(node):
    document = node.admin("GET", "/openapi.json", expect=200).json
    assert document["openapi"].startswith("3.")
    for path in ("/services", "/routes", "/upstreams"):
        assert {"get", "post"} <= set(document["paths"][path])
    assert "post" in next(v for k, v in document["paths"].items() if k.startswith("/upstreams/{") and k.endswith("/targets"))


def test_endpoints_methods_and_headers_are_kongs(node):
    endpoints = node.admin("GET", "/endpoints", expect=200).json["data"]
    assert {"/", "/services", "/services/{services}", "/routes/{routes}", "/status"} <= set(endpoints)
    options = node.admin("OPTIONS", "/services", expect=204)
    assert options.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    single = node.admin("OPTIONS", "/services/x", expect=204)
    assert single.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    head = node.admin("HEAD", "/services", expect=200)
    assert head.body == b"" and int(head.headers["Content-Length"]) > 0
    assert head.headers["Content-Type"] == "application/json; charset=utf-8"
    assert head.headers["X-Kong-Admin-Latency"].isdigit()


def test_the_root_tells_what_clients_of_kong_read(node):
    root = node.admin("GET", "/", expect=200).json
    assert tuple(int(n) for n in root["version"].split(".")[:2]) >= (3, 0)
    assert root["configuration"]["database"] not in ("off", None) and uuid.UUID(root["node_id"])
    assert "available_on_server" in root["plugins"]


def test_values_that_are_not_honoured_yet_are_refused(node):
    """Nothing is accepted and then ignored."""
    node.admin("POST", "/upstreams", {"name": "u"}, expect=201)
    for body in ({"healthchecks": {"active": {"healthy": {"interval": 5}}}}, {"algorithm": "least-connections"},
                 {"hash_on": "ip", "algorithm": "consistent-hashing"}):
        problem = node.admin("PATCH", "/upstreams/u", body, expect=400).json
        assert problem["code"] == 2 and set(problem["fields"]) & set(body), problem


def test_several_faults_are_told_at_once(node):
    problem = node.admin("POST", "/services", {"host": 1, "port": 70000, "retries": "x", "foo": 1}, expect=400).json
    assert set(problem["fields"]) == {"host", "port", "retries", "foo"}
    assert problem["fields"]["foo"] == "unknown field" and problem["message"].startswith("4 schema violations (")
