"""Doing something once, however often it is asked for with the same idempotency key.

Rules kept here:

* Before anything is done, it is on disk that it was begun: of two who ask at once, one does it.
  Whoever asks again is given the same answer, also after a restart; within a day, then it is
  forgotten.
* Another question with the same key is refused. So is the same one while it is not known how it
  ended (it is under way, or its end was not noted): to do it again could do it twice.
* What is refused before anything changed is as if it had not been asked.
* Nothing of a question or an answer is in the clear, who asked included: an answer may be a new
  key. Of erased people nothing is left here: an erasure forgets all answers.

Rows: R6.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Engine, delete, select, update

from bailee.clock import Clock
from bailee.db.answers import answers
from bailee.db.engine import reading, storage_errors
from bailee.db.portable import insert
from bailee.errors import BaileeError, InputError, PolicyDenied
from bailee.keyring.wrapping import NONCE_BYTES, associated, seal, unseal

KEPT: Final = timedelta(hours=24)
_NAME: Final = "answers"
_WHAT: Final = "what was answered"


class Once:
    """The answers of a day. `secret` gives a key for keyed digests and sealing, by name.

    The console's API asks by it, an erasure forgets, the sweep removes; from any thread. `do`
    carries the work out on the thread that calls. It owns the rows, has nothing in memory, and
    knows no operation.
    """

    name: Final = "answers"

    def __init__(self, engine: Engine, secret: Callable[[str], bytes], clock: Clock) -> None:
        self._engine = engine
        self._secret = secret
        self._clock = clock

    def do(
        self, who: str, key: str, question: object, work: Callable[[], object]
    ) -> tuple[object, bool]:
        """Do it, or say again what was answered: the answer, and whether it is said again. The
        question and the answer are JSON values.

        Raises:
            InputError: code `idempotency_key`, the key was given with another question, or it is
                not known how this one ended.
            StorageError: the store failed.
            IntegrityError: what was answered was tampered with.
            BaileeError: what `work` raises.
        """
        name = hmac.new(self._key(), associated("bailee/once/1", who, key), hashlib.sha256)
        digest, asked = name.hexdigest(), _digest(question)
        now, begun = self._clock(), self._sealed(digest, {"asked": asked})
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(answers).where(_past(now)))  # no sweep may have been yet
            row = {"id": digest, "at": now, "sealed": begun}
            statement = insert(answers).values(row).on_conflict_do_nothing()
            first = connection.execute(statement).rowcount == 1
        if not first:
            return self._again(digest, asked), True
        try:
            answer = work()
        except (InputError, PolicyDenied):
            self._forget(digest)
            raise
        done = self._sealed(digest, {"asked": asked, "answer": answer})
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(update(answers).where(answers.c.id == digest).values(sealed=done))
        return answer, False

    def sweep(self, now: datetime) -> dict[str, int]:
        """Forget what is older than a day; how many answers that were.

        Raises:
            StorageError: the store failed.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            return {"answers": connection.execute(delete(answers).where(_past(now))).rowcount}

    def forget_all(self) -> None:
        """Forget every answer. Whoever asks once more is served as if for the first time.

        Raises:
            StorageError: the store failed.
        """
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(answers))

    # -- inside ----------------------------------------------------------------------------------

    def _again(self, digest: str, asked: str) -> object:
        with storage_errors(_WHAT), reading(self._engine) as connection:
            sealed = connection.execute(
                select(answers.c.sealed).where(answers.c.id == digest)
            ).scalar()
        if sealed is None:
            raise _unknown()
        data = associated("bailee/once/1", digest)
        held = json.loads(unseal(self._key(), sealed, data, _WHAT))
        if not hmac.compare_digest(held["asked"], asked):
            raise InputError(
                "this Idempotency-Key was given with another request.",
                code="idempotency_key",
                hint="use a new key for each thing to do",
            )
        if "answer" not in held:
            raise _unknown()
        return held["answer"]

    def _forget(self, digest: str) -> None:
        with storage_errors(_WHAT), self._engine.begin() as connection:
            connection.execute(delete(answers).where(answers.c.id == digest))

    def _sealed(self, digest: str, value: object) -> bytes:
        data = associated("bailee/once/1", digest)
        return seal(self._key(), json.dumps(value).encode(), data, os.urandom(NONCE_BYTES))

    def _key(self) -> bytes:
        return self._secret(_NAME)


def _past(now: datetime) -> ColumnElement[bool]:
    return answers.c.at <= now - KEPT


def _digest(question: object) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


def _unknown() -> BaileeError:
    return InputError(
        "what was asked with this Idempotency-Key is in progress, or how it ended is not known.",
        code="idempotency_key",
        hint="check whether it was done; if not, ask with a new key",
    )
