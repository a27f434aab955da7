"""Plugins, consumers and credentials as users write them: curl lines on the Admin API, and what they do to traffic."""
import json

import pytest

from harness import curl, eventually, request, run_weir

BUNDLED = {"acl", "basic-auth", "correlation-id", "cors", "file-log", "http-log", "ip-restriction", "key-auth", "prometheus",
           "rate-limiting", "request-size-limiting", "request-termination", "request-transformer", "response-transformer"}


def admin(node, *args, expect=None):
    """curl on the Admin API: admin(node, "-X", "POST", "/services", "--data", "name=x")."""
    url = f"http://127.0.0.1:{node.admin_port}"
    status, body = curl(*[url + a if isinstance(a, str) and a.startswith("/") else a for a in args])
    assert expect is None or status == expect, f"{args}: {status} {body!r}"
    return json.loads(body) if body else None


@pytest.fixture
def example(weir, scripted):
    """A node with the service of the clustering story, and a route to it."""
    node, upstream = weir(), scripted()
    admin(node, "-X", "POST", "/services", "--data", "name=example-service", "--data", f"url=http://127.0.0.1:{upstream.port}", expect=201)
    admin(node, "-X", "POST", "/services/example-service/routes", "--data", "name=example", "--data", "paths[]=/example", expect=201)
    assert node.get("/example").status == 200
    return node


def test_key_auth_of_a_service(example):
    node = example
    made = admin(node, "-X", "POST", "/services/example-service/plugins", "--data", "name=key-auth", expect=201)
    assert made["config"]["key_names"] == ["apikey"] and made["service"] and made["route"] is None and made["enabled"] is True
    assert node.get("/example").status == 401
    admin(node, "-X", "POST", "/consumers", "--data", "username=bob", "--data", "custom_id=4711", expect=201)
    key = admin(node, "-X", "POST", "/consumers/bob/key-auth", "--data", "key=secret-of-bob", expect=201)
    assert node.get("/example", headers={"apikey": "secret-of-bob"}).status == 200
    assert node.get("/example", headers={"apikey": "wrong"}).status == 401
    admin(node, "-X", "DELETE", f"/consumers/bob/key-auth/{key['id']}", expect=204)
    assert node.get("/example", headers={"apikey": "secret-of-bob"}).status == 401
    admin(node, "-X", "PATCH", f"/plugins/{made['id']}", "--data", "enabled=false", expect=200)
    assert node.get("/example").status == 200
    admin(node, "-X", "DELETE", f"/services/example-service/plugins/{made['id']}", expect=204)
    admin(node, "-X", "DELETE", f"/services/example-service/plugins/{made['id']}", expect=404)


def test_forms_are_typed_by_the_plugin(example):
    node = example
    made = admin(node, "-X", "POST", "/routes/example/plugins", "--data", "name=rate-limiting", "--data", "config.minute=5",
                 "--data", "config.policy=local", expect=201)
    assert made["config"]["minute"] == 5 and made["config"]["policy"] == "local"
    changed = admin(node, "-X", "PATCH", f"/plugins/{made['id']}", "--data", "config.minute=7", "--data", "config.hide_client_headers=true", expect=200)
    assert changed["config"]["minute"] == 7 and changed["config"]["hide_client_headers"] is True and changed["config"]["policy"] == "local"
    added = admin(node, "-X", "POST", "/plugins", "--data", "name=request-transformer", "--data", "config.add.headers[1]=x-one:1",
                  "--data", "config.add.headers[2]=x-two:2", expect=201)
    assert added["config"]["add"]["headers"] == ["x-one:1", "x-two:2"]
    wrong = admin(node, "-X", "POST", "/plugins", "--data", "name=request-size-limiting", "--data", "config.allowed_payload_size=big", expect=400)
    assert wrong["code"] == 2 and wrong["fields"]["config"]["allowed_payload_size"] == "expected an integer"


