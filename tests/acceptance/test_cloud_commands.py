"""`bailee cloud` as a person types it, with machines that are processes of this host: what is kept,
who may see it, what is refused. The same in a real virtual machine: `test_cloud.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bailee.testing.upstream import Failure, ScriptedUpstream, Text, ToolUse
from support.clients.programs import Bailee
from support.documents import edited
from support.servers.git_server import GitServer, git

RUNNER = Path(__file__).parents[1] / "support/machines/host_runner.py"


@dataclass
class Yard:
    """A server with a runner of two rooms, and a repository that anyone of the account may use."""

    bailee: Bailee
    upstream: ScriptedUpstream
    repository: str
    bare: Path
    server: GitServer

    def start(self, task: str, *arguments: str) -> dict[str, Any]:
        """Start a session and watch it to its end; what is known of it then."""
        done = self.bailee.run(
            "cloud", "start", "--repo", self.repository, "--wait", "--json", task, *arguments
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert events, done.stderr
        assert "ended" == events[-1]["state"], done.stderr
        found: dict[str, Any] = self.bailee.json("cloud", "list")[0]
        return {**found, "events": events, "status": done.returncode}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """See `Yard`."""
    folder = tmp_path_factory.mktemp("yard")
    bailee = Bailee(folder)
    runner = None
    with GitServer(folder / "git") as server, ScriptedUpstream(tools_only=True) as upstream:
        try:
            bare, clone = server.make("orchard.git"), folder / "clone"
            git("clone", "--quiet", str(bare), str(clone))
            (clone / "README.md").write_text("An orchard.\n")
            git("add", ".", cwd=clone)
            git("commit", "--quiet", "-m", "First", cwd=clone)
            git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
            bailee.declare(upstream.url)
            bailee.up(env={"BAILEE_CLOUD_GIT_NETWORKS": "127.0.0.0/8"})
            runner = subprocess.Popen([sys.executable, str(RUNNER), str(bailee.home), "2"])
            place = ("cloud", "git", "add", f"127.0.0.1:{server.port}", "--kind", "basic")
            added = bailee.run(
                *(*place, "--user", server.user, "--secret-env", "WORD"),
                env={"WORD": server.password},
            )
            assert (0, "") == (added.returncode, added.stderr)
            yield Yard(bailee, upstream, server.url("orchard.git"), bare, server)
            bailee.stop()
        finally:
            bailee.close()
            if runner is not None:
                runner.kill()
                runner.wait()


@pytest.mark.row("C5")
def test_a_session_that_is_waited_for(yard: Yard) -> None:
    """Its events are lines of JSON, its exit status is 0, its work is on the branch it named."""
    yard.upstream.then(
        ToolUse("Write", {"path": "TREES.md", "content": "Apricots.\n"}), Text("Planted.")
    )
    ended = yard.start("Plant apricots", "--push-branch", "apricots")
    assert (0, "finished", None) == (ended["status"], ended["end"], ended["problem"])
    assert "Apricots.\n" == git("show", "bailee/apricots:TREES.md", cwd=yard.bare)
    assert "+Apricots." in yard.bailee.run("cloud", "diff", ended["session"]).stdout
    logs = yard.bailee.json("cloud", "logs", ended["session"])
    assert "Planted." in json.dumps(logs)
    shown = yard.bailee.run("cloud", "logs", ended["session"]).stdout
    assert "> Plant apricots" in shown and "git push: done" in shown


@pytest.mark.row("C5")
def test_a_model_that_fails_fails_the_session(yard: Yard) -> None:
    """The exit status is 1 and the problem is named; nothing is pushed."""
    yard.upstream.then(Failure(400, "invalid_request_error"))
    ended = yard.start("Do what can't be done")
    assert (1, "failed", "agent_failed") == (ended["status"], ended["end"], ended["problem"])
    branches = git("branch", "--list", f"bailee/{ended['session']}", cwd=yard.bare)
    assert "" == branches.strip()


@pytest.mark.row("C4", "R2")
def test_a_zero_retention_key_leaves_nothing(yard: Yard) -> None:
    """Who watches sees it all; afterwards neither logs nor changes nor a transcript are there."""
    made = yard.bailee.json(
        "key", "create", "--plan", "api", "--zero-retention", "--name", "nothing"
    )
    place = ("cloud", "git", "add", yard.repository.split("/")[2], "--kind", "basic")
    stored = yard.bailee.run(
        *(*place, "--user", "x-access-token", "--secret-env", "WORD"),
        *("--account", made["account"]),
        env={"WORD": "upstream-password-kept-on-the-host"},
    )
    assert (0, "") == (stored.returncode, stored.stderr)
    before = len(yard.bailee.json("sessions", "list"))
    yard.upstream.then(
        ToolUse("Write", {"path": "QUINCE.md", "content": "A quince hides here.\n"}),
        Text("It is hidden."),
    )
    ended = yard.start("Hide a quince tree", "--key", made["key"])
    assert (0, True) == (ended["status"], ended["zero_retention"])
    assert "It is hidden." in json.dumps(ended["events"])
    assert [] == yard.bailee.json("cloud", "logs", ended["session"])
    assert "" == yard.bailee.run("cloud", "diff", ended["session"]).stdout
    assert [] == yard.bailee.json("cloud", "show", ended["session"])["kept"]
    assert before == len(yard.bailee.json("sessions", "list"))
    assert [] == yard.bailee.holds(b"quince", b"QUINCE", b"It is hidden.")


def test_what_can_not_be_asked_for_is_refused(yard: Yard) -> None:
    """Each with what is wrong, a hint, and exit status 2; nothing is started."""
    before = len(yard.bailee.json("cloud", "list"))
    repo = ("--repo", yard.repository)
    for arguments, said in {
        (*repo, ""): "there is no task",
        ("--repo", "git@github.com:a/b", "x"): "does not begin with https://",
        ("--repo", "https://me:word@github.com/a/b", "x"): "user name or password",
        (*repo, "x", "--network", "most"): "is not a network level",
        (*repo, "x", "--agent", "gpt"): "there is no agent",
        (*repo, "x", "--push-branch", "../main"): "is not the name of a branch",
        (*repo, "x", "--key", "bl_0123456789_" + "0" * 48): "unknown or revoked",
    }.items():
        done = yard.bailee.run("cloud", "start", *arguments)
        assert 2 == done.returncode, done.stdout
        assert said in done.stderr and "Traceback" not in done.stderr
        assert "word" not in done.stderr.replace("password", "")
    assert before == len(yard.bailee.json("cloud", "list"))


@pytest.mark.row("C4")
def test_a_session_is_its_owners_alone(yard: Yard) -> None:
    """Another account's key does not even learn that it is there."""
    yard.upstream.then(Text("Mine."))
    ended = yard.start("Look around")
    other = yard.bailee.json("key", "create", "--plan", "pro", "--name", "other")["key"]
    for command in ("show", "logs", "diff", "stop", "delete"):
        done = yard.bailee.run("cloud", command, ended["session"], "--key", other)
        assert (2, True) == (done.returncode, "there is no such cloud session" in done.stderr)
    assert [] == yard.bailee.json("cloud", "list", "--key", other)


