"""The files with which it is deployed and watched, by the tools that read them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from helm_python import chart
from helm_python.errors import HelmValuesError

from bailee.monitoring.catalogue import FAMILIES, PROCESS, FigureKind

pytestmark = pytest.mark.row("O5")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
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


def test_the_containers_file_has_no_fault_that_its_linter_knows() -> None:
    """What is left out is left out in the file, where it says so."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, DEPLOY / "container/Containerfile"], check=False, capture_output=True, text=True
    )
    assert (0, "") == (done.returncode, done.stdout)


def composed(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Compose makes of its file."""
    file = DEPLOY / "compose/compose.yaml"
    return subprocess.run(
        [sys.executable, "-m", "podman_compose", "--file", file, "config"],
        check=False, capture_output=True, text=True, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
    )  # fmt: skip


def test_compose_takes_its_file_and_says_what_is_missing(tmp_path: Path) -> None:
    """Each address and the key are asked for; without one, nothing starts."""
    given = {
        "BAILEE_GATEWAY_PUBLIC_URL": "https://llm.example.org:8787",
        "BAILEE_CONSOLE_PUBLIC_URL": "https://llm.example.org:8788",
        "BAILEE_INGEST_PUBLIC_URL": "https://llm.example.org:8789",
        "UPSTREAM_URL": "https://api.example.com",
        "UPSTREAM_KEY": "dummy",
    }
    whole = composed(tmp_path, **given)
    assert 0 == whole.returncode, whole.stderr
    service = yaml.safe_load(whole.stdout)["services"]["bailee"]
    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert_settings(service["environment"])
    for name in given:
        lacking = composed(tmp_path, **{one: value for one, value in given.items() if one != name})
        assert lacking.returncode
        assert name in lacking.stderr


def assert_settings(named: Iterable[str]) -> None:
    """Each variable of ours is one that bailee reads."""
    ours = {one for one in named if one.startswith("BAILEE_")}
    assert ours
    known = (ROOT / "docs/reference/configuration.md").read_text()
    assert not [one for one in ours if f"`{one}`" not in known]


CHART = DEPLOY / "helm/bailee"
VALUES: dict[str, Any] = {
    "image": {"repository": "registry.example.org/bailee", "digest": f"sha256:{'0' * 64}"},
    "gateway": {"url": "https://llm.example.org:8787"},
    "console": {"url": "https://llm.example.org:8788"},
    "ingest": {"url": "https://llm.example.org:8789"},
    "tls": {"secretName": "bailee-tls"},
    "upstream": {"url": "https://api.example.com", "secretName": "upstream"},
}
MORE: dict[str, Any] = {
    "settings": {"BAILEE_GATEWAY_DRAIN_SECONDS": "30"},
    "settingsFrom": ["more"],
    "storage": {"className": "fast"},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "networkPolicy": {
        "from": [{"podSelector": {}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
    },
}


@pytest.mark.parametrize("more", [{}, MORE], ids=["least", "most"])
def test_helm_renders_what_kubernetes_takes(more: dict[str, Any]) -> None:
    """Its own linter finds nothing, and each thing fits the oldest version's schema that the chart
    names, and the newest one's. What runs is closed as the container's test has it.
    """
    values = VALUES | more
    found = chart.lint(str(CHART), values=values, strict=True)
    assert [] == found["errors"]
    with chart.Chart.load(str(CHART)) as loaded:
        rendered = loaded.render(values=values, name="demo")
    made = {
        one["kind"]: one
        for name, text in rendered.items()
        if not name.endswith(".txt")
        for one in yaml.safe_load_all(text)
    }
    assert {"StatefulSet", "Service", "ServiceAccount", "NetworkPolicy"} == {*made}
    for one in made.values():
        for version in ("1.27", "1.37"):
            kubernetes_validate.validate(one, version, strict=True)
    pod = made["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert 1 == made["StatefulSet"]["spec"]["replicas"]
    assert not pod["automountServiceAccountToken"]
    assert (True, 10001) == tuple(
        pod["securityContext"][one] for one in ("runAsNonRoot", "fsGroup")
    )
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]
    assert_settings(one["name"] for one in container["env"])


@pytest.mark.parametrize(("at", "value"), [
    ("gateway", {"url": "http://llm.example.org"}),
    ("tls", {"secretName": ""}),
    ("image", {"repository": "registry.example.org/bailee", "tag": ""}),
    ("settings", {"PATH": "/"}),
    ("replicas", 2),
])  # fmt: skip
def test_helm_refuses_what_can_not_be(at: str, value: object) -> None:
    """Plain HTTP, no certificate, an unnamed image, what is no setting, a second server."""
    with (
        chart.Chart.load(str(CHART)) as loaded,
        pytest.raises(HelmValuesError),
    ):
        loaded.render(values=VALUES | {at: value}, name="demo")


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
