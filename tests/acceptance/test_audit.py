"""The audit record's log on a running server: followed, proved, copied and checked from outside."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bailee.ledger.signing import opened, trusting
from bailee.ledger.tlog import notes, proofs, tiles, tree
from bailee.ledger.tlog.tiles import Tile, Tiles
from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import Bailee, message
from support.logs import golang

pytestmark = pytest.mark.row("P4")
SCRIPT = Path(__file__).parents[2] / "docs" / "guides" / "verify_proof.py"


@pytest.fixture(scope="module")
def bailee(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bailee]:
    """A server on which something was said and deleted, under the server and without one."""
    made = Bailee(tmp_path_factory.mktemp("log"))
    made.json("key", "create", "--plan", "pro", "--name", "before the server")
    with ScriptedUpstream(tools_only=False) as upstream:
        made.up("--upstream", upstream.url)
        message(made.ready, "pears")
        (session,) = made.json("sessions", "list")
        made.json("sessions", "delete", session["id"])
        yield made
        assert 0 == made.stop()
        made.close()


def get(bailee: Bailee, path: str) -> tuple[int, bytes, dict[str, str]]:
    """A file of the log, as anyone asks for it."""
    place = urlsplit(bailee.ready["console_api"])
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    connection.request("GET", f"/ledger/{path}")
    answer = connection.getresponse()
    read = answer.read()
    connection.close()
    return answer.status, read, {name.lower(): value for name, value in answer.headers.items()}


def test_a_client_of_the_format_follows_it_over_http(bailee: Bailee) -> None:
    """From one checkpoint to the next: every entry verified, nothing taken back; tiles may be kept
    for ever, the checkpoint may not, and there is no list.
    """

    def fetch(wanted: Sequence[Tile]) -> list[bytes]:
        answers = [get(bailee, one.path) for one in wanted]
        assert all("immutable" in headers["cache-control"] for _, _, headers in answers)
        return [content for _, content, _ in answers]

    followed = []
    for _ in range(2):
        signed = bailee.json("audit", "checkpoint")
        status, note, headers = get(bailee, "checkpoint")
        assert (200, "no-store") == (status, headers["cache-control"])
        assert "text/plain" in headers["content-type"]
        found = opened(note, trusting([notes.key(signed["key"])]))
        log = Tiles(found.size, found.root_hash, fetch)
        entries = [e for n in range(-(-found.size // 256)) for e in log.entries(n)]
        assert found.size == len(entries) == len(bailee.json("audit", "list", "--limit", "9999"))
        followed.append((found, log))
        bailee.json("key", "create", "--plan", "pro", "--name", "more")
    (before, _), (after, log) = followed
    assert before.size < after.size
    proof = tree.consistency(before.size, after.size, log.hashes)
    tree.verify_consistency(before.size, after.size, proof, before.root_hash, after.root_hash)


@pytest.mark.parametrize(
    "path", ["", "tile", "tile/0", "tile/0/000", "tile/00/000.p/1", "../data/data.db",
             "being-written", "tile/0/000.p/1/../2", "tile/entries/999"],
)  # fmt: skip
def test_nothing_else_is_served(bailee: Bailee, path: str) -> None:
    """No folder, no other spelling, no other file."""
    assert 404 == get(bailee, path)[0]


def test_go_accepts_a_copy_of_it(bailee: Bailee, tmp_path: Path) -> None:
    """Go's own code reads checkpoint, tiles and entries, and refuses them once one is changed."""
    (tmp_path / "go").mkdir()
    program = golang.build(tmp_path / "go")
    signed = bailee.json("audit", "checkpoint")
    keys = [signed["key"], signed["key_ml_dsa_44"]]
    copy = Path(shutil.copytree(bailee.home / "ledger", tmp_path / "log"))
    accepted, (about, *_) = golang.verify(program, copy, keys)
    assert (True, str(signed["size"])) == (accepted, about[0])
    tile = copy / tiles.Tile(0, 0, signed["size"] % 256).path
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])
    assert not golang.verify(program, copy, keys)[0]


