"""docs/monitoring: the Grafana dashboard and the alerts ask for what /metrics has, in PromQL that Prometheus takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Iterator

import pytest

from lib.bed import REPOSITORY

FOLDER = REPOSITORY / "docs" / "monitoring"
NAME = re.compile(r"\bvtshim_\w+")
LABELS = re.compile(r"\bby \(([^)]*)\)|\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
# What Prometheus adds to every sample.
ALWAYS = {"instance", "job", "le"}


def promtool(*arguments: str, text: str | None = None) -> str:
    program = shutil.which("promtool")
    assert program, "promtool is needed (Debian: prometheus)"
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def panels() -> list[dict]:
    return json.loads((FOLDER / "grafana.json").read_text())["panels"]


def expressions() -> Iterator[tuple[str, str]]:
    """Each expression, with the text that shows its labels."""
    for panel in panels():
        for target in panel.get("targets", []):
            yield target["expr"], target["legendFormat"]
    for block in re.split(r"\n +- alert: ", (FOLDER / "alerts.yml").read_text())[1:]:
        yield re.search(r"expr: (.*)", block)[1], block


@pytest.fixture
def types(shim) -> dict[str, str]:
    """Name and type of all metrics."""
    shim.run("SELECT 1")
    found = dict(re.findall(r"^# TYPE (\w+) (\w+)$", shim.http("/metrics")[1], re.M))
    assert len(found) > 40
    return found


def test_alerts_are_rules():
    assert "SUCCESS" in promtool("check", "rules", str(FOLDER / "alerts.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "alerts_test.yml"))


def test_expressions_are_promql(tmp_path):
    """Grafana's variables replaced, each is a rule that promtool takes."""
    rules = [{"record": f"panel:{i}", "expr": expr.replace("$__rate_interval", "1m").replace("$instance", ".*")}
             for i, (expr, _) in enumerate(expressions())]
    assert len(rules) > 40
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_metrics_exist(types, shim):
    """Each one that is asked for is there, of the type that the function over it needs, with the labels that are used."""
    samples = shim.http("/metrics")[1]
    used = set()
    for expr, shown in expressions():
        for name in NAME.findall(expr):
            base = re.sub(r"_bucket$", "", name)
            assert base in types, f"{name} in {expr}"
            used.add(base)
            if name != base:
                assert types[base] == "histogram" and "histogram_quantile" in expr, expr
            if re.search(rf"(rate|increase)\({name}\b", expr):
                assert types[base] in ("counter", "histogram"), f"rate of a gauge: {expr}"
        labels = {label.strip() for match in LABELS.findall(expr + shown) for label in ",".join(match).split(",")} - {""} - ALWAYS
        known = set(re.findall(r'(\w+)="', "".join(line for line in samples.splitlines() if line.startswith(tuple(NAME.findall(expr) or ["-"])))))
        if any(line.startswith(tuple(f"{name}{{" for name in NAME.findall(expr)) or ("-",)) for line in samples.splitlines()):
            assert labels <= known, f"{labels - known} in {expr} / {shown}"
    assert len(used) > 25


def test_panels_do_not_overlap():
    """Each has an id and a place of its own, within the 24 columns."""
    taken: set = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
