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
from helm_python.errors import HelmRenderError, HelmValuesError

from bailee import config
from bailee.app.gateway_role import check_settings
from bailee.home import Home
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


# What gateways need beside the server, each by its name.
SHARED = {
    "BAILEE_DATABASE_URL": "postgresql://bailee@db.example.org/bailee",
    "BAILEE_KEYRING_DATABASE_URL": "postgresql://bailee@keys.example.org/bailee_keys",
    "BAILEE_OBJECTS_URL": "s3://bailee/one",
    "BAILEE_SPOOL_DURABILITY": "database",
    "BAILEE_KEYRING_ROOT": "transit:https://bao.example.org:8200/v1/transit/keys/bailee",
}
GIVEN = {
    "BAILEE_GATEWAY_PUBLIC_URL": "https://llm.example.org:8787",
    "BAILEE_CONSOLE_PUBLIC_URL": "https://llm.example.org:8788",
    "BAILEE_INGEST_PUBLIC_URL": "https://llm.example.org:8789",
    "UPSTREAM_URL": "https://api.example.com",
    "UPSTREAM_KEY": "dummy",
}


def composed(tmp_path: Path, *over: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What Compose makes of its file, and of what is laid over it."""
    files = [DEPLOY / "compose" / one for one in ("compose.yaml", *over)]
    named = [part for file in files for part in ("--file", str(file))]
    return subprocess.run(
        [sys.executable, "-m", "podman_compose", *named, "config"],
        check=False, capture_output=True, text=True, cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
    )  # fmt: skip


def test_compose_takes_its_file_and_says_what_is_missing(tmp_path: Path) -> None:
    """Each address and the key are asked for; without one, nothing starts."""
    whole = composed(tmp_path, **GIVEN)
    assert 0 == whole.returncode, whole.stderr
    service = yaml.safe_load(whole.stdout)["services"]["bailee"]
    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert_settings(service["environment"])
    for name in GIVEN:
        lacking = composed(tmp_path, **{one: value for one, value in GIVEN.items() if one != name})
        assert lacking.returncode
        assert name in lacking.stderr


@pytest.mark.row("O6")
def test_compose_has_gateways_that_start(tmp_path: Path) -> None:
    """With what is laid over its file: what they need to be of the server's home is asked for by
    name, and the server has the same. They are closed as the server is, and have no volume.
    """
    given = GIVEN | {name: SHARED[name] for name in SHARED if name != "BAILEE_SPOOL_DURABILITY"}
    whole = composed(tmp_path, "gateways.yaml", **given)
    assert 0 == whole.returncode, whole.stderr
    services = yaml.safe_load(whole.stdout)["services"]
    assert {"bailee", "gateway-1", "gateway-2"} == {*services}
    server = services.pop("bailee")
    assert SHARED.items() <= server["environment"].items()
    closed = "image", "user", "read_only", "cap_drop", "security_opt", "ulimits", "tmpfs"
    for gateway in services.values():
        assert ["serve", "gateway"] == gateway["command"]
        assert [server[one] for one in closed] == [gateway[one] for one in closed]
        assert ["./tls:/etc/bailee/tls:ro"] == gateway["volumes"]
        said = {name: value for name, value in gateway["environment"].items() if value is not None}
        assert_settings(gateway["environment"])
        home = Home(tmp_path / "none")
        check_settings(config.load(home.settings_file, said, {}), home)
    assert 2 == len({port for one in services.values() for port in one["ports"]})
    for name in given.keys() - GIVEN.keys():
        values = {one: value for one, value in given.items() if one != name}
        lacking = composed(tmp_path, "gateways.yaml", **values)
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


def rendered(values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """What the chart makes of values, by kind and name. Its own linter finds nothing, and each
    thing fits the oldest version's schema that the chart names, and the newest one's.
    """
    found = chart.lint(str(CHART), values=values, strict=True)
    assert [] == found["errors"]
    with chart.Chart.load(str(CHART)) as loaded:
        texts = loaded.render(values=values, name="demo")
    made = [
        one
        for name, text in texts.items()
        if not name.endswith(".txt")
        for one in yaml.safe_load_all(text)
        if one is not None
    ]
    for one in made:
        for version in ("1.27", "1.37"):
            kubernetes_validate.validate(one, version, strict=True)
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def container_of(workload: dict[str, Any]) -> dict[str, Any]:
    """The container of a workload's pod. It is closed as the container's test has it, and its
    variables are ours.
    """
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert not pod["automountServiceAccountToken"]
    assert (True, 10001) == tuple(
        pod["securityContext"][one] for one in ("runAsNonRoot", "fsGroup")
    )
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == container["securityContext"]
    names = [one["name"] for one in container["env"]]
    assert len({*names}) == len(names)
    assert_settings(names)
    return dict(container)


@pytest.mark.parametrize("more", [{}, MORE], ids=["least", "most"])
def test_helm_renders_what_kubernetes_takes(more: dict[str, Any]) -> None:
    """One server and what it needs, and nothing else."""
    made = rendered(VALUES | more)
    kinds = "StatefulSet", "Service", "ServiceAccount", "NetworkPolicy"
    assert {(kind, "demo") for kind in kinds} == {*made}
    server = made["StatefulSet", "demo"]
    assert 1 == server["spec"]["replicas"]
    container_of(server)


@pytest.mark.row("O6")
@pytest.mark.parametrize("scales", [False, True], ids=["so many", "by processor"])
def test_helm_renders_gateways_that_start(tmp_path: Path, scales: bool) -> None:
    """With their settings a gateway of its own begins. Their Service leads to them alone, and the
    server's to the server; a network policy that narrows who comes lets them through.
    """
    made = rendered(
        VALUES
        | MORE
        | {"settings": SHARED | {"BAILEE_GATEWAY_DRAIN_SECONDS": "20"}}
        | {
            "gateways": {
                "enabled": True,
                "replicas": 3,
                "autoscaling": {"enabled": scales},
                "holderUrl": "https://bailee.example.org:8787",
                "settings": {"BAILEE_GATEWAY_DRAIN_SECONDS": "40"},
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "nodeSelector": {"disk": "none"},
            }
        }
    )
    name = "demo-gateways"
    kinds = ["Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"]
    kinds += ["HorizontalPodAutoscaler"] if scales else []
    assert {*kinds} == {kind for kind, of in made if of == name}
    gateways = made["Deployment", name]
    container = container_of(gateways)
    assert ["serve", "gateway"] == container["args"]
    assert scales is ("replicas" not in gateways["spec"])
    probes = "startupProbe", "livenessProbe", "readinessProbe"
    paths = [container[probe]["httpGet"]["path"] for probe in probes]
    assert ["/healthz", "/healthz", "/readyz"] == paths
    given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    home = Home(tmp_path / "none")
    settings = config.load(home.settings_file, given, {})
    check_settings(settings, home)
    assert 40 == settings.number("gateway.drain_seconds")

    server = made["StatefulSet", "demo"]["spec"]["template"]["metadata"]["labels"].items()
    own = gateways["spec"]["template"]["metadata"]["labels"].items()
    for which, leads, others in (("demo", server, own), (name, own, server)):
        selected = made["Service", which]["spec"]["selector"].items()
        assert selected <= leads
        assert not selected <= others
        policy = made["NetworkPolicy", which]["spec"]["podSelector"]["matchLabels"].items()
        assert policy <= leads
        assert not policy <= others
    lets = [
        peer["podSelector"]["matchLabels"].items() <= own
        for rule in made["NetworkPolicy", "demo"]["spec"]["ingress"]
        for peer in rule.get("from", ())
        if peer.get("podSelector", {}).get("matchLabels")
    ]
    assert [True] == lets


@pytest.mark.row("O6")
@pytest.mark.parametrize(("settings", "more", "said"), [
    *(({name: ""}, {}, name) for name in SHARED),
    ({"BAILEE_DATABASE_URL": "sqlite://"}, {}, "BAILEE_DATABASE_URL"),
    ({"BAILEE_SPOOL_DURABILITY": "local"}, {}, "BAILEE_SPOOL_DURABILITY"),
    ({"BAILEE_KEYRING_ROOT": "file"}, {}, "BAILEE_KEYRING_ROOT"),
    ({"BAILEE_KEYRING_ROOT": "env:ROOT"}, {}, "BAILEE_KEYRING_ROOT"),
    ({"BAILEE_INGEST_LISTEN": "off"}, {}, "BAILEE_INGEST_LISTEN"),
    ({"BAILEE_GATEWAY_DRAIN_SECONDS": "50"}, {}, "terminationGracePeriodSeconds"),
    ({}, {"settings": {"BAILEE_SPOOL_DURABILITY": "local"}}, "BAILEE_SPOOL_DURABILITY"),
])  # fmt: skip
def test_helm_refuses_gateways_that_would_end(
    settings: dict[str, str], more: dict[str, Any], said: str
) -> None:
    """What they can't be without is named, and nothing is made."""
    values = VALUES | {"settings": SHARED | settings, "gateways": {"enabled": True} | more}
    with (
        chart.Chart.load(str(CHART)) as loaded,
        pytest.raises(HelmRenderError, match=said),
    ):
        loaded.render(values=values, name="demo")


@pytest.mark.parametrize(("at", "value"), [
    ("gateway", {"url": "http://llm.example.org"}),
    ("tls", {"secretName": ""}),
    ("image", {"repository": "registry.example.org/bailee", "tag": ""}),
    ("settings", {"PATH": "/"}),
    ("replicas", 2),
    ("gateways", {"replicas": 0}),
])  # fmt: skip
def test_helm_refuses_what_can_not_be(at: str, value: object) -> None:
    """Plain HTTP, no certificate, an unnamed image, what is no setting, a second server, no
    gateways where there are to be some.
    """
    with (
        chart.Chart.load(str(CHART)) as loaded,
        pytest.raises(HelmValuesError),
    ):
        loaded.render(values=VALUES | {at: value}, name="demo")


@pytest.mark.parametrize(("name", "does"), [
    ("bailee.service", "up"), ("bailee-gateway.service", "serve gateway"),
])  # fmt: skip
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path, name: str, does: str) -> None:
    """Its own tool finds nothing wrong in it, and little that it lays open."""
    unit = tmp_path / name
    text = (DEPLOY / "systemd" / name).read_text()
    assert f"/opt/bailee/.venv/bin/bailee {does}\n" in text
    unit.write_text(text.replace(f"/opt/bailee/.venv/bin/bailee {does}", "/bin/true"))
    assert "" == ran("systemd-analyze", "verify", str(unit), package="systemd").strip()
    found = ran("systemd-analyze", "security", "--offline=true", str(unit), package="systemd")
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", found)
    assert exposure is not None
    assert 2.0 > float(exposure[1])
