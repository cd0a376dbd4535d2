"""A cloud session in a real virtual machine, as a person types it: the whole of it, once.

A private repository on a git server that wants a password, a scripted model that makes the agent
edit, install and test, a package index that is reached through the egress proxy; then the searches:
in the guest's memory, on its disk, and for whatever is left when it has ended.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import ScriptedUpstream, Text, ToolUse
from support.clients import processes
from support.clients.programs import Bailee, clean_environment
from support.machines.cloud_machines import emulators, memory_of, open_files_of
from support.machines.emulated import SETTINGS, image
from support.servers.git_server import GitServer, git
from support.servers.registries import WebServer

PLANTED = "a medlar stands between the pear trees"
KEY = re.compile(rb"bl_[0-9a-f]{10}_[0-9a-f]{48}")
PATIENCE = 600


@dataclass
class Watched:
    """What `bailee cloud attach` prints, as far as it has been read."""

    process: processes.Process
    events: list[dict[str, Any]] = field(default_factory=list)

    def until(self, state: str) -> None:
        """Read on until the session is in a state."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["kind"] == "state" and self.events[-1]["state"] == state:
                return
        raise AssertionError(f"never {state}: {self.events[-3:]}")

    def printed(self) -> str:
        """All of it as text."""
        return json.dumps(self.events)


@dataclass
class Scene:
    """All that the one session leaves to look at."""

    bailee: Bailee
    server: GitServer
    upstream: ScriptedUpstream
    clone: Path
    bare: Path
    session: str
    watched: Watched
    found: dict[str, Any]


def wheel() -> bytes:
    """A package that nobody else has."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        info = "apricot_planting-1.0.dist-info"
        archive.writestr("apricot_planting.py", "TREES = 19\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: apricot-planting\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return content.getvalue()


def turns(index: str) -> list[Any]:
    """What the model does: a file, a package, the tests; two things that are not allowed."""
    pip = (
        f"python3 -m pip install -q --user --break-system-packages --no-deps "
        f"--disable-pip-version-check --index-url http://{index}/simple "
        f"--trusted-host 127.0.0.2 apricot-planting"
    )
    return [
        ToolUse("Read", {"path": "orchard.py"}),
        ToolUse("Write", {"path": "orchard.py", "content": "from apricot_planting import TREES\n"}),
        ToolUse("Bash", {"command": pip}),
        ToolUse("Bash", {"command": "python3 -m unittest -q 2>&1"}),
        ToolUse("Bash", {"command": "curl -sS -m 20 http://169.254.169.254/latest/ 2>&1"}),
        ToolUse("Bash", {"command": "git push origin HEAD:refs/heads/other 2>&1; sync"}),
        Text("The orchard has nineteen apricot trees."),
        ToolUse("Write", {"path": "WATER.md", "content": "Water them.\n"}),
        Text("They are watered."),
    ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The session, up to where it waits for a second follow-up; then it is stopped."""
    folder = tmp_path_factory.mktemp("cloud")
    bailee = Bailee(folder)
    image()
    index = WebServer(address="127.0.0.2")
    upstream = ScriptedUpstream(tools_only=True)
    try:
        with GitServer(folder / "git") as server, index, upstream:
            name = f"127.0.0.2:{index.port}"
            file = "apricot_planting-1.0-py3-none-any.whl"
            index.files["/simple/apricot-planting/"] = (
                f'<!doctype html><a href="/files/{file}">{file}</a>'.encode()
            )
            index.files[f"/files/{file}"] = wheel()
            upstream.then(*turns(name))
            bare, clone = server.make("orchard.git"), folder / "clone"
            _first_commit(bare, clone)
            bailee.up(
                "--upstream",
                upstream.url,
                env={
                    **SETTINGS,
                    "BAILEE_CLOUD_GIT_NETWORKS": "127.0.0.0/8",
                    "BAILEE_CLOUD_EGRESS_NETWORKS": "127.0.0.2/32",
                    "BAILEE_CLOUD_NETWORK_ALLOW": name,
                },
            )
            added = bailee.run(
                *("cloud", "git", "add", f"127.0.0.1:{server.port}", "--kind", "basic"),
                *("--user", server.user, "--secret-env", "GIT_PASSWORD"),
                env={"GIT_PASSWORD": server.password},
            )
            assert (0, "") == (added.returncode, added.stderr)
            yield _session(bailee, server, upstream, clone, bare)
            bailee.stop()  # and says nothing of what it could not end
    finally:
        bailee.close()


