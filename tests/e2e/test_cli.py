"""The command line: help, version, check, export and import, completion, settings from file, environment and flags."""
import json
import subprocess

import pytest

from harness import run_weir


@pytest.mark.parametrize("args,words", [
    (["--help"], ["run", "check", "version", "config", "migrations"]), (["run", "--help"], ["--set", "--prefix"]), (["check", "--help"], ["--conf"]),
    (["config", "--help"], ["export", "import"]), (["migrations", "--help"], ["bootstrap", "up", "finish", "list", "status", "reset"]),
    (["completion", "--help"], ["bash", "zsh", "fish"]),
])
def test_help(args, words):
    run = run_weir(*args)
    assert run.returncode == 0
    for word in words:
        assert word in run.stdout, (word, run.stdout)


def test_version():
    run = run_weir("version")
    assert run.returncode == 0 and any(c.isdigit() for c in run.stdout) and run.stdout.lower().startswith("weir")


@pytest.mark.parametrize("args", [["fly"], ["run", "--no-such-flag"], ["config"], ["config", "import"], ["completion", "csh"]])
def test_wrong_words_are_refused(args):
    run = run_weir(*args)
    assert run.returncode > 0 and run.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell):
    run = run_weir("completion", shell)
    assert run.returncode == 0 and "check" in run.stdout and "weir" in run.stdout
    if shell == "bash":
        script = run.stdout + "\nCOMP_WORDS=(weir ch); COMP_CWORD=1; COMP_LINE='weir ch'; COMP_POINT=7\n" \
            "f=$(complete -p weir | sed -E 's/.*-F ([^ ]+).*/\\1/'); $f weir ch weir; echo \"${COMPREPLY[@]}\"\n"
        out = subprocess.run(["bash", "--norc"], input=script, capture_output=True, text=True)
        assert out.returncode == 0 and "check" in out.stdout, (out.stdout, out.stderr)


def test_check_reads_the_declarative_file_too(tmp_path):
    conf, file = tmp_path / "weir.conf", tmp_path / "kong.yaml"
    conf.write_text(f"database = off\ndeclarative_config = {file}\n")
    file.write_text("_format_version: '3.0'\nservices:\n- name: s\n  host: h\n")
    assert run_weir("check", "-c", conf).returncode == 0
    file.write_text("_format_version: '3.0'\nservices:\n- name: s\n  hots: h\n")
    run = run_weir("check", "-c", conf)
    assert run.returncode > 0 and "hots" in run.stderr + run.stdout and str(file) in run.stderr + run.stdout


def test_a_flag_beats_the_environment_and_that_beats_the_file(weir, tmp_path):
    conf = tmp_path / "weir.conf"
    conf.write_text("log_level = warn\nallow_debug_header = on\ndns_stale_ttl = 7  # seconds\n")
    node = weir(conf=conf, env={"WEIR_LOG_LEVEL": "info", "WEIR_ALLOW_DEBUG_HEADER": "off"}, settings={"log_level": "debug"})
    shown = node.admin("GET", "/").json["configuration"]
    assert shown["log_level"] == "debug" and shown["allow_debug_header"] in (False, "off") and shown["dns_stale_ttl"] in (7, "7")


def test_what_is_exported_can_be_imported(weir, scripted, route_to, tmp_path):
    node = weir()
    upstream = scripted()
    route_to(node, upstream.port, paths=["/x"], strip_path=False, tags=["t"])
    node.admin("POST", "/upstreams", {"name": "pool"}, expect=201)
    node.admin("POST", "/upstreams/pool/targets", {"target": "127.0.0.1:1", "weight": 3}, expect=201)
    shown = {kind: node.admin("GET", f"/{kind}").json["data"] for kind in ("services", "routes", "upstreams", "upstreams/pool/targets")}
    node.stop()
    file = tmp_path / "export.yaml"
    run = run_weir("config", "export", file, "-p", node.prefix)
    assert run.returncode == 0, run.stderr
    run = run_weir("config", "import", file, "-p", tmp_path / "other")
    assert run.returncode == 0, run.stderr
    other = weir(prefix=tmp_path / "other")
    same = lambda rows: [{k: v for k, v in r.items() if not k.endswith("_at")} for r in rows]
    for kind, rows in shown.items():
        assert same(other.admin("GET", f"/{kind}").json["data"]) == same(rows)
    assert other.get("/x").status == 200
    # The exported file is a declarative file as well.
    off = weir(settings={"database": "off", "declarative_config": file})
    assert off.get("/x").status == 200


def test_a_bad_import_changes_nothing(weir, tmp_path):
    node = weir()
    node.admin("POST", "/services", {"name": "s", "host": "h"}, expect=201)
    node.stop()
    file = tmp_path / "bad.json"
    file.write_text(json.dumps({"_format_version": "3.0", "services": [{"name": "a", "host": "h"}, {"name": "b", "hots": "h"}]}))
    run = run_weir("config", "import", file, "-p", node.prefix)
    assert run.returncode > 0 and "hots" in run.stderr
    again = weir(prefix=node.prefix)
    assert [s["name"] for s in again.admin("GET", "/services").json["data"]] == ["s"]
