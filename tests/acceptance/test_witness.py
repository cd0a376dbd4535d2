"""`bailee witness` over HTTP, asked by a log that is somebody else's, and by a home."""

from __future__ import annotations

import json
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.ledger.signing import opened
from bailee.ledger.tlog import notes, trust, witnessing
from bailee.ledger.tlog.notes import Kind, Note, Signer
from bailee.ledger.tlog.witnessing import MOST_BYTES, Behind, monitored
from support.clients import processes
from support.clients.programs import Bailee, clean_environment
from support.clients.witnesses import WitnessProcess
from support.logs.branches import FORK, LEAVES, LOG, OTHER, request

pytestmark = pytest.mark.row("P4")
SCRIPT = Path(__file__).parents[2] / "docs" / "guides" / "verify_proof.py"
LOG_PQ = Signer(LOG.name, Kind.ML_DSA_44, bytes([3]) * 32)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[WitnessProcess]:
    """A witness that knows one log, by two keys."""
    made = WitnessProcess(tmp_path / "witness")
    made.know(LOG.key.text, LOG_PQ.key.text)
    made.up()
    yield made
    made.close()


def test_it_cosigns_what_grows_and_tells_monitors(witness: WitnessProcess) -> None:
    """From nothing, by steps, in both kinds, whichever key the log signed with; whoever asks for
    what was cosigned last has the log's and the witness's signatures.
    """
    for old, new, by in ((0, 5, LOG), (5, 5, LOG), (5, 20, LOG_PQ)):
        asked = request(old, new, signer=by)
        cosigned = witnessing.answered(asked, witness.add(asked.body), witness.keys)
        assert isinstance(cosigned, tuple)
        note = Note(asked.note.text, (*asked.note.signatures, *cosigned))
        assert {by.key, *witness.keys} == set(note.verified([by.key, *witness.keys]))
        seen = witness.ask("GET", f"/{monitored(LOG.name)}")
        assert (200, note) == (seen.status, notes.read(seen.body))
        assert "text/plain; charset=utf-8" == seen.content_type
    assert {Kind.COSIGNATURE, Kind.ML_DSA_44} == {key.kind for key in witness.keys}


def test_a_fork_and_a_rollback_are_refused(witness: WitnessProcess) -> None:
    """Whoever shows another history, or less of it, gets no signature; the log itself goes on."""
    assert 200 == witness.add(request(0, 15).body).status
    assert 422 == witness.add(request(15, 19, leaves=FORK).body).status
    assert 409 == witness.add(request(15, 15, leaves=FORK).body).status
    rolled_back = request(5, 9)
    behind = witness.add(rolled_back.body)
    assert (409, "text/x.tlog.size", b"15\n") == (behind.status, behind.content_type, behind.body)
    assert Behind(15) == witnessing.answered(rolled_back, behind, witness.keys)
    assert 200 == witness.add(request(15, 20).body).status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"old 5\n\nno note\n", 400),
        (request(9, 5).body, 400),
        (request(0, 5, signer=OTHER).body, 403),
        (request(0, 5).body.replace(LOG.name.encode(), b"log.example/three"), 404),
        (b"x" * (MOST_BYTES + 1), 413),
    ],
    ids=["nothing", "no note", "smaller than before", "not its key", "unknown", "too large"],
)
def test_each_refusal_has_its_status(witness: WitnessProcess, body: bytes, status: int) -> None:
    """Those of tlog-witness, and nothing is kept of what was refused."""
    assert status == witness.add(body).status
    assert 404 == witness.ask("GET", f"/{monitored(LOG.name)}").status


@pytest.mark.parametrize(
    "path", ["/", "/checkpoint", "/../checkpoint", "/witness.keys", "/known-logs",
             f"/{'0' * 64}/checkpoint", f"/{'A' * 64}/checkpoint", "/%2e%2e/checkpoint"],
)  # fmt: skip
def test_nothing_else_of_its_folder_is_served(witness: WitnessProcess, path: str) -> None:
    """No key, no list of logs, no other file."""
    assert 404 == witness.ask("GET", path).status


def test_after_a_kill_it_knows_what_it_cosigned(witness: WitnessProcess) -> None:
    """It has the same keys and the same memory, and its folder is its owner's alone."""
    assert 200 == witness.add(request(0, 15).body).status
    keys = witness.keys
    witness.end(signal.SIGKILL)
    witness.up()
    assert keys == witness.keys
    assert 409 == witness.add(request(0, 12, leaves=FORK).body).status
    assert 422 == witness.add(request(15, 19, leaves=FORK).body).status
    assert 200 == witness.add(request(15, 19).body).status
    modes = [stat.S_IMODE(path.stat().st_mode) for path in witness.folder.rglob("*")]
    assert {0o600, 0o700} >= {mode for mode in modes if mode != 0o644}  # known-logs, made by us
    assert (0, "") == witness.end()


