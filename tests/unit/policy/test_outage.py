"""For how long requests go on while the databases can't be asked."""

from __future__ import annotations

import pytest

from bailee.policy.loading import VERSIONS, from_bytes, shipped
from support.documents import edited

pytestmark = pytest.mark.row("P1")
LINE = "without_database = { kept = 60, unkept = 60 }\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_shipped_documents_say_an_hour(version: str) -> None:
    """Of both kinds of key; a document that says nothing of it sets no end."""
    content = shipped(version)
    policy = from_bytes(content, f"{version}.toml")
    silent = from_bytes(content.replace(LINE.encode(), b""), "silent.toml")
    for zero_retention in (False, True):
        assert 60 == policy.goes_on(zero_retention=zero_retention)
        assert silent.goes_on(zero_retention=zero_retention) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_gateways_of_their_own_go_on_where_a_document_says_so(version: str) -> None:
    """None of the shipped does, nor one that says nothing at all."""
    content = shipped(version)
    policy = from_bytes(content, f"{version}.toml")
    silent = from_bytes(content.replace(LINE.encode(), b""), "silent.toml")
    ours = content.replace(b"unkept = 60 }", b"unkept = 60, gateways = 15 }")
    said = from_bytes(ours, "ours.toml")
    assert [0, 0, 15] == [one.gateways_go_on for one in (policy, silent, said)]
    assert "60 kept, 60 unkept, 15 at gateways" == str(said.document.without_database)


def test_each_kind_of_key_has_its_own() -> None:
    """None at all, or a week."""
    text = edited((LINE, "without_database = { kept = 0, unkept = 10080 }\n"))
    policy = from_bytes(text.encode(), "ours.toml")
    assert 0 == policy.goes_on(zero_retention=False)
    assert 10_080 == policy.goes_on(zero_retention=True)
