"""The Gateway API conformance suite, all that the GatewayClass claims. `make conformance` also writes the report."""
import importlib.machinery
import importlib.util
from pathlib import Path

import pytest
import yaml

PATH = Path(__file__).resolve().parent / "conformance"
loader = importlib.machinery.SourceFileLoader("conformance_runner", str(PATH))
runner = importlib.util.module_from_spec(importlib.util.spec_from_loader("conformance_runner", loader))
loader.exec_module(runner)

CORE = 36  # tests of GATEWAY-HTTP's core in suite v1.6.3
FEATURES = 30


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    report = tmp_path_factory.mktemp("report") / "report.yaml"
    code, output = runner.run(report, ["GATEWAY-HTTP"])
    return code, output, yaml.safe_load(report.read_text()) if report.exists() else None


def test_every_test_of_what_is_claimed_passes(result):
    code, output, report = result
    found = runner.summary(output)
    assert code == 0 and found["FAIL"] == [], f"{found['FAIL']}\n{output[-4000:]}"
    profile = next(p for p in report["profiles"] if p["name"] == "GATEWAY-HTTP")
    assert profile["core"]["result"] == "success" and profile["core"]["statistics"] == {
        "Passed": CORE, "Failed": 0, "Skipped": 0}
    assert profile["extended"]["result"] == "success" and profile["extended"]["statistics"]["Failed"] == 0
    assert len(profile["extended"]["supportedFeatures"]) >= FEATURES


def test_the_kept_report_is_of_what_is_claimed_now(result):
    kept = runner.REPORTS / f"{runner.suite_version()}-weir-report.yaml"
    now = next(p for p in result[2]["profiles"] if p["name"] == "GATEWAY-HTTP")
    then = next(p for p in yaml.safe_load(kept.read_text())["profiles"] if p["name"] == "GATEWAY-HTTP")
    assert then["extended"]["supportedFeatures"] == now["extended"]["supportedFeatures"], "run make conformance"
    assert then["core"]["statistics"] == now["core"]["statistics"]