def test_what_was_changed_in_its_folder_is_not_built_upon(witness: WitnessProcess) -> None:
    """Somebody else's checkpoint in the place of what it cosigned: it cosigns nothing."""
    witness.add(request(0, 15).body)
    kept = witness.folder / monitored(LOG.name)
    for data in (
        request(0, 5, leaves=LEAVES[1:]).note.data,
        kept.read_bytes()[:-9] + b"AAAAAAA=\n",
    ):
        kept.write_bytes(data)
        for asked in (request(5, 9), request(15, 19)):
            assert 500 == witness.add(asked.body).status


def test_one_process_works_in_a_folder_under_one_name(witness: WitnessProcess) -> None:
    """A second one is refused, as is another name, or none in a new folder."""
    environment = clean_environment(witness.folder)

    def refused(*arguments: str) -> str:
        done = processes.run("witness", *arguments, "--listen", "127.0.0.1:0", env=environment)
        assert (2, "") == (done.returncode, done.stdout)
        return done.stderr

    assert "works in" in refused(str(witness.folder))
    assert "--name" in refused(str(witness.folder / "new"))
    witness.end()
    assert "another name" in refused(str(witness.folder), "--name", "w.example/two")


def ledger(bailee: Bailee, path: str) -> bytes:
    """A file of a home's log, as anybody fetches it."""
    with urllib.request.urlopen(f"{bailee.ready['console_api']}/ledger/{path}") as answer:
        content: bytes = answer.read()
    return content


def test_a_home_is_cosigned_and_proves_it_to_who_asks_for_witnesses(tmp_path: Path) -> None:
    """Its server has two witnesses cosign what it publishes. A copy and a proof hold by a policy
    that asks for both, with bailee and with the docs' script; and an older copy of all of the home,
    which is good by itself, is found out.
    """
    bailee = Bailee(tmp_path)
    bailee.json("key", "create", "--plan", "pro", "--name", "first")
    signed = bailee.json("audit", "checkpoint")
    keys = f"log {signed['key']}\nlog {signed['key_ml_dsa_44']}\n"
    shutil.copytree(bailee.home, tmp_path / "older")
    asked = ""
    witnesses = [WitnessProcess(tmp_path / name, f"{name}.example") for name in ("east", "west")]
    policy = tmp_path / "policy"
    env = {"BAILEE_LEDGER_WITNESSES": str(policy)}
    try:
        for witness in witnesses:
            witness.know(signed["key"], signed["key_ml_dsa_44"])
            witness.up()
            name = witness.folder.name
            ed25519, ml_dsa = witness.keys
            asked += f"witness {name} {ed25519.text} {witness.url}\n"
            asked += f"witness {name}-pq {ml_dsa.text} {witness.url}\n"
        asked += "group both all east west-pq\nquorum both\n"
        policy.write_text(asked)
        bailee.up(env=env)
        trusted = trust.read(f"{keys}{asked}".encode())
        deadline = time.monotonic() + 60
        while True:  # nobody asks for it
            try:
                seen = opened(ledger(bailee, "checkpoint.witnessed"), trusted)
                break
            except urllib.error.HTTPError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert seen.size >= signed["size"]

        bailee.json("key", "create", "--plan", "pro", "--name", "second")
        found = bailee.json("audit", "witness")
        assert (4, True) == (len(found["witnesses"]), found["quorum"])
        assert found["size"] == opened(ledger(bailee, "checkpoint"), trusted).size
        newest = bailee.json("audit", "list", "--limit", "1")[0]["number"]
        proof = tmp_path / "e.tlog-proof"
        assert 0 == bailee.run("audit", "prove", str(newest), "-o", str(proof)).returncode
        (tmp_path / "trust").write_text(f"{keys}{asked}")
        words = [str(tmp_path / name) for name in ("trust", "e.tlog-proof")]
        shown = subprocess.run([sys.executable, "-I", SCRIPT, *words], check=False)
        assert 0 == shown.returncode
        bailee.stop()

        shutil.copytree(bailee.home / "ledger", tmp_path / "copy")
        check = ("audit", "verify", "--from", str(tmp_path / "copy"), "--json")
        by_policy = bailee.run(*check, "--policy", str(tmp_path / "trust"))
        assert (0, []) == (by_policy.returncode, json.loads(by_policy.stdout)["damaged"])
        (tmp_path / "copy" / "checkpoint.witnessed").unlink()
        (tmp_path / "copy" / "checkpoint").write_text(signed["note"])
        refused = bailee.run(*check, "--policy", str(tmp_path / "trust"))
        assert 5 == refused.returncode

        shutil.rmtree(bailee.home)
        shutil.copytree(tmp_path / "older", bailee.home)
        told = bailee.run("audit", "witness", env=env)
        assert (0, 4) == (told.returncode, told.stdout.count("an older copy of this home"))
        assert "Not enough witnesses" in told.stdout
    finally:
        for witness in witnesses:
            witness.close()
        bailee.close()
