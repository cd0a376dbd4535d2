"""Asking a log's witnesses for their cosignatures, and keeping what they gave (C2SP tlog-witness).

Rules kept here:

* The operator's policy (C2SP tlog-policy) says which witnesses are asked, where, and how many of
  them are enough. A checkpoint goes out, which is public, and nothing else.
* A cosignature counts once it fits; who answers with anything else has not cosigned.
* All are asked at once, each for a few seconds, and not again for a while where that failed. What
  waits for them is no entry and no request.
* What was cosigned is in the published checkpoint as long as that is the latest. The latest that a
  quorum has cosigned is kept beside it (`folder.WITNESSED`): there is one for those who ask for the
  quorum, however fast the log grows.

Rows: P4.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bailee.clock import Ticks, ticks
from bailee.errors import BaileeError, InputError, UpstreamError
from bailee.ledger.folder import CHECKPOINT
from bailee.ledger.sequencing import Sequencer
from bailee.ledger.signing import ANYBODY, opened, trusting
from bailee.ledger.tlog import checkpoints, notes, tree, trust, witnessing
from bailee.ledger.tlog.notes import Key, Note, Signature
from bailee.ledger.tlog.tiles import Tiles
from bailee.ledger.tlog.trust import Trust
from bailee.ledger.tlog.witnessing import Behind, Request, WitnessAnswer
from bailee.outbound.network import Network, NoAnswer, checked

SETTING: Final = "ledger.witnesses"
_SECONDS: Final = 4.0
_PAUSE, _LONGEST_PAUSE = 30.0, 600.0
_LAST: Final = 253_402_300_799  # the end of the year 9999

AskWitness = Callable[[str, bytes], WitnessAnswer]
"""Posts a body to an address, and waits for the answer.

Raises:
    UpstreamError: there was none.