@pytest.mark.row("R5", "R6")
def test_a_receipt_is_proved_to_somebody_who_has_nothing_of_bailee(
    bailee: Bailee, tmp_path: Path
) -> None:
    """The docs' script takes the one file by the public key alone, and no other."""
    receipt = bailee.json("retention", "receipts")[-1]
    proof = tmp_path / "receipt.tlog-proof"
    done = bailee.run("audit", "prove", receipt["receipt"], "-o", str(proof))
    assert (0, "") == (done.returncode, done.stdout)

    def shown() -> subprocess.CompletedProcess[str]:
        files = [str(tmp_path / name) for name in ("trust", "receipt.tlog-proof")]
        return subprocess.run(
            [sys.executable, "-I", SCRIPT, *files], check=False, capture_output=True, text=True
        )

    signed = bailee.json("audit", "checkpoint")
    for key in ("key", "key_ml_dsa_44"):
        (tmp_path / "trust").write_text(f"log {signed[key]}\nquorum none\n")
        by_script = shown()
        assert (0, "") == (by_script.returncode, by_script.stderr)
    entry = json.loads(by_script.stdout.splitlines()[1])
    assert f"erasure.{receipt['state']}" == entry["kind"]
    assert receipt["receipt"] == entry["body"]["receipt"]
    read = proofs.read(proof.read_bytes())
    changed = (read.extra or b"").replace(b"erasure", b"expiry_")
    proof.write_bytes(replace(read, extra=changed).data)
    assert 1 == shown().returncode
    again = bailee.run("audit", "prove", receipt["receipt"], "-o", str(proof))
    assert (2, True) == (again.returncode, "name a file that is not there" in again.stderr)


def test_a_copy_is_checked_with_the_public_key_alone(bailee: Bailee, tmp_path: Path) -> None:
    """A copied home, or its log alone, on a machine without one; what is changed is named."""
    signed: dict[str, Any] = bailee.json("audit", "checkpoint")
    shutil.copytree(bailee.home / "ledger", tmp_path / "copy" / "ledger")
    shutil.copytree(bailee.home / "data", tmp_path / "copy" / "data")
    (tmp_path / "since").write_text(signed["note"])
    elsewhere = Bailee(tmp_path)
    asked = ("audit", "verify", "--key", signed["key"], "--since", str(tmp_path / "since"))

    whole = elsewhere.json(*asked, "--from", str(tmp_path / "copy"))
    files = elsewhere.json(*asked, "--from", str(tmp_path / "copy" / "ledger"))
    served = elsewhere.json(*asked, "--from", f"{bailee.ready['console_api']}/ledger")
    assert ([], []) == (whole["damaged"], files["damaged"])
    assert ([], True) == (served["damaged"], served["size"] >= signed["size"])
    assert (signed["size"], 0) == (files["size"], files["entries"])
    assert whole["entries"] == signed["size"]

    bundles = (tmp_path / "copy" / "ledger" / "tile" / "entries").glob("000.p/*")
    bundle = max(bundles, key=lambda path: int(path.name))
    content = bundle.read_bytes()
    bundle.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused = elsewhere.run(*asked, "--from", str(tmp_path / "copy"))
    assert 5 == refused.returncode
    assert refused.stdout.startswith(f"{bundle.relative_to(tmp_path / 'copy' / 'ledger')}: entry")

    nobodys = elsewhere.run("audit", "verify", "--from", str(tmp_path / "copy"))
    assert (2, True) == (nobodys.returncode, "give it with --key" in nobodys.stderr)


def test_after_a_kill_the_next_start_signs_what_was_left(bailee: Bailee) -> None:
    """What the server had appended and not signed when it was killed is signed without being asked,
    and what was signed before is its beginning.
    """
    before = bailee.json("audit", "checkpoint")
    since = bailee.home.parent / "since"
    since.write_text(before["note"])
    bailee.json("key", "create", "--plan", "pro", "--name", "late")
    bailee.end(9)
    bailee.up()
    found = bailee.json("audit", "checkpoint")
    checked = bailee.json("audit", "verify", "--since", str(since))
    assert before["size"] < found["size"]
    assert ([], 0) == (checked["damaged"], checked["waiting"])
    since.write_text("what was kept is no checkpoint")
    refused = bailee.run("audit", "verify", "--since", str(since))
    assert 2 == refused.returncode and "no note" in refused.stderr
