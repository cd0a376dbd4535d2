"""Settings files as a disk can hold them: whatever can't be understood is named, and is private."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bailee.client import files
from bailee.client.flows import all_flows
from bailee.policy import load

POLICY = load()
FLOWS = tuple(POLICY.document.flows)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a project's settings stand; nobody else's do."""
    home = tmp_path / "ann"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    path = home / "orchard/.bailee/settings.json"
    path.parent.mkdir(parents=True)
    return path


def put(path: Path, how: str) -> None:
    """What is wrong with the file."""
    if how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)  # opening it would wait for a writer
    elif how == "device":
        path.symlink_to("/dev/zero")  # endless
    elif how == "ring":
        path.symlink_to(path)
    elif how == "link to nothing":
        path.symlink_to(path.with_name("elsewhere.json"))
    elif how == "private":
        path.write_text("{}")
        path.chmod(0)
        if os.geteuid() == 0:
            pytest.skip("root reads every file: needs an ordinary user")
    else:
        path.write_bytes(BROKEN[how])


BROKEN = {
    "huge": b'{"model": "' + b"x" * (1 << 20) + b'"}',
    "empty": b"",
    "twice": b'{"env": {"DISABLE_TELEMETRY": "1", "DISABLE_TELEMETRY": ""}}',
    "utf-16": '{"env": {}}'.encode("utf-16"),
    "number": b'{"cleanupPeriodDays": ' + b"9" * 5000 + b"}",
    "deep": b'{"env": ' * 50_000,
    "text": b'"DISABLE_TELEMETRY"',
    "comment": b'{"env": {}} // mine',
    "wrong type": b'{"env": {"DISABLE_TELEMETRY": 1}}',
    "unknown key": b'{"telemetry": false}',
}


@pytest.mark.row("S6")
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("folder", "can't be read"),
        ("pipe", "ordinary file"),
        ("device", "ordinary file"),
        ("ring", "can't be read"),
        ("link to nothing", "leads nowhere"),
        ("private", "can't be read"),
        ("huge", "too large"),
        ("empty", "not JSON (line 1"),
        ("twice", '"DISABLE_TELEMETRY" twice'),
        ("utf-16", "UTF-8"),
        ("number", "not JSON"),
        ("deep", "not JSON"),
        ("text", "not a JSON object"),
        ("comment", "not JSON (line 1"),
        ("wrong type", "env.DISABLE_TELEMETRY: must be a text"),
        ("unknown key", "telemetry: there is no such setting"),
    ],
)
def test_a_broken_file_is_named_and_private(settings: Path, how: str, says: str) -> None:
    """The message has the file, and the key where there is one; no flow of the document is on."""
    put(settings, how)
    held = files.read(POLICY, settings.parent.parent, environment={})
    (problem,) = held.problems

    assert str(settings) in str(problem)
    assert says in str(problem)
    flows = {flow.name: flow for flow in all_flows(POLICY, held)}
    assert [] == [name for name in FLOWS if flows[name].on]
    assert str(settings) in flows["metrics"].decided_by


@pytest.mark.row("S6")
def test_what_only_looks_broken_is_read(settings: Path) -> None:
    """A byte order mark, a link to a file, blanks of every kind: the switch in it counts."""
    real = settings.with_name("real.json")
    real.write_bytes(b'\xef\xbb\xbf\r\n\t{"env": {"DISABLE_TELEMETRY": "0"}}\r\n')
    settings.symlink_to(real)
    held = files.read(POLICY, settings.parent.parent, environment={})
    flows = {flow.name: flow for flow in all_flows(POLICY, held)}

    assert () == held.problems
    assert (False, True) == (flows["metrics"].on, flows["errors"].on)
    assert ("project", str(settings)) == (flows["metrics"].scope, flows["metrics"].place)
