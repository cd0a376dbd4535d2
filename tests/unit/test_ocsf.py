"""Entries of the audit record as OCSF has them, held against OCSF's own schema."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from bailee.auditing.entry import UNREADABLE, StreamedEntry
from bailee.auditing.ocsf import MAPPED, VERSION, event
from bailee.ledger.particulars import KINDS, Form

pytestmark = pytest.mark.row("O5")

AT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)


@cache
def schema() -> OcsfJsonSchemaEmbedded:
    """OCSF's schema, as the package has it."""
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(VERSION))


@cache
def validator(class_uid: int) -> Draft202012Validator:
    """Of one class."""
    made: dict[str, Any] = schema().get_class_schema(schema().lookup_class_name_from_uid(class_uid))
    return Draft202012Validator(made)


def test_every_kind_is_mapped_and_no_other() -> None:
    """Whoever adds a kind says what it is in OCSF."""
    assert {*KINDS, UNREADABLE} == {*MAPPED}


@pytest.mark.parametrize("kind", sorted(MAPPED))
def test_each_kind_is_a_valid_event(kind: str) -> None:
    """With all of its particulars, and with none. OCSF's objects allow no unknown attribute."""
    values: dict[Form, str | int] = {Form.NUMBER: 7, Form.ID: "per_1", Form.WORD: "word"}
    body = {
        name: values.get(form, "text")
        for name, form in KINDS.get(kind, {}).items()
        if form not in (Form.SEALED, Form.AGAIN)
    }
    for entry in (
        StreamedEntry(5, 9, AT, kind, "acc_1", body, ("reason",)),
        StreamedEntry(0, 1, AT, kind, "acc_1", {}),
    ):
        said = event(entry, "bailee.example/log")
        errors = [error.message for error in validator(MAPPED[kind].event_class).iter_errors(said)]
        assert [] == errors
        assert said["type_uid"] == MAPPED[kind].event_class * 100 + MAPPED[kind].activity
        assert 1_796_040_000_250 == said["time"]


def test_an_activity_is_one_of_its_class() -> None:
    """The schema's own list says so."""
    classes = schema().schema.schema["classes"]
    by_number = {one["uid"]: one["attributes"]["activity_id"]["enum"] for one in classes.values()}
    assert all(str(mapped.activity) in by_number[mapped.event_class] for mapped in MAPPED.values())
