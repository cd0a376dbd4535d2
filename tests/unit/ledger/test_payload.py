"""What a leaf commits to: bytes that stay the same for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from bailee.ledger.payload import commitment, digest_of, payload, written

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.row("P4")
def test_the_bytes_of_a_payload_are_these() -> None:
    """Golden: with other bytes no leaf that was ever signed would fit its entry."""
    body = {"number": 7, "flag": True, "ratio": 0.5, "none": None, "text": "é\n", "by": "per_1"}
    digest = digest_of(bytes(32), {"reason": "é", "entry": "x"})

    assert (
        b'{"at":"2026-03-01T12:00:00.000000+00:00","body":{"by":"per_1","flag":true,"none":null,'
        b'"number":7,"ratio":0.5,"text":"\xc3\xa9\\n"},'
        b'"digest":"e761cf5278d735a3a932db8e4ccf9467395978f9f6db8e904a18de9101e57fe2",'
        b'"format":"bailee/audit/1","kind":"access.read","subject":"ses_1"}'
    ) == payload(written(AT), "access.read", "ses_1", body, digest)
    assert sha256(bytes(32) + b'{"entry":"x","reason":"\xc3\xa9"}').digest() == digest
    assert b'"digest":null' in payload(written(AT), "access.read", "ses_1", {}, None)


def test_a_moment_is_the_same_wherever_it_is_read() -> None:
    """The zone in which a moment is given, and the order of particulars, change nothing."""
    elsewhere = AT.astimezone(timezone(timedelta(hours=8)))

    assert payload(written(AT), "k", "s", {"a": 1, "b": 2}, None) == payload(
        written(elsewhere), "k", "s", {"b": 2, "a": 1}, None
    )


def test_a_commitment_is_of_salt_and_content() -> None:
    """Another salt of 32 bytes is another commitment; one of another length is none."""
    assert sha256(b"s" * 32 + b"c").digest() == commitment(b"s" * 32, b"c")
    assert commitment(b"s" * 32, b"c") != commitment(b"t" * 32, b"c")
    with pytest.raises(AssertionError):
        commitment(b"s" * 31, b"c")
