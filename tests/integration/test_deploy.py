"""The files with which it is deployed and watched, by the tools that read them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bailee.monitoring.catalogue import FAMILIES, PROCESS, FigureKind

pytestmark = pytest.mark.row("O5")

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus"
NAMES = re.compile(r"\b(?:bailee|process)_[a-z_]+\b")


def ran(program: str, *arguments: str, package: str) -> str:
    """What a program says that finds nothing wrong."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} (Debian: {package})")
    done = subprocess.run(
        [program, *arguments], check=False, capture_output=True, text=True, cwd=RULES
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def said() -> set[str]:
    """Each name under which something may be said."""
    names = {*PROCESS}
    for name, family in FAMILIES.items():
        parts = ("_bucket", "_count", "_sum") if family.kind is FigureKind.HISTOGRAM else ("",)
        names |= {name + part for part in parts}
    return names


@pytest.mark.parametrize("command", [
    ("check", "rules", "bailee-alerts.yml"),
    ("test", "rules", "bailee-alerts.test.yml"),
    ("check", "config", "prometheus.yml"),
])  # fmt: skip
def test_prometheus_takes_the_rules(command: tuple[str, ...]) -> None:
    """Its own tool checks them, and runs what they are to do."""
    ran("promtool", *command, package="prometheus")


def expressions() -> dict[str, str]:
    """What the dashboard and the rules ask for."""
    board: dict[str, Any] = json.loads((DEPLOY / "grafana/bailee.json").read_text())
    found = {
        f"{panel['id']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", [])
    }
    rules = (RULES / "bailee-alerts.yml").read_text()
    return {
        **found,
        "rules": "\n".join(line for line in rules.splitlines() if "summary" not in line),
    }


def test_each_figure_that_is_asked_for_is_one() -> None:
    """The dashboard and the rules name nothing that is not said, and the dashboard lacks none; what
    they ask of labels' values is declared.
    """
    asked = expressions()
    named = {name for text in asked.values() for name in NAMES.findall(text)}
    assert named <= said()
    shown = {name for at, text in asked.items() if at != "rules" for name in NAMES.findall(text)}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
    assert {*FAMILIES} - {"bailee_build_info"} <= families
    values = {value for one in FAMILIES.values() for some in one.labels.values() for value in some}
    for text in asked.values():
        for value in re.findall(
            r'(?:reason|outcome|status|alert|channel)[!=]~?="?([a-z_|]+)"', text
        ):
            assert {*value.split("|")} <= values


def test_prometheus_can_read_each_expression(tmp_path: Path) -> None:
    """Those of the dashboard, as rules."""
    asked = [text for at, text in expressions().items() if at != "rules"]
    rules = [
        {"record": f"x:{n}", "expr": text.replace("$instance", ".*")}
        for n, text in enumerate(asked)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    ran("promtool", "check", "rules", str(file), package="prometheus")
    assert len(asked) > 40


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    """Its own tool finds nothing wrong in it, and little that it lays open."""
    unit = tmp_path / "bailee.service"
    text = (DEPLOY / "systemd/bailee.service").read_text()
    unit.write_text(text.replace("/opt/bailee/.venv/bin/bailee up", "/bin/true"))
    assert "" == ran("systemd-analyze", "verify", str(unit), package="systemd").strip()
    found = ran("systemd-analyze", "security", "--offline=true", str(unit), package="systemd")
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", found)
    assert exposure is not None
    assert 2.0 > float(exposure[1])
