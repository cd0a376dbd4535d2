"""What a home does is in its log: each act is an entry, and each entry a leaf."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bailee.errors import IntegrityError
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.payload import commitment
from bailee.ledger.signing import trusting
from bailee.ledger.tlog import notes, proofs
from support.clients.asking import perform
from support.homes.places import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def ask(place: Place, operation: str, **values: object) -> Any:
    """As the operator at the machine."""
    return perform(place.node, operation, values)


def said(place: Place, session: str, text: str) -> str:
    """Something is said on the account; the session's id."""
    before = set(place.sessions())
    place.end(place.begin(session, text=text))
    (made,) = set(place.sessions()) - before
    return made


def chooses(place: Place) -> None:
    """Somebody chooses."""
    place.choose("allowed")


def deletes(place: Place) -> None:
    """A session is deleted; older copies of its key open nothing after a rotation."""
    ask(place, "sessions.delete", id=said(place, "a", "pears"))
    ask(place, "keyring.rotate")


def expires(place: Place) -> None:
    """A session's time comes."""
    said(place, "b", "plums")
    place.clock.advance(timedelta(days=40))
    ask(place, "retention.run")


def holds(place: Place) -> None:
    """A session is held, read for the matter, and released."""
    session = said(place, "c", "quinces")
    hold = ask(place, "hold.place", session=session, reason="matter 7")["hold"]
    list(ask(place, "hold.read", id=hold, reason="matter 7"))
    ask(place, "hold.release", id=hold)


def staff_reads(place: Place) -> None:
    """Somebody of the staff reads a session."""
    made = ask(place, "person.create", email="s@x.example", plan="pro", operator=True)
    cookie = place.node.registry.web_sessions.begin(made["person"], client="test")
    shown = perform(
        place.node, "sessions.show",
        {"id": said(place, "d", "medlars"), "reason": "a complaint", "cookie": cookie},
    )  # fmt: skip
    assert shown


def leaves(place: Place) -> None:
    """A person takes their data along, and is erased."""
    made = ask(place, "person.create", email="m@x.example", plan="pro")
    list(ask(place, "person.export", id=made["person"]))
    ask(place, "person.erase", id=made["person"])


ACTS: dict[Callable[[Place], None], set[str]] = {
    chooses: {"consent.recorded", "policy.activated"},
    deletes: {
        *(f"erasure.{step}" for step in ("requested", "inaccessible", "key_destroyed")),
        *("erasure.backups_unrecoverable", "keyring.rotated", "session.deletion_asked"),
    },
    expires: {"expiry.requested", "expiry.inaccessible", "expiry.key_destroyed"},
    holds: {"hold.requested", "hold.placed", "hold.read", "hold.releasing", "hold.released"},
    staff_reads: {"access.read"},
    leaves: {"person.exported", "person.erasure_requested", "person.erasure_done"},
}
"""What a cloud session enters is in cloud_sessions/test_lifecycle.py."""


@pytest.mark.row("P4", "R5", "R6")
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_what_is_done_is_a_leaf(place: Place, act: Callable[[Place], None]) -> None:
    """Each of its entries is a leaf of the log, and can be proved."""
    act(place)
    signed = ask(place, "audit.checkpoint")
    found = {entry["kind"]: entry for entry in ask(place, "audit.list")}

    assert ACTS[act] <= set(found)
    assert all(entry["leaf"] is not None for entry in found.values())
    key = notes.key(signed["key"])
    for kind in ACTS[act]:
        made = ask(place, "audit.proof", id=str(found[kind]["number"]))
        assert kind == json.loads(made["payload"])["kind"]
        proof = proofs.read(made["proof"].encode())
        payload = made["payload"].encode()
        assert (proof.extra or b"").endswith(payload)
        entry = commitment((proof.extra or b"").removesuffix(payload), payload)
        assert signed["size"] == proof.verify(entry, trusting([key])).checkpoint.size
    checked = ask(place, "audit.verify")
    assert ([], signed["size"]) == (checked["damaged"], checked["entries"])


@pytest.mark.row("P4", "R6")
def test_after_an_erasure_the_log_is_as_valid_and_names_nobody(place: Place) -> None:
    """What was said of a person can't be read, its leaf is proved, and no file names them."""
    session = said(place, "e", "sloes")
    made = ask(place, "person.create", email="mia@x.example", plan="pro")
    body = {"reason": "mia@x.example asked", "by": "operator"}
    place.node.ledger.append("access.read", session, body, whose=made["person"])
    before = ask(place, "audit.checkpoint")
    (entry,) = ask(place, "audit.list", kind="access.read")
    ask(place, "person.erase", id=made["person"])

    checked = ask(place, "audit.verify", since=before["note"])
    assert ([], 1) == (checked["damaged"], checked["erased"])
    assert "mia@" not in ask(place, "audit.proof", id=str(entry["number"]))["payload"]
    files = place.node.sequencer.folder
    assert not any(b"mia@" in (files.read(name) or b"") for name in files.names())


@pytest.mark.row("P4")
def test_what_is_already_there_becomes_the_first_leaves(place: Place) -> None:
    """A home from before there was a log has one after its next end; and so has one whose ledger/
    is gone, the same one.
    """
    said(place, "f", "pears")
    place.node.sequencer.run()
    files = place.node.sequencer.folder
    before = {name: files.read(name) for name in files.names()}
    place.close()
    for name in before:
        (files.path / name).unlink()
    place.open()
    place.node.sequencer.run()

    signed = ask(place, "audit.checkpoint")
    assert signed["size"] == len(ask(place, "audit.list"))
    again = ask(place, "audit.verify", since=(before[CHECKPOINT] or b"").decode())
    assert [] == again["damaged"]


def test_entries_wait_for_nothing_when_the_log_is_damaged(place: Place) -> None:
    """What is appended is on record all the same; asked for a checkpoint, the home says why."""
    ask(place, "audit.checkpoint")
    files = place.node.sequencer.folder
    (files.path / CHECKPOINT).write_bytes(b"changed")
    place.close()
    place.open()
    place.choose("refused")

    with pytest.raises(IntegrityError):
        ask(place, "audit.checkpoint")
    assert ask(place, "audit.list", kind="consent.recorded")
    (damaged,) = ask(place, "audit.verify")["damaged"]
    assert CHECKPOINT == damaged["where"]