"""


def policy_of(file: Path | None, named: str = SETTING) -> Trust:
    """The policy that a file holds; that which asks for nobody, if there is none. `named`: what
    names the file.

    Raises:
        InputError: code `configuration`; it can't be read, or is none.
    """
    if file is None:
        return ANYBODY
    try:
        return trust.read(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"{named}: {file} can't be read ({error.strerror}).", code="configuration"
        ) from error
    except InputError as error:
        message = f"{named}: {file}: {error.message}"
        raise InputError(message, code="configuration", hint=error.hint) from error


def over_http(url: str, body: bytes) -> WitnessAnswer:
    """See `AskWitness`."""
    try:
        got = Network.of(os.environ).ask(
            "POST", url, content=body, what=SETTING, seconds=_SECONDS, largest=notes.MOST_BYTES
        )
    except (NoAnswer, InputError) as error:
        raise UpstreamError(
            f"the witness can't be reached ({error}).", code="upstream_unreachable"
        ) from error
    return WitnessAnswer(got.status, got.content, got.headers.get("content-type", ""))


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """A witness of the policy. `cosigned`: when it cosigned the latest checkpoint, None: it has
    not; `url`: where it is asked, if it is; `problem`: why it has not, the last time it was asked.
    """

    name: str
    url: str | None
    cosigned: datetime | None
    problem: str | None


@dataclass(slots=True)
class _Asked:
    """An address, the keys of which it is to sign with one or more, and how that went."""

    url: str
    keys: list[Key]
    old: int = 0
    failed: int = 0
    not_before: float = 0.0
    problem: str | None = None
    request: Request | None = field(default=None, repr=False)


class Cosigning:
    """Asks the witnesses of one home's policy. A server's thread calls `run` after the log has
    grown, whoever needs a quorum now calls it with `all_now`; on any thread, one at a time. What it
    knows of witnesses is in memory: each says itself what it cosigned last.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        policy: Trust = ANYBODY,
        ask: AskWitness = over_http,
        *,
        ticking: Ticks = ticks,
    ) -> None:
        """Raises:
        InputError: code `configuration`; the policy has an address that nothing is sent to.
        """
        self._sequencer = sequencer
        self._policy = policy
        self._ask = ask
        self._ticks = ticking
        self._one = threading.Lock()  # during a round: it alone changes what is below
        self._lacking: float | None = None  # since when, by `ticking`; None: nothing does
        asked: dict[str, _Asked] = {}
        for key in policy.witnesses.values():
            if url := policy.urls.get(key):
                checked(url, SETTING)
                asked.setdefault(url, _Asked(url, [])).keys.append(key)
        self._asked: Final = list(asked.values())

    @property
    def asks(self) -> bool:
        """Whether there is a witness to be asked."""
        return bool(self._asked)

    @property
    def trust(self) -> Trust:
        """The policy for this log: its keys, and the witnesses that must have seen it."""
        return trusting(self._sequencer.keys, self._policy)

    def run(self, *, all_now: bool = False) -> bool:
        """Ask those that have not cosigned the latest checkpoint, and keep what they give; whether
        a quorum has. `all_now`: those too that failed a moment ago.

        Raises:
            IntegrityError: the log's own files are not what was written.
            StorageError: they can't be read or written.
        """
        with self._one:
            data = self._sequencer.folder.read(CHECKPOINT)
            if data is None:
                return self._policy.quorum == trust.NONE
            own = trusting(self._sequencer.keys)
            opened(data, own)
            note = notes.read(data)
            there = note.verified(self._policy.witnesses.values())
            waiting = [
                one
                for one in self._asked
                if there.keys().isdisjoint(one.keys)
                and (all_now or one.not_before <= self._ticks())
            ]
            given = list(self._cosignatures(note, waiting))
            if given:
                every = (*note.signatures, *given)
                note = Note(note.text, every[: notes.MOST_SIGNATURES])
            holds = self.trust.believes(note)
            if given:
                self._sequencer.cosigned(note, quorum=holds)
            if holds:
                self._lacking = None
            elif self._lacking is None:
                self._lacking = self._ticks()
            return holds

    def standing(self) -> tuple[list[WitnessStanding], bool]:
        """Each witness of the policy, and whether a quorum has cosigned the latest checkpoint.

        Raises:
            StorageError, IntegrityError: the checkpoint can't be read, or is none.
        """
        data = self._sequencer.folder.read(CHECKPOINT)
        if data is None:
            return [], self._policy.quorum == trust.NONE
        note = notes.read(data)
        there = note.verified(self._policy.witnesses.values())
        problems = {key: one.problem for one in self._asked for key in one.keys}
        found = [
            WitnessStanding(
                name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                self._policy.urls.get(key),
                None if (at := there.get(key)) is None else _moment(at),
                None if key in there else problems.get(key, "it has no address"),
            )
            for name, key in self._policy.witnesses.items()
        ]
        return found, self.trust.believes(note)

    def unwitnessed(self) -> float:
        """Seconds since when the latest checkpoint, and those before, lack their quorum."""
        since = self._lacking
        return 0.0 if since is None else self._ticks() - since

    # -- inside ----------------------------------------------------------------------------------

    def _cosignatures(self, note: Note, waiting: list[_Asked]) -> Iterable[Signature]:
        """What witnesses give. One that cosigned another size last is asked a second time."""
        checkpoint = checkpoints.read(note.text)
        log = Tiles(checkpoint.size, checkpoint.root_hash, self._sequencer.folder.fetch)
        for _ in range(2):
            for one in waiting:
                old = min(one.old, checkpoint.size)
                hashes = tuple(tree.consistency(old, checkpoint.size, log.hashes))
                one.request = Request(old, hashes, note)
            if not waiting:
                return
            with ThreadPoolExecutor(len(waiting), thread_name_prefix="witness") as at_once:
                answers = list(at_once.map(self._answer, waiting))
            again = []
            for one, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, Behind) and answer.size <= checkpoint.size:
                    one.old = answer.size
                    again.append(one)
                elif isinstance(answer, tuple):
                    one.old, one.failed, one.problem = checkpoint.size, 0, None
                    yield from answer
                else:
                    self._failed(one, answer, checkpoint.size)
            waiting = again
        for one in waiting:
            self._failed(one, "another checkpoint was cosigned meanwhile.", checkpoint.size)

    def _answer(self, one: _Asked) -> tuple[Signature, ...] | Behind | str:
        assert one.request is not None
        try:
            got = self._ask(f"{one.url.rstrip('/')}/{witnessing.PATH}", one.request.body)
            return witnessing.answered(one.request, got, one.keys)
        except BaileeError as error:
            return error.message

    def _failed(self, one: _Asked, why: Behind | str, size: int) -> None:
        if isinstance(why, Behind):
            why = (
                f"it cosigned {why.size} leaves, and there are {size}: an older copy of this home "
                "was put back, or another one signs with its key."
            )
        one.problem = why
        one.failed += 1
        pause = min(_PAUSE * 2 ** min(one.failed - 1, 10), _LONGEST_PAUSE)
        one.not_before = self._ticks() + pause


def _moment(at: int) -> datetime:
    """The moment that a witness said, whatever it was."""
    return datetime.fromtimestamp(min(at, _LAST), UTC)
