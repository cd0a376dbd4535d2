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


@pytest.mark.row("S6")
@pytest.mark.parametrize("inner", [".claude", ".bailee", ".git"])
@pytest.mark.parametrize("whose", [".bailee", ".claude"])
def test_a_roots_word_about_privacy_holds_in_what_lies_in_it(
    settings: Path, inner: str, whose: str
) -> None:
    """In a package with settings of its own, and in a submodule (whose `.git` is a file)."""
    root = settings.parents[1]
    (root / ".git").mkdir()
    said = root / whose / "settings.json"
    said.parent.mkdir(exist_ok=True)
    said.write_text('{"env": {"DISABLE_TELEMETRY": "1"}, "cleanupPeriodDays": 7}')
    package = root / "packages/pears"
    package.mkdir(parents=True)
    if inner == ".git":
        (package / ".git").write_text("gitdir: ../../.git/modules/pears\n")
    else:
        (package / inner).mkdir()
        (package / inner / "settings.json").write_text('{"model": "m"}')
    held = files.read(POLICY, package, environment={})
    (metrics,) = [flow for flow in all_flows(POLICY, held) if flow.name == "metrics"]

    assert (False, str(said)) == (metrics.on, metrics.place)
    if whose == ".bailee":
        assert 7 == held.keep_days.value if held.keep_days else None
        assert (7, str(root)) == files.project_days(package / "deeper", 30)
        link = root.with_name(f"{root.name}-link")
        link.symlink_to(package / "deeper")
        assert (7, str(root)) == files.project_days(link, 30)


@pytest.mark.row("S6")
def test_the_nearest_project_decides_what_is_not_about_privacy(settings: Path) -> None:
    """And nothing is read from the home itself as if it were a project, nor above it."""
    root = settings.parents[1]
    settings.write_text('{"model": "root"}')
    package = root / "pears/.bailee/settings.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"model": "package"}')
    for above in (root.parent, root.parents[1]):
        (above / ".bailee").mkdir()
        (above / ".bailee/settings.json").write_text('{"cleanupPeriodDays": 0}')
    held = files.read(POLICY, root / "pears", environment={})

    assert "package" == held.values["model"].value
    assert (root / "pears", root) == files.projects_of(root / "pears")
    assert None is held.keep_days


def test_what_somebody_put_into_a_shared_folder_decides_nothing(tmp_path: Path) -> None:
    """As in /tmp, where everybody may put files: a mark there makes no project of it."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / ".bailee").mkdir()
    (shared / ".bailee/settings.json").write_text('{"cleanupPeriodDays": 0}')
    (shared / "mine/.git").mkdir(parents=True)

    for folder in (shared / "mine", shared / "loose"):
        assert (folder,) == files.projects_of(folder)
        assert None is files.project_days(folder, 30)