def _first_commit(bare: Path, clone: Path) -> None:
    git("clone", "--quiet", str(bare), str(clone))
    (clone / "orchard.py").write_text("TREES = 7\n")
    (clone / "README.md").write_text(PLANTED + "\n")
    (clone / "test_orchard.py").write_text(
        "import unittest\nimport orchard\n\n\nclass Trees(unittest.TestCase):\n"
        "    def test_there_are_nineteen(self):\n        self.assertEqual(19, orchard.TREES)\n"
    )
    git("add", ".", cwd=clone)
    git("commit", "--quiet", "-m", "Plant the orchard", cwd=clone)
    git("push", "--quiet", "origin", "HEAD:main", cwd=clone)


def _session(
    bailee: Bailee, server: GitServer, upstream: ScriptedUpstream, clone: Path, bare: Path
) -> Scene:
    found: dict[str, Any] = {}
    started = bailee.json(
        "cloud", "start", "--repo", server.url("orchard.git"), "Let there be nineteen apricot trees"
    )
    session = started["session"]
    process = processes.start(
        *("cloud", "attach", session, "--json"),
        env=clean_environment(bailee.home.parent, BAILEE_HOME=str(bailee.home)),
        stderr=subprocess.DEVNULL,
    )
    watched = Watched(process)
    try:
        watched.until("waiting")
        sent = bailee.run("cloud", "send", session, "Now water them")
        assert (0, "") == (sent.returncode, sent.stderr)
        watched.until("working")
        watched.until("waiting")
        found["running"] = bailee.json("cloud", "show", session)
        (found["emulator"],) = emulators(bailee.ready["pid"])
        found["memory"] = _searched(memory_of(found["emulator"]), server.password)
        found["disk"] = _searched(open_files_of(found["emulator"]), server.password)
        found["token_before"] = _accepted(bailee, found["memory"]["keys"])
        found["stopped"] = bailee.json("cloud", "stop", session)
        watched.until("ended")
    finally:
        process.kill()
        process.wait()
    return Scene(bailee, server, upstream, clone, bare, session, watched, found)


def _searched(content: Iterator[bytes], password: str) -> dict[str, Any]:
    """How often the password, and what must be there, stand in it; and the gateway's keys."""
    made = {"password": 0, "planted": 0, "keys": set(), "size": 0}
    encoded = GitServer(Path("/"), password=password).authorization.split()[1].encode()
    for piece in content:
        made["size"] += len(piece)  # type: ignore[operator]
        made["password"] += piece.count(password.encode()) + piece.count(encoded)  # type: ignore[operator]
        made["planted"] += piece.count(PLANTED.encode())  # type: ignore[operator]
        made["keys"] |= set(KEY.findall(piece))  # type: ignore[operator]
    return made


