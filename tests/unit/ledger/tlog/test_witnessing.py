"""The witness protocol: a log that grows is cosigned, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailee.errors import IntegrityError
from bailee.ledger.tlog import notes, witnessing
from bailee.ledger.tlog.checkpoints import Checkpoint, read
from bailee.ledger.tlog.notes import Kind, Note, Signature, Signer
from bailee.ledger.tlog.witnessing import Behind, Decide, Request, WitnessAnswer
from support.logs.branches import AT, FORK, LEAVES, LOG, OTHER, request

WITNESS = [
    Signer("w.example", kind, bytes([2]) * 32) for kind in (Kind.COSIGNATURE, Kind.ML_DSA_44)
]
KEYS = [one.key for one in WITNESS]


class Kept(dict[str, Note]):
    """What a witness keeps, and its one step."""

    def advance(self, origin: str, decide: Decide) -> WitnessAnswer | Note:
        """See `witnessing.Advance`."""
        held = self.get(origin)
        decided = decide(read(held.text) if held else None)
        if isinstance(decided, Note):
            self[origin] = decided
        return decided

    def ask(self, body: bytes) -> WitnessAnswer:
        """What the witness answers."""
        return witnessing.answer(body, {LOG.name: [LOG.key]}, WITNESS, AT, self.advance)


def test_a_log_that_grows_is_cosigned() -> None:
    """From nothing, by steps, and again at the same size; each answer is one of both keys."""
    kept = Kept()
    for old, new in ((0, 5), (5, 5), (5, 20), (20, 20)):
        asked = request(old, new)
        cosigned = witnessing.answered(asked, kept.ask(asked.body), KEYS)

        assert isinstance(cosigned, tuple)
        note = Note(asked.note.text, (*asked.note.signatures, *cosigned))
        assert {LOG.key: None, **dict.fromkeys(KEYS, AT)} == note.verified([LOG.key, *KEYS])
        assert note == kept[LOG.name]


def test_a_log_with_lines_of_its_own_is_cosigned_with_ed25519() -> None:
    """Which covers them; ML-DSA-44 does not, and is not given."""
    text = f"{request(0, 5).note.text}a line\n"
    asked = Request(0, (), notes.signed(text, [LOG], 0))
    cosigned = witnessing.answered(asked, Kept().ask(asked.body), KEYS)
    assert isinstance(cosigned, tuple)
    assert {KEYS[0]: AT} == Note(text, cosigned).verified(KEYS)


def test_what_was_put_below_a_signature_is_taken_along_by_nobody() -> None:
    """Sixty lines under a key's good one, of the same key: the witness does not keep them, or what
    it kept were no note any more, nor does the log.
    """
    kept, good = Kept(), request(0, 5)

    def padded(lines: tuple[Signature, ...]) -> tuple[Signature, ...]:
        return (*lines, *(replace(lines[0], signature=bytes(64)) for _ in range(60)))

    asked = Request(0, (), Note(good.note.text, padded(good.note.signatures)))
    answer = kept.ask(asked.body)
    assert 200 == answer.status
    assert 3 == len(notes.read(kept[LOG.name].data).signatures)
    lines = padded(notes.signatures(answer.body.decode()))
    more = WitnessAnswer(200, "".join(one.line for one in lines).encode())
    assert lines[:2] == witnessing.answered(good, more, KEYS)


def test_a_request_is_read_as_it_was_written() -> None:
    """The body is that of the specification: old size, hashes, an empty line, the checkpoint."""
    asked = request(5, 20)
    assert asked == witnessing.read(asked.body)
    assert asked.body.startswith(b"old 5\n") and asked.body.endswith(b"\n\n" + asked.note.data)


TWICE = request(5, 12)
REFUSED = {
    "no request": (b"old\n\n", 400),
    "an old size written otherwise": (TWICE.body.replace(b"old 5", b"old 05"), 400),
    "no checkpoint": (b"old 5\n\n" + notes.signed("x\n", [LOG], 0).data, 400),
    "too many hashes": (TWICE.body.replace(b"\n\n", b"\n" + b"A" * 43 + b"=\n\n", 1), 422),
    "more hashes than any log needs": (
        TWICE.body.replace(b"\n\n", (b"\n" + b"A" * 43 + b"=") * 63 + b"\n\n", 1),
        400,
    ),
    "an unknown log": (
        Request(5, (), notes.signed(Checkpoint(OTHER.name, 12, LEAVES[0]).text, [OTHER], 0)).body,
        404,
    ),
    "another key": (
        request(5, 12, signer=Signer(LOG.name, Kind.ED25519, bytes([9]) * 32)).body,
        403,
    ),
    "a signature that does not fit": (
        Request(5, TWICE.hashes, Note(TWICE.note.text, request(0, 3).note.signatures)).body,
        403,
    ),
    "a log that shrinks": (request(5, 4).body, 400),
    "another old size": (request(4, 12).body, 409),
    "no old size": (request(0, 12).body, 409),
    "a fork": (request(5, 12, leaves=[LEAVES[6], *LEAVES]).body, 422),
    "another log of the same size": (request(5, 5, leaves=LEAVES[1:]).body, 409),
    "hashes where none are due": (Request(5, (LEAVES[0],), request(5, 5).note).body, 422),
    "no hashes where some are due": (Request(5, (), TWICE.note).body, 422),
}


@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_growth_is_refused(body: bytes, status: int) -> None:
    """The specification's status for each, and what was cosigned last is still what it was."""
    kept = Kept()
    kept.ask(request(0, 5).body)
    before = dict(kept)

    answer = kept.ask(body)

    assert status == answer.status
    assert before == kept
    size_said = status == 409 and answer.content_type == "text/x.tlog.size"
    assert size_said == (answer.body == b"5\n")
    asked = request(4, 12)
    if size_said:
        assert Behind(5) == witnessing.answered(asked, answer, KEYS)
    else:
        with pytest.raises(IntegrityError):
            witnessing.answered(asked, answer, KEYS)


