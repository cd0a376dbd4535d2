"""A request as it is held: what is in the clear, and what is sealed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bailee.cases.steps import CaseKind, CaseState
from bailee.errors import InputError
from bailee.json_values import Json


@dataclass(frozen=True, slots=True)
class CaseParticulars:
    """What is sealed of a request: the `email` of who asks; `said`, what they wrote; `done`, what
    the officer wrote for the answer; `later`, why it was put off; `ground`, why it was refused;
    `held`, what was held when it was looked for last, for the letter.
    """

    email: str
    said: str = ""
    done: str = ""
    later: str = ""
    ground: str = ""
    held: list[Json] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A request. `particulars`: None once they were let go, or can't be opened. `person_id`: who
    has an account by that email, if anybody does. `erasure_id`: what it led to. `terms`: until when
    the row is kept, and why, once it was answered.
    """

    id: str
    kind: CaseKind
    state: CaseState
    person_id: str | None
    erasure_id: str | None
    opened_by: str
    handled_by: str
    received_at: datetime
    due_at: datetime
    extended_at: datetime | None
    exported_at: datetime | None
    answered_at: datetime | None
    closed_at: datetime | None
    expires_at: datetime | None
    clause: str | None
    document: str | None
    particulars: CaseParticulars | None


def particulars_of(case: Case) -> CaseParticulars:
    """What is sealed of a request.

    Raises:
        InputError: code `not_found`, it was let go.
    """
    if case.particulars is None:
        raise InputError("what names this person was let go.", code="not_found")
    return case.particulars