def _accepted(bailee: Bailee, keys: set[bytes]) -> set[bytes]:
    """Which of these keys the gateway takes now. A prompt that is refused for its form is taken."""
    taken = set()
    for key in keys:
        request = urllib.request.Request(
            bailee.ready["gateway"] + "/v1/messages/count_tokens",
            b"{}",
            {"x-api-key": key.decode(), "content-type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=30).close()
            taken.add(key)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                taken.add(key)
    return taken


@pytest.mark.row("C1", "C5")
def test_the_work_is_done_in_a_machine_and_pushed_to_its_branch(scene: Scene) -> None:
    """Both turns are commits on `bailee/<session>`; the default branch is as it was."""
    branch = f"bailee/{scene.session}"
    log = git("log", "--format=%s", branch, cwd=scene.bare).splitlines()
    assert [
        "Now water them", "Let there be nineteen apricot trees", "Plant the orchard",
    ] == log  # fmt: skip
    assert ["Plant the orchard"] == git("log", "--format=%s", "main", cwd=scene.bare).splitlines()
    assert "from apricot_planting" in git("show", f"{branch}:orchard.py", cwd=scene.bare)
    assert scene.found["running"]["security"] in ("kvm", "emulation")


@pytest.mark.row("C1", "C3", "C5")
def test_the_agent_installed_a_package_and_ran_the_tests(scene: Scene) -> None:
    """The package came through the egress proxy, and the repository's own tests passed with it."""
    printed = scene.watched.printed()
    assert "Ran 1 test" in printed and "OK" in printed
    egress = scene.bailee.json("cloud", "logs", scene.session, "--egress")
    by_host = {(one["host"], one["outcome"]) for one in egress}
    assert {("127.0.0.2", "allowed"), ("169.254.169.254", "refused")} <= by_host
    assert all(one["received"] > 0 for one in egress if one["outcome"] == "allowed")


@pytest.mark.row("C2")
def test_another_branch_is_refused_with_a_reason_that_git_prints(scene: Scene) -> None:
    """The agent's own push shows why it may not be."""
    assert "this session pushes only to bailee/" in scene.watched.printed()
    kinds = [
        (one["body"]["operation"], one["body"]["outcome"])
        for one in scene.bailee.json("audit", "list", "--subject", scene.session)
        if one["kind"] == "cloud.git"
    ]
    assert ("push", "refused") in kinds and ("push", "done") in kinds


@pytest.mark.row("C2")
def test_the_credential_was_used_and_is_nowhere_in_the_guest(scene: Scene) -> None:
    """The git server saw it; the guest's memory, its disk and its streams never held it."""
    shown = {value for one in scene.server.asked for value in one.headers.values()}
    assert scene.server.authorization in shown
    memory, disk = scene.found["memory"], scene.found["disk"]
    assert memory["planted"] > 0, "the search finds what is there"
    assert disk["planted"] > 0, "the search finds what is there"
    assert memory["size"] > 256 << 20
    assert (0, 0) == (memory["password"], disk["password"])
    assert scene.server.password not in scene.watched.printed()


@pytest.mark.row("C1")
def test_when_it_has_ended_nothing_is_left_of_it(scene: Scene) -> None:
    """No process, disk, memory file or token that works; and the record says why it ended."""
    assert "stopped" == scene.found["stopped"]["end"]
    assert not Path(f"/proc/{scene.found['emulator']}").exists()
    assert set() == emulators(scene.bailee.ready["pid"])
    assert scene.found["token_before"], "the session's key was good while it lasted"
    assert set() == _accepted(scene.bailee, scene.found["memory"]["keys"])
    entries = scene.bailee.json("audit", "list", "--subject", scene.session)
    ends = [one["body"] for one in entries if one["kind"] == "cloud.session_ended"]
    assert [("stopped", None)] == [(one["reason"], one["problem"]) for one in ends]
    assert ends[0]["egress_connections"] >= 2
    marks = PLANTED.encode(), b"apricot_planting"
    assert [] == scene.bailee.holds(*marks)


@pytest.mark.row("C4")
def test_its_transcript_is_an_ordinary_session_of_the_vault(scene: Scene) -> None:
    """It is kept by the clause that holds for its owner; so are its output and its changes."""
    shown = scene.bailee.json("cloud", "show", scene.session)
    kept = {s["id"]: s for s in scene.bailee.json("sessions", "list")}[shown["transcript"]]
    assert ("retain.commercial", "P30D") == (
        kept["retention"]["clause"],
        kept["retention"]["period"],
    )
    assert {
        ("cloud_output", "retain.commercial"),
        ("cloud_diff", "retain.commercial"),
        ("egress_record", "retain.egress-record"),
    } == {(one["data_class"], one["clause"]) for one in shown["kept"]}
    diff = scene.bailee.run("cloud", "diff", scene.session).stdout
    assert "+from apricot_planting import TREES" in diff and "+Water them." in diff


@pytest.mark.row("C5")
def test_it_goes_on_on_the_persons_own_machine(scene: Scene) -> None:
    """Teleport checks the branch out and takes the conversation over; the agent resumes it."""
    git("remote", "set-url", "origin", str(scene.bare), cwd=scene.clone)
    brought = scene.bailee.json("cloud", "teleport", scene.session, "--folder", str(scene.clone))
    assert f"bailee/{scene.session}" == git("branch", "--show-current", cwd=scene.clone).strip()
    scene.upstream.then(Text("They stand well."))
    user = scene.bailee.home.parent / "user"
    done = processes.run(
        *("code", "-p", "How do they stand?", "--resume", brought["conversation"]),
        folder=scene.clone,
        env=clean_environment(
            user,
            ANTHROPIC_BASE_URL=scene.bailee.ready["gateway"],
            ANTHROPIC_AUTH_TOKEN=scene.bailee.ready["key"],
        ),
        timeout=PATIENCE,
    )
    assert (0, "They stand well.\n") == (done.returncode, done.stdout), done.stderr
    asked = json.dumps(scene.upstream.requests[-1].json["messages"])
    assert "nineteen apricot trees" in asked and "Now water them" in asked