def test_a_plugin_is_made_once(example):
    node = example
    admin(node, "-X", "POST", "/plugins", "--data", "name=correlation-id", expect=201)
    twice = admin(node, "-X", "POST", "/plugins", "--data", "name=correlation-id", expect=409)
    assert twice["code"] == 5 and twice["fields"] == {"consumer": None, "name": "correlation-id", "route": None, "service": None}
    unknown = admin(node, "-X", "POST", "/plugins", "--data", "name=teapot", expect=400)
    assert unknown["fields"]["name"] == "plugin 'teapot' not enabled; add it to the 'plugins' configuration property"
    bob = admin(node, "-X", "POST", "/consumers", "--data", "username=bob", expect=201)
    refused = admin(node, "-X", "POST", "/consumers/bob/plugins", "--data", "name=key-auth", expect=400)
    assert refused["fields"]["consumer"] == "value must be null"
    limited = admin(node, "-X", "POST", "/consumers/bob/plugins", "--data", "name=rate-limiting", "--data", "config.second=1", expect=201)
    assert limited["consumer"] == {"id": bob["id"]}


def test_what_the_server_says_of_its_plugins(example):
    node = example
    assert set(admin(node, "/plugins/enabled")["enabled_plugins"]) == BUNDLED
    about = admin(node, "/")["plugins"]
    assert set(about["available_on_server"]) == BUNDLED and about["enabled_in_cluster"] == []
    assert about["available_on_server"]["key-auth"]["priority"] == 1250
    admin(node, "-X", "POST", "/plugins", "--data", "name=prometheus", expect=201)
    assert admin(node, "/")["plugins"]["enabled_in_cluster"] == ["prometheus"]
    for name in BUNDLED:
        fields = {k: v for field in admin(node, f"/schemas/plugins/{name}", expect=200)["fields"] for k, v in field.items()}
        assert fields["config"]["type"] == "record" and isinstance(fields["config"]["fields"], list)
        assert "protocols" in fields and "consumer" in fields
        assert admin(node, f"/plugins/schema/{name}", expect=200)["fields"] == fields["config"]["fields"]
    assert admin(node, "/schemas/plugins/teapot", expect=404) == {"message": "No plugin named 'teapot'"}
    ok = admin(node, "-X", "POST", "/schemas/plugins/validate", "--data", "name=rate-limiting", "--data", "config.minute=5", expect=200)
    assert ok == {"message": "schema validation successful"}
    assert admin(node, "-X", "POST", "/schemas/plugins/validate", "--data", "name=rate-limiting", expect=400)["code"] == 2
    document = admin(node, "/openapi.json")
    assert "key-auth_config" in document["components"]["schemas"] and "/consumers/{consumers}/key-auth" in document["paths"]


def test_consumers_and_their_credentials(weir):
    node = weir()
    bob = admin(node, "-X", "POST", "/consumers", "--data", "username=bob", "--data", "custom_id=4711", "--data", "tags[]=t", expect=201)
    assert admin(node, "/consumers?custom_id=4711") == {"data": [bob], "next": None}
    assert admin(node, "/consumers?custom_id=", expect=400)["message"] == "custom_id must be an unempty string"
    assert admin(node, "/consumers?tags=t")["data"] == [bob]
    made_up = admin(node, "-X", "POST", "/consumers/bob/key-auth", expect=201)
    assert len(made_up["key"]) == 32 and made_up["consumer"] == {"id": bob["id"]}
    short = admin(node, "-X", "POST", "/consumers/bob/key-auth", "--data", "ttl=60", "--data", "key=short", expect=201)
    assert 0 < admin(node, "/key-auths/short")["ttl"] <= 60 and short["ttl"] == 60
    basic = admin(node, "-X", "POST", "/consumers/bob/basic-auth", "--data", "username=bob", "--data", "password=pw", expect=201)
    assert len(basic["password"]) == 40 and "pw" not in basic["password"]
    group = admin(node, "-X", "PUT", "/consumers/bob/acls/admins", expect=200)
    assert group["group"] == "admins" and admin(node, "/consumers/bob/acls")["data"] == [group]
    admin(node, "/consumers/bob/acls/users", expect=404)
    assert admin(node, "/key-auths/short/consumer")["username"] == "bob"
    for path in ("/key-auths", "/basic-auths", "/acls", "/consumers/bob/key-auth"):
        assert admin(node, path)["data"], path
    admin(node, "-X", "DELETE", "/consumers/bob", expect=204)
    for path in ("/key-auths", "/basic-auths", "/acls"):
        assert admin(node, path) == {"data": [], "next": None}
    for path in ("/consumer_groups", "/workspaces", "/hmac-auths"):
        admin(node, path, expect=404)