def test_a_fork_is_cosigned_once() -> None:
    """Whichever branch comes first, the other is refused for ever."""
    for first, second in ((LEAVES, FORK), (FORK, LEAVES)):
        kept = Kept()
        assert 200 == kept.ask(request(0, 15, leaves=first).body).status
        assert 422 == kept.ask(request(15, 19, leaves=second).body).status
        assert 200 == kept.ask(request(15, 19, leaves=first).body).status


def test_what_could_not_be_kept_is_not_answered() -> None:
    """A step that fails comes out as it is: no cosignature is given for what may be forgotten."""

    def advance(origin: str, decide: Decide) -> WitnessAnswer | Note:
        decide(None)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        witnessing.answer(request(0, 5).body, {LOG.name: [LOG.key]}, WITNESS, AT, advance)


@given(st.binary(max_size=200), st.integers(0, 300))
def test_whatever_is_sent_is_answered(data: bytes, place: int) -> None:
    """Rubbish gets a status that the specification has, and changes nothing."""
    kept = Kept()
    body = TWICE.body
    for one in (data, body[:place] + data, body[:place] + data + body[place + len(data) :]):
        answer = kept.ask(one)
        assert answer.status in {400, 403, 404, 409, 422}
        assert {} == kept


@given(st.sampled_from([200, 409, 500]), st.binary(max_size=100), st.booleans())
def test_whatever_is_answered_is_believed_by_its_keys_alone(
    status: int, body: bytes, size: bool
) -> None:
    """An answer that is none is refused by name; so is a good one of other keys."""
    asked = request(0, 5)
    type_ = "text/x.tlog.size" if size else "text/plain"
    try:
        found = witnessing.answered(asked, WitnessAnswer(status, body, type_), KEYS)
    except IntegrityError:
        pass
    else:
        assert isinstance(found, Behind)
    good = Kept().ask(asked.body)
    with pytest.raises(IntegrityError):
        witnessing.answered(asked, good, [OTHER.key])


def test_a_witness_is_watched_under_the_origins_hash() -> None:
    """The address of what it cosigned last is made of the origin's SHA-256."""
    at = sha256(b"log.example/one").hexdigest()
    assert f"{at}/checkpoint" == witnessing.monitored("log.example/one")
