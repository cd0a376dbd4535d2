"""An auditor's visit as the guide has it, with Python and `cryptography` alone on their machine."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailee.testing.upstream import ScriptedUpstream
from support.clients.programs import Bailee, message

pytestmark = pytest.mark.row("P4", "R5", "R6")
GUIDES = Path(__file__).parents[2] / "docs" / "guides"
EMAIL = "ada@x.example"
NEEDED = ("cryptography", "cffi", "_cffi_backend", "pycparser")


def clean_machine(folder: Path) -> None:
    """A Python with `cryptography` and what that needs, and nothing else: of what is installed
    here, linked, since a test fetches nothing.
    """
    venv.create(folder / "clean", with_pip=False)
    (packages,) = (folder / "clean" / "lib").glob("python3*/site-packages")
    for name in NEEDED:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            path = Path(found.origin)
            path = path.parent if path.name == "__init__.py" else path
            (packages / path.name).symlink_to(path)


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The auditor's folder: what the operator handed out, and the script."""
    bailee = Bailee(tmp_path_factory.mktemp("operator"))
    handed = tmp_path_factory.mktemp("auditor")
    backup = tmp_path_factory.mktemp("backup") / "home"
    ada = bailee.json("person", "create", "--email", EMAIL, "--plan", "pro")
    with ScriptedUpstream(tools_only=False) as upstream:
        bailee.up("--upstream", upstream.url)
        message(bailee.ready, "pears", key=ada["key"])
        assert (
            0 == bailee.run("audit", "checkpoint", "-o", str(handed / "kept.checkpoint")).returncode
        )
        shutil.copytree(bailee.home, backup, ignore=shutil.ignore_patterns("run"))
        erased = bailee.json("person", "erase", EMAIL, "--yes")
        proof = ("receipts", "proof", erased["erasure"], "-o", str(handed / "receipt.tlog-proof"))
        assert 0 == bailee.run(*proof).returncode
        (handed / "words").write_text(f"{EMAIL}\n")
        search = ("audit", "erasure", ada["person"], "--reason", "the auditor asks")
        words = ("--also", str(handed / "words"))
        clean = bailee.run(*search, *words, "-o", str(handed / "remains.note"))
        assert (0, "") == (clean.returncode, clean.stderr)
        backups = ("--backup", str(backup))
        left = bailee.run(*search, *words, *backups, "-o", str(handed / "backup.note"))
        assert (1, True) == (left.returncode, "key that opens" in left.stdout)
        shown = bailee.json("receipts", "show", erased["erasure"])
        (handed / "receipt.json").write_text(json.dumps(shown["signed"]))
        key = bailee.json("audit", "checkpoint")["key"]
        (handed / "trust.policy").write_text(f"log {key}\nquorum none\n")
        shutil.copytree(bailee.home / "ledger", handed / "ledger")
        checked = bailee.run("audit", "erasure", "--verify", str(handed / "remains.note"))
        assert (0, True) == (checked.returncode, "Nothing is left" in checked.stdout)
        bailee.close()
    shutil.copy(GUIDES / "verify_proof.py", handed)
    clean_machine(handed)
    yield handed


def run(visit: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A line of the guide, as the auditor's shell runs it."""
    return subprocess.run(
        ["sh", "-c", command], cwd=visit, check=False, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def test_the_machine_is_clean(visit: Path) -> None:
    """Nothing of bailee is there, nor of what it needs besides."""
    for name in ("bailee", "sqlalchemy", "orjson"):
        assert 1 == run(visit, f"clean/bin/python -c 'import {name}'").returncode
    assert 0 == run(visit, "clean/bin/python -c 'import cryptography'").returncode


def test_the_guide_from_start_to_end(visit: Path) -> None:
    """Each command of it, in order, says what the guide says that it says."""
    page = (GUIDES / "auditing.md").read_text()
    section = page.partition("## From start to end")[2].partition("\n## ")[0]
    first, *commands = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    assert "pip install cryptography" in first  # the machine is made so already
    answers = [run(visit, command) for command in commands]
    assert [(0, "")] * 4 == [(one.returncode, one.stderr) for one in answers]
    log, receipt, remains, digest = (one.stdout for one in answers)
    assert "all as signed; the first" in log
    entry = json.loads(receipt.splitlines()[1])
    assert ("person.erasure_done", digest.strip()) == (entry["kind"], entry["body"]["document"])
    found = json.loads(remains.splitlines()[3])
    assert (True, ["home"]) == (found["clean"], [one["kind"] for one in found["searched"]])
    assert entry["subject"] == found["subject"]
    assert EMAIL not in receipt + remains + (visit / "receipt.json").read_text()


@pytest.mark.parametrize(
    ("name", "was", "is_"),
    [
        ("remains.note", b'"clean":true', b'"clean":True'),
        ("receipt.tlog-proof", b"index ", b"index 1"),
        ("trust.policy", b"+", b"2+"),
        ("ledger/checkpoint", b"\n\n", b"\nmore\n\n"),
    ],
)
def test_what_was_changed_is_refused(visit: Path, name: str, was: bytes, is_: bytes) -> None:
    """By the same commands, which then say why."""
    good = (visit / name).read_bytes()
    (visit / name).write_bytes(good.replace(was, is_, 1))
    try:
        asked = "ledger" if name == "ledger/checkpoint" else name
        asked = "remains.note" if name == "trust.policy" else asked
        refused = run(visit, f"clean/bin/python verify_proof.py trust.policy {asked}")
        assert (1, "not shown: ") == (refused.returncode, refused.stderr[:11])
    finally:
        (visit / name).write_bytes(good)
