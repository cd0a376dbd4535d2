"""Receipts as people have them: at the terminal, over HTTP, on a page, and once they are gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.browsers.browsing import Visitor
from support.clients.programs import SIGN_UP, Bailee, message

pytestmark = pytest.mark.row("P4", "R5", "R6")
SCRIPT = Path(__file__).parents[2] / "docs" / "guides" / "verify_proof.py"
PASSWORD = "seven pear trees in a row"


@dataclass(frozen=True)
class Stage:
    """A server; Ada and Bob, each with a deleted session, and Ada's browser."""

    bailee: Bailee
    ada: Visitor
    keys: dict[str, str]

    def as_(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of somebody's on a machine that has no home."""
        place = ("--server", self.bailee.ready["console_api"])
        return self.bailee.run(*arguments, *place, env={"BAILEE_API_KEY": self.keys[name]})


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """See `Stage`."""
    bailee = Bailee(tmp_path_factory.mktemp("receipts"))
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url, env=SIGN_UP)
        try:
            ada = Visitor(bailee.ready["console"])
            form = {"email": "ada@x.example", "password": PASSWORD, "plan": "pro"}
            ada.submit("/sign-up", "/sign-up", form | {"choice": "refused"})
            keys = {
                "ada": bailee.json("key", "create", "--person", "ada@x.example")["key"],
                "bob": bailee.json("person", "create", "--email", "b@x.example", "--plan", "pro")[
                    "key"
                ],
            }
            for key in keys.values():
                message(bailee.ready, "pears", key=key)
                (session,) = bailee.sessions()
                bailee.json("sessions", "delete", session["id"])
            yield Stage(bailee, ada, keys)
        finally:
            bailee.close()


def shown_by_the_script(folder: Path, bailee: Bailee, proof: bytes) -> str:
    """What an auditor's script says of a proof, by the log's public key alone."""
    key = bailee.json("audit", "checkpoint")["key"]
    (folder / "trust").write_text(f"log {key}\nquorum none\n")
    (folder / "proof").write_bytes(proof)
    done = subprocess.run(
        [sys.executable, "-I", SCRIPT, folder / "trust", folder / "proof"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def test_a_person_has_their_own_at_the_terminal(stage: Stage, tmp_path: Path) -> None:
    """Listed, shown and proved in one file; each step is a leaf; another's is not there."""
    (mine,) = json.loads(stage.as_("ada", "receipts", "list", "--json").stdout)
    shown = json.loads(stage.as_("ada", "receipts", "show", mine["receipt"], "--json").stdout)
    said = shown["signed"]["receipt"]
    assert ["requested", "inaccessible", "key_destroyed"] == [one["state"] for one in said["steps"]]
    leaves = [one["leaf"] for one in said["steps"]]
    assert sorted(leaves) == leaves and len(set(leaves)) == 3
    entries = {one["leaf"]: one for one in stage.bailee.json("audit", "list", "--limit", "999")}
    assert {mine["subject"]} == {entries[leaf]["subject"] for leaf in leaves}

    file = tmp_path / "receipt.tlog-proof"
    assert 0 == stage.as_("ada", "receipts", "proof", mine["receipt"], "-o", str(file)).returncode
    by_script = shown_by_the_script(tmp_path, stage.bailee, file.read_bytes())
    entry = json.loads(by_script.splitlines()[1])
    assert ("erasure.key_destroyed", mine["subject"]) == (entry["kind"], entry["subject"])
    assert {*mine["states"]} - {"key_destroyed"} <= {*entry["body"]}
    begun = ("receipts", "proof", mine["receipt"], "--step", "requested")
    assert "erasure.requested" in stage.as_("ada", *begun).stderr
    for command in ("show", "proof"):
        refused = stage.as_("bob", "receipts", command, mine["receipt"])
        assert (2, "") == (refused.returncode, refused.stdout)


def test_what_is_listed_verifies(stage: Stage, tmp_path: Path) -> None:
    """The list as JSON is what `receipts verify` takes, from standard input too; one of them
    changed spoils it.
    """
    listed = stage.bailee.run("receipts", "list", "--json").stdout
    good = stage.bailee.run("receipts", "verify", "-", "--json", given=listed)
    found = json.loads(good.stdout)
    assert (True, len(json.loads(listed))) == (found["key_known"], len(found["receipts"]))
    file = tmp_path / "receipts.json"
    file.write_text(listed.replace('"key_destroyed"', '"reclaimed"', 1))
    assert 5 == stage.bailee.run("receipts", "verify", str(file)).returncode


def test_a_page_says_what_it_shows_and_gives_the_file(stage: Stage, tmp_path: Path) -> None:
    """From one's privacy page, in both languages; the file on it is the proof."""
    (mine,) = json.loads(stage.as_("ada", "receipts", "list", "--json").stdout)
    assert f"/receipts/{mine['reference']}" in stage.ada.get("/settings/privacy").text
    page = stage.ada.get(f"/receipts/{mine['reference']}")
    assert "What this does not show" in page.text and "key destroyed" in page.text
    chinese = stage.ada.get(f"/receipts/{mine['reference']}?lang=zh")
    assert "它不能证明什么" in chinese.text and "密钥已销毁" in chinese.text
    proof = stage.ada.get(f"/receipts/{mine['reference']}/receipt.tlog-proof")
    assert mine["subject"] in shown_by_the_script(tmp_path, stage.bailee, proof.text.encode())
    assert 404 == stage.ada.get(f"/receipts/{mine['receipt']}").status
    wrong = mine["reference"][:-1] + ("0" if mine["reference"][-1] != "0" else "1")
    assert 404 == stage.ada.get(f"/receipts/{wrong}").status


def test_who_was_erased_sees_their_receipt_by_its_reference(stage: Stage, tmp_path: Path) -> None:
    """Without an account; it says how far each thing has come since, and names nobody."""
    message(stage.bailee.ready, "quinces", key=stage.keys["ada"])
    assert stage.bailee.sessions()  # what is not filed yet has no receipt of its own
    erased = stage.ada.submit(
        "/settings/erase", "/settings/erase", {"confirmation": "ada@x.example"}
    )
    address = erased.text.partition('href="/receipts/')[2].partition('"')[0]
    nobody = Visitor(stage.bailee.ready["console"])
    page = nobody.get(f"/receipts/{address}")
    assert 200 == page.status and "ada@x.example" not in page.text
    stage.bailee.json("keyring", "rotate")
    parts = stage.bailee.json("receipts", "show", address)["parts"]
    reached = {part["state"] for part in parts}  # a sweep may have come as far as the bytes since
    assert parts and reached <= {"backups_unrecoverable", "reclaimed"}
    words = {"backups_unrecoverable": "backups unreadable", "reclaimed": "bytes removed"}
    page = nobody.get(f"/receipts/{address}")
    assert any(words[state] in page.text for state in ("reclaimed", *reached))
    proof = nobody.get(f"/receipts/{address}/receipt.tlog-proof").text.encode()
    assert "person.erasure_done" in shown_by_the_script(tmp_path, stage.bailee, proof)
    file = tmp_path / "receipt.json"
    file.write_text(nobody.get(f"/receipts/{address}/receipt.json").text)
    assert 0 == stage.bailee.run("receipts", "verify", str(file)).returncode
    said = stage.bailee.json("receipts", "show", address)["signed"]["receipt"]
    assert said["requested_by"] == said["subject"]
