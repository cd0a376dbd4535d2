"""What may stand in an entry, and what of it is somebody's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import BaileeError
from bailee.ledger.particulars import KINDS, SEALED_KINDS, Form, divide, sealed_names
from support.sources import parsed

SOURCE = Path(__file__).parents[3] / "src" / "bailee"
MARKED = {
    "access.read", "cloud.git", "cloud_network.added", "cloud_network.removed",
    "git_connection.added", "git_connection.removed", "report.changed",
}  # fmt: skip


# What a file has that is worth taking apart: to parse all of them takes seconds.
WORTH = re.compile(r"\.(?:append|_record|record)\([\s(]*[\"']")


def appended() -> Iterator[tuple[str, str]]:
    """Every kind that is written out where something is appended, with its place."""
    for path in SOURCE.rglob("*.py"):
        if not WORTH.search(path.read_text()):
            continue
        for node in ast.walk(parsed(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in ("append", "_record", "record"):
                continue
            first = node.args[0] if len(node.args) > 1 else None
            if isinstance(first, ast.Constant) and "." in str(first.value):
                yield str(first.value), f"{path.relative_to(SOURCE)}:{node.lineno}"


@pytest.mark.row("P4")
def test_every_kind_that_is_appended_is_declared() -> None:
    """A new kind of entry fails here until somebody decides what of it is whose."""
    found = dict(appended())
    assert {"access.read", "vault.quarantined", "key.revoked"} <= found.keys()
    assert {} == {kind: place for kind, place in found.items() if kind not in KINDS}


@pytest.mark.row("P4", "R6")
def test_what_is_somebodys_does_not_stand_in_the_open() -> None:
    """It is given apart, and stands as null in its place; the rest stays as it is."""
    body = {"kind": "github-token", "place": "github.com/ada", "by": "per_1"}
    plain, hidden = divide("git_connection.added", "gitc_1", body)
    assert {"kind": "github-token", "place": None, "by": "per_1"} == plain
    assert {"place": "github.com/ada"} == hidden


@pytest.mark.row("P4")
@pytest.mark.parametrize(
    ("kind", "subject", "body"),
    [
        ("key.renamed", "key_1", {}),
        ("key.revoked", "key_1", {"name": "laptop"}),
        ("key.revoked", "key_1", {"by": "ada@example.org"}),
        ("key.revoked", "key_1", {"by": "Ada Lovelace"}),
        ("key.revoked", "ada@example.org", {"by": "per_1"}),
        ("retention.moved", "acc_1", {"seen": "three"}),
        ("policy.activated", "0f", {"version": "by ada@example.org"}),
        ("access.read", "s", {"reason": ["a"]}),
        ("access.read", "s", {"reason": "x" * 301}),
    ],
)
def test_what_is_not_declared_is_refused(kind: str, subject: str, body: dict[str, object]) -> None:
    """A kind, a particular, a person's address as an id, a word or a subject; and the refusal
    repeats none of it.
    """
    with pytest.raises(BaileeError) as refused:
        divide(kind, subject, body)  # type: ignore[arg-type]
    assert "internal" == refused.value.code
    assert "ada" not in refused.value.message.lower()


@given(st.sampled_from(sorted(KINDS)), st.emails())
def test_no_address_of_a_person_stands_in_the_open(kind: str, email: str) -> None:
    """Whatever particular it is put into: refused or sealed, but for the operator's settings."""
    for name, form in KINDS[kind].items():
        if form is Form.SETTING:
            continue
        try:
            plain, _ = divide(kind, "acc_1", {name: email})
        except BaileeError:
            continue
        assert email not in plain.values()


def test_the_migration_marks_the_kinds_that_had_something() -> None:
    """It names those that were there then; what is declared since was sealed from the start."""
    assert set(SEALED_KINDS) >= MARKED
    assert all(sealed_names(kind) for kind in MARKED)
    written = (SOURCE / "db/migrations/data/versions/0035_sealed_particulars.py").read_text()
    assert {kind for kind in KINDS if f'"{kind}",' in written} == MARKED
