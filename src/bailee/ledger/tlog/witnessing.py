"""What a witness and a log that asks it say to each other (C2SP tlog-witness).

Pure.

Rules kept here:

* A witness cosigns a checkpoint only where it shows that the log has grown from the one that the
  witness cosigned last. What it cosigned last is looked up and replaced in one step, which the
  caller provides, and which has ended before anything is answered.
* Whatever was sent, the answer is one of the specification's statuses.
* What a witness answers is believed as far as its signatures are of the keys that were asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from bailee.errors import IntegrityError
from bailee.ledger.tlog import checkpoints, notes
from bailee.ledger.tlog.checkpoints import Checkpoint, decimal, hash_of, to_base64
from bailee.ledger.tlog.notes import Key, Note, Signature, Signer
from bailee.ledger.tlog.tree import EMPTY_ROOT, refused, verify_consistency

PATH: Final = "add-checkpoint"
MOST_BYTES: Final = notes.MOST_BYTES + 64 * 1024
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
MOST_HASHES: Final = 63


@dataclass(frozen=True, slots=True)
class Request:
    """A checkpoint to cosign, and that it has grown from the one of size `old`."""

    old: int
    hashes: tuple[bytes, ...]
    note: Note

    @property
    def body(self) -> bytes:
        """The body of the POST to `PATH`."""
        lines = [f"old {self.old}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note.data


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """A status of HTTP, a body and its type."""

    status: int
    body: bytes
    content_type: str = TEXT_TYPE


Decide = Callable[[Checkpoint | None], WitnessAnswer | Note]
Advance = Callable[[str, Decide], WitnessAnswer | Note]
"""The caller's step for a log, by its origin: gives `Decide` what was cosigned last, None before
the first, and where a note comes back keeps it in that one's place, both in one transaction. It
returns what came back, once it is kept for good."""


def read(body: bytes) -> Request:
    """The request that a body is.

    Raises:
        IntegrityError: it is none.
    """
    head, blank, note = body[: MOST_BYTES + 1].partition(b"\n\n")
    try:
        first, *lines = head.decode().split("\n")
    except UnicodeDecodeError:
        first, lines = "", []
    if len(body) > MOST_BYTES or not blank or not first.startswith("old "):
        raise refused("this is no request to add a checkpoint.")
    if len(lines) > MOST_HASHES:
        raise refused(f"there are more than {MOST_HASHES} hashes.")
    return Request(
        decimal(first.removeprefix("old ")), tuple(map(hash_of, lines)), notes.read(note)
    )


def answer(
    body: bytes,
    logs: Mapping[str, Collection[Key]],
    signers: Sequence[Signer],
    at: int,
    advance: Advance,
) -> WitnessAnswer:
    """What a witness answers to the body of a request.

    `logs`: the keys of each log that it knows, by origin. `signers`: its own keys, for
    cosignatures. `at`: now, in seconds of POSIX. What `advance` raises comes out as it is.
    """
    try:
        request = read(body)
        checkpoint = checkpoints.read(request.note.text)
    except IntegrityError as error:
        return _no(400, error.message)
    keys = logs.get(checkpoint.origin)
    if keys is None:
        return _no(404, "this log is not known here.")
    try:
        verified = request.note.verified(keys)
    except IntegrityError as error:
        return _no(403, error.message)
    if not verified:
        return _no(403, "none of the signatures is one of the log's.")
    if request.old > checkpoint.size:
        return _no(400, "the old size is over the checkpoint's.")

    # Lines of the log's own are covered by Ed25519 alone; nothing is said about them.
    able = [one for one in signers if one.kind.covers_lines or not checkpoint.extensions]

    def decide(last: Checkpoint | None) -> WitnessAnswer | Note:
        held = last or Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
        if request.old != held.size:
            return WitnessAnswer(409, f"{held.size}\n".encode(), SIZE_TYPE)
        if held.size == checkpoint.size and held.root_hash != checkpoint.root_hash:
            return _no(409, "a checkpoint of this size and another root was cosigned before.")
        try:
            verify_consistency(
                held.size, checkpoint.size, request.hashes, held.root_hash, checkpoint.root_hash
            )
            cosigned = notes.signed(request.note.text, able, at)
        except IntegrityError as error:
            return _no(422, error.message)
        own = request.note.lines_of(verified)
        return Note(request.note.text, (*own, *cosigned.signatures))

    decided = advance(checkpoint.origin, decide)
    if isinstance(decided, WitnessAnswer):
        return decided
    lines = decided.lines_of(one.key for one in signers)
    return WitnessAnswer(200, "".join(one.line for one in lines).encode())


def monitored(origin: str) -> str:
    """Where a witness serves what it cosigned last of a log, under its prefix."""
    return f"{sha256(origin.encode()).hexdigest()}/checkpoint"


@dataclass(frozen=True, slots=True)
class Behind:
    """The witness cosigned a checkpoint of another size last: prove from that one."""

    size: int


def answered(
    request: Request, got: WitnessAnswer, keys: Collection[Key]
) -> tuple[Signature, ...] | Behind:
    """What a log takes from a witness's answer: the cosignatures of the keys that it knows.

    Raises:
        IntegrityError: the witness refused, or its answer is not one.
    """
    if got.status == 409 and got.content_type == SIZE_TYPE:
        size, end, rest = got.body[:32].decode(errors="replace").partition("\n")
        if not end or rest:
            raise refused("the witness said no size.")
        return Behind(decimal(size))
    if got.status != 200:
        raise refused(f"the witness refused the checkpoint with status {got.status}.")
    if len(got.body) > notes.MOST_BYTES:
        raise refused("the witness's answer is too large.")
    note = Note(request.note.text, notes.signatures(got.body.decode(errors="replace")))
    if not (verified := note.verified(keys)):
        raise refused("the witness signed with none of its keys.")
    return note.lines_of(verified)


def _no(status: int, why: str) -> WitnessAnswer:
    return WitnessAnswer(status, f"{why}\n".encode())