@pytest.mark.row("C4")
def test_what_is_kept_can_be_destroyed(yard: Yard) -> None:
    """After `delete` nothing of it can be read, and the audit record says that it went."""
    yard.upstream.then(Text("Soon gone."))
    ended = yard.start("Say something")
    assert "destroyed" in yard.bailee.run("cloud", "delete", ended["session"]).stdout
    assert [] == yard.bailee.json("cloud", "logs", ended["session"])
    kinds = [e["kind"] for e in yard.bailee.json("audit", "list", "--subject", ended["session"])]
    assert "cloud.erased" in kinds


@pytest.mark.row("C4", "R6")
def test_what_a_held_session_left_waits_for_the_release(yard: Yard) -> None:
    """Deleted while it is held it is shown to nobody, read for the matter, and goes with the
    release; a receipt for each class says who asked.
    """
    yard.upstream.then(Text("Whortleberry."))
    session = yard.start("Say something")["session"]
    hold = yard.bailee.json("hold", "place", "--cloud-session", session, "--reason", "matter 7")
    assert session == hold["cloud_session"]
    done = yard.bailee.run("cloud", "delete", session)
    assert "destroyed when it is held no longer" in done.stdout
    assert [] == yard.bailee.json("cloud", "logs", session)
    read = yard.bailee.run("hold", "read", hold["hold"], "--reason", "asked for by the court")
    assert "Whortleberry" in read.stdout
    driven = yard.bailee.json("hold", "release", hold["hold"])["driven"]
    assert {"key_destroyed"} == {one["state"] for one in driven}
    found = [r for r in yard.bailee.json("receipts", "list") if r.get("subject") == session]
    assert "cloud_output" in {one["data_class"] for one in found}
    assert {"operator"} == {one["by"] for one in found}


def test_without_a_server_what_is_kept_is_shown_and_nothing_is_started(tmp_path: Path) -> None:
    """Starting says what to do; a runner without a server says it too."""
    bailee = Bailee(tmp_path)
    bailee.json("key", "create", "--plan", "pro")
    assert [] == bailee.json("cloud", "list")
    done = bailee.run("cloud", "start", "--repo", "https://github.com/a/b", "x")
    assert (8, True) == (done.returncode, "hint: start `bailee up`" in done.stderr)
    runner = bailee.run("cloud", "runner", env={"BAILEE_CLOUD_IMAGES": str(tmp_path)})
    assert (8, True) == (runner.returncode, "build one: bailee cloud image build" in runner.stderr)


OURS = """\
format = "bailee-own-policy/1"
on_recorder_failure = "refuse"

[[network]]
id = "own.no-pypi"
deny = ["pypi.org", "*.pypi.org"]
en = "Packages come from our mirror."
"""
NOTHING = """
[[network]]
id = "own.shut"
at_most = "none"
en = "Sessions have no network."

[[retain]]
id = "own.nothing"
when = { data_class = ["transcript", "cloud_output", "cloud_diff"], zero_retention = false }
then = "keep"
for = "P0D"
en = "Nothing is kept."
"""