def test_the_cache_can_be_read_and_emptied(example):
    node = example
    admin(node, "-X", "POST", "/services/example-service/plugins", "--data", "name=key-auth", expect=201)
    admin(node, "-X", "POST", "/consumers", "--data", "username=bob", expect=201)
    admin(node, "-X", "POST", "/consumers/bob/key-auth", "--data", "key=k", expect=201)
    key = "/cache/keyauth_credentials:k:::::"
    admin(node, key, expect=404)
    assert node.get("/example", headers={"apikey": "k"}).status == 200
    assert "k" in json.dumps(admin(node, key, expect=200))
    admin(node, "-X", "DELETE", key, expect=204)
    admin(node, key, expect=404)
    assert node.get("/example", headers={"apikey": "k"}).status == 200
    admin(node, "-X", "DELETE", "/cache", expect=204)
    admin(node, key, expect=404)
    assert node.get("/example", headers={"apikey": "k"}).status == 200


def test_the_log_level_is_changed_for_a_while(weir):
    node = weir()
    level = lambda: admin(node, "/debug/node/log-level")["message"]
    assert level() == "log level: notice"
    assert admin(node, "-X", "PUT", "/debug/node/log-level/debug?timeout=1", expect=200)["message"] == "log level changed"
    assert admin(node, "-X", "PUT", "/debug/node/log-level/debug", expect=200)["message"] == "log level is already debug"
    eventually(lambda: level() == "log level: notice", "the level is back")
    assert admin(node, "-X", "PUT", "/debug/node/log-level/loud", expect=400)["message"] == "unknown log level: loud"


def test_plugins_and_credentials_survive_export_and_import(example, weir, tmp_path):
    node = example
    admin(node, "-X", "POST", "/services/example-service/plugins", "--data", "name=key-auth", "--data", "config.key_names[]=k", expect=201)
    admin(node, "-X", "POST", "/consumers", "--data", "username=bob", expect=201)
    admin(node, "-X", "POST", "/consumers/bob/key-auth", "--data", "key=secret-of-bob", expect=201)
    admin(node, "-X", "POST", "/consumers/bob/basic-auth", "--data", "username=bob", "--data", "password=pw", expect=201)
    admin(node, "-X", "POST", "/consumers/bob/acls", "--data", "group=admins", expect=201)
    lists = ("/services", "/routes", "/plugins", "/consumers", "/key-auths", "/basic-auths", "/acls")
    before = {path: admin(node, path)["data"] for path in lists}
    node.stop()
    file = tmp_path / "export.yaml"
    assert run_weir("config", "export", file, "-p", node.prefix).returncode == 0
    imported = run_weir("config", "import", file, "-p", tmp_path / "other")
    assert imported.returncode == 0, imported.stderr
    other = weir(prefix=tmp_path / "other")
    same = lambda rows: [{k: v for k, v in r.items() if not k.endswith("_at")} for r in rows]
    for path in lists:
        assert same(admin(other, path)["data"]) == same(before[path]), path
    assert other.get("/example").status == 401
    assert other.get("/example", headers={"k": "secret-of-bob"}).status == 200
    off = weir(settings={"database": "off", "declarative_config": file})
    assert off.get("/example", headers={"k": "secret-of-bob"}).status == 200
    assert off.get("/example", headers={"k": "wrong"}).status == 401
    assert same(admin(off, "/basic-auths")["data"]) == same(before["/basic-auths"])
    refused = request(off.admin_port, "POST", "/consumers", {"username": "eve"})
    assert refused.status == 405 and refused.json["code"] == 12


@pytest.mark.parametrize("database", ["sqlite", "off"])
@pytest.mark.parametrize("command", ["bootstrap", "up", "finish", "list", "status", "reset"])
def test_migrations_are_postgresqls_only(command, database, tmp_path):
    run = run_weir("migrations", command, "-p", tmp_path, "--set", f"database={database}")
    assert run.returncode == 2 and "needs database=postgres" in run.stderr and f"database={database}" in run.stderr
