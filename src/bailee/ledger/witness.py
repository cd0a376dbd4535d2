"""A witness's own folder: its keys, the logs that it knows, and what it cosigned last of each.

    witness.keys                    its two private keys, its owner's alone
    known-logs                      a line of tlog-policy for each key of a log
    <SHA-256 of origin>/checkpoint  what it cosigned last of that log, a signed note

Rules kept here:

* What was cosigned last is looked up, compared and replaced by one request at a time, and is
  durable before the signature leaves (C2SP tlog-witness). Whoever dies in between has kept more
  than was answered, never less: the log asks again, and is told from where.
* What is kept is believed by the witness's own signature alone. Where that does not fit, nothing is
  cosigned.
* One process works in a folder.

A copy of the folder that is older than the last answer must never be put back: with it the witness
would cosign a second history. Who has lost the folder makes another witness, with another name.

Rows: P4.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bailee.errors import InputError, IntegrityError, StorageError
from bailee.home.guarding import check_secret
from bailee.ledger.folder import CHECKPOINT, Folder
from bailee.ledger.tlog import checkpoints, notes, trust, witnessing
from bailee.ledger.tlog.checkpoints import from_base64, to_base64
from bailee.ledger.tlog.notes import SEED_SIZE, Key, Kind, Note, Signer
from bailee.ledger.tlog.witnessing import Decide, WitnessAnswer, monitored

KEYS: Final = "witness.keys"
KNOWN: Final = "known-logs"
_KINDS: Final = (Kind.COSIGNATURE, Kind.ML_DSA_44)
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_PRIVATE: Final = "PRIVATE+KEY+"
_BEGUN: Final = b"""\
# The logs that this witness knows, as c2sp.org/tlog-policy writes them: one line for each of a
# log's keys. They are read at the start.
# log bailee/0123456789abcdef+0a1b2c3d+AT...
quorum none
"""


class Witness:
    """Cosigns checkpoints of the logs that its operator named. Owned by the process that serves it;
    `answer` and `cosigned` are for any thread. Holds the private keys, and never shows them.
    """

    def __init__(self, path: Path, name: str | None, folder: Folder | None = None) -> None:
        """Open a folder, or make it: then the witness needs a `name`, which it keeps for good.
        `folder`: how files in it are written, if otherwise than usual.

        Raises:
            InputError: a file in it is not what it must be, or another process works in it.
            StorageError: it can't be read or written.
        """
        self._folder = folder or Folder(path)
        self._one = threading.Lock()  # while what was cosigned last is compared and replaced
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StorageError(f"{path} can't be opened ({error.strerror}).") from error
        try:
            try:
                fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    f"a witness works in {path} already.", code="home_in_use", hint="stop it first"
                ) from error
            self.signers: Final = self._keys(path, name)
            self.logs: Final = self._known()
        except BaseException:
            os.close(self._held)
            raise

    @property
    def keys(self) -> list[Key]:
        """Its public keys."""
        return [one.key for one in self.signers]

    def answer(self, body: bytes, at: int) -> WitnessAnswer:
        """What is answered to the body of an `add-checkpoint`. `at`: now, in seconds of POSIX.

        Raises:
            StorageError: it can't be kept; nothing was answered.
            IntegrityError: what was kept is not what was written.
        """
        return witnessing.answer(body, self.logs, self.signers, at, self._advance)

    def cosigned(self, origin_hash: str) -> bytes | None:
        """The checkpoint that was cosigned last of a log, by its origin's SHA-256 in hexadecimal;
        None: there is none.

        Raises:
            StorageError: it can't be read.
        """
        if _DIGEST.fullmatch(origin_hash) is None:
            return None
        return self._folder.read(f"{origin_hash}/{CHECKPOINT}")

    def close(self) -> None:
        """Let the folder go."""
        os.close(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside ----------------------------------------------------------------------------------

    def _advance(self, origin: str, decide: Decide) -> WitnessAnswer | Note:
        name = monitored(origin)
        with self._one:
            held = self._folder.read(name)
            last = None
            if held is not None:
                note = notes.read(held)
                last = checkpoints.read(note.text)
                if last.origin != origin or not note.verified(self.keys):
                    raise IntegrityError(
                        f"{name} is not what this witness cosigned.",
                        hint="find out who changed it; until then this log is not cosigned",
                    )
            decided = decide(last)
            if isinstance(decided, Note):
                self._folder.write({name: decided.data})
        return decided

    def _keys(self, path: Path, name: str | None) -> list[Signer]:
        data = self._folder.read(KEYS)
        if data is None:
            if name is None:
                raise InputError(
                    "this witness has no name yet.",
                    hint="give it one with --name: a host and path of yours, as w.example.com/one",
                )
            made = [Signer(name, kind, os.urandom(SEED_SIZE)) for kind in _KINDS]
            text = "".join(f"{_private(one)}\n" for one in made)
            self._folder.write({KNOWN: self._folder.read(KNOWN) or _BEGUN, KEYS: text.encode()})
            return made
        check_secret(path / KEYS)
        signers = [_signer(line) for line in data.decode(errors="replace").splitlines()]
        if not signers or {name, *(one.name for one in signers)} - {None, signers[0].name}:
            raise InputError(
                "the witness in this folder has another name.", hint="leave out --name"
            )
        return signers

    def _known(self) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for key in trust.read(self._folder.read(KNOWN) or _BEGUN).logs:
            found.setdefault(key.name, []).append(key)
        return found


def _private(signer: Signer) -> str:
    """A private key as signed notes' own tools write it."""
    key = signer.key
    return f"{_PRIVATE}{key.name}+{key.id.hex()}+{to_base64(bytes([key.kind]) + signer.seed)}"


def _signer(line: str) -> Signer:
    name, _, rest = line.removeprefix(_PRIVATE).partition("+")
    with suppress(ValueError, IntegrityError):
        raw = from_base64(rest.partition("+")[2])
        made = Signer(name, Kind(raw[0]), raw[1:])
        if made.kind in _KINDS and _private(made) == line:
            return made
    raise InputError(f"{KEYS} holds something that is no key of a witness.", code="configuration")