@pytest.mark.row("C3", "C4", "P1", "R2")
def test_what_an_organisation_demands_of_its_sessions(yard: Yard, tmp_path: Path) -> None:
    """A host that its own document denies is refused by that clause, on record; more of the network
    than it has is refused at the start; and where it keeps nothing, a session is of zero retention.
    """
    bailee = yard.bailee
    made = bailee.json("organisation", "create", "Kept nowhere", "--plan", "team")
    key = bailee.json("key", "create", "--organisation", made["organisation"], "--name", "ci")
    by = ("--key", key["key"])
    (tmp_path / "own.toml").write_text(OURS)
    own = ("organisation", "policy")
    hold = (made["organisation"], str(tmp_path / "own.toml"), "--reason", "works council", "--yes")
    tried = bailee.run(*own, "diff", *hold[:2]).stdout
    bailee.json(*own, "set", *hold)
    git_server = yard.repository.split("/")[2]
    bailee.run(
        *("cloud", "git", "add", git_server, "--kind", "basic", "--user", yard.server.user),
        *("--secret-env", "WORD", "--account", made["account"]),
        env={"WORD": yard.server.password},
    )
    fetch = "import urllib.request as u; print(u.urlopen('http://a.pypi.org/').status)"
    yard.upstream.then(ToolUse("Bash", {"command": f'python3 -c "{fetch}"'}), Text("Not there."))
    first = yard.start("Look", *by)
    met = bailee.json("cloud", "logs", first["session"], "--egress", *by)
    (tmp_path / "own.toml").write_text(OURS + NOTHING)
    bailee.json(*own, "set", *hold)
    more = bailee.run(
        *("cloud", "start", "--repo", yard.repository, "x", *by),
        *("--network", "trusted"),
    )
    yard.upstream.then(Text("Nothing."))
    second = yard.start("Look", *by)

    assert "+ own.no-pypi (network): Packages come from our mirror." in tried
    assert '+ on_recorder_failure = "refuse"' in tried
    assert ("refused", "own.no-pypi") in {(one["outcome"], one["rule"]) for one in met}
    assert (False, "trusted") == (first["zero_retention"], first["network"])
    assert 3 == more.returncode
    assert "at none at the most" in more.stderr
    assert (True, "none") == (second["zero_retention"], second["network"])
    assert [] == bailee.json("cloud", "logs", second["session"], *by)


THEIRS = """
[[network]]
id = "network.registries"
heading = "cloud"
rows = ["C3"]
at_most = "trusted"
deny = ["*.pypi.org"]
en = "Cloud sessions reach package registries and source hosts."
zh = "云端会话可访问软件包仓库与源码托管站点。"

[dates]
"""
OPENED = 'cloud_opens = ["hosts", "networks"]'


@pytest.mark.row("C3", "P1")
def test_what_the_operators_document_leaves_cloud_sessions(yard: Yard, tmp_path: Path) -> None:
    """A host that it denies is refused by that clause, on record; more of the network than it has,
    and what lists and settings open that it closes, is refused with the clause or key that says so.
    """
    bailee, file = yard.bailee, tmp_path / "ours.toml"
    hold = ("policy", "activate", str(file), "--reason", "the board's decision", "--yes")
    theirs = ("\n[dates]\n", THEIRS)
    file.write_text(edited(theirs, (OPENED, 'cloud_opens = ["networks"]')))
    bailee.json(*hold)
    more = bailee.run("cloud", "start", "--repo", yard.repository, "x", "--network", "full")
    listed = bailee.run("cloud", "network", "allow", "a.pypi.org")
    fetch = "import urllib.request as u; print(u.urlopen('http://a.pypi.org/').status)"
    yard.upstream.then(ToolUse("Bash", {"command": f'python3 -c "{fetch}"'}), Text("Not there."))
    ran = yard.start("Look")
    met = bailee.json("cloud", "logs", ran["session"], "--egress")
    well = json.loads(bailee.run("doctor", "--service", "--json").stdout)

    file.write_text(edited(theirs, (OPENED, "cloud_opens = []")))
    bailee.json(*hold)
    closed = bailee.run("cloud", "start", "--repo", yard.repository, "x")
    told = json.loads(bailee.run("doctor", "--service", "--json").stdout)
    file.write_text(edited())
    bailee.json(*hold)
    yard.upstream.then(Text("Nothing."))
    again = yard.start("Look")

    assert (3, True) == (more.returncode, "in the clause network.registries" in more.stderr)
    assert (3, True) == (listed.returncode, "cloud_opens" in listed.stderr)
    assert ("trusted", "finished") == (ran["network"], ran["end"])
    assert ("refused", "network.registries") in {(one["outcome"], one["rule"]) for one in met}
    assert ["well"] == [one["health"] for one in well if one["check"] == "policy"]
    assert (2, True) == (closed.returncode, "https://" in closed.stderr)
    (finding,) = [one for one in told if one["check"] == "policy"]
    assert "doubt" == finding["health"]
    assert "cloud.git_networks goes further than the document (cloud_opens)" in finding["found"]
    assert "finished" == again["end"]
