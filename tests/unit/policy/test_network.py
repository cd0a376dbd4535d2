"""What the operator's document says of the network of cloud sessions."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bailee.cloud.egress.demands import EgressDemand
from bailee.cloud.egress.rules import Level
from bailee.errors import InputError
from bailee.policy import Policy, Unsound, network
from bailee.policy.document import OPENED
from bailee.policy.loading import VERSIONS, from_bytes, shipped
from bailee.policy.own import read as read_own
from bailee.policy.parsing import read as read_document
from support.documents import edited

pytestmark = pytest.mark.row("C3", "P1")
DEMAND = """
[[network]]
id = "network.trusted"
heading = "cloud"
rows = ["C3"]
at_most = "trusted"
deny = ["HOST"]
en = "Cloud sessions reach package registries and source hosts."
zh = "云端会话可访问软件包仓库与源码托管站点。"
"""
OWN = """
format = "bailee-own-policy/1"

[[network]]
id = "own.LEVEL"
at_most = "LEVEL"
en = "Less."
"""
parts = st.sampled_from(["0x7f", "0x", "127", "1", "256", "01", "a", "x-y", "pypi", "org", "a_b"])
names = st.lists(parts, min_size=1, max_size=5).map(".".join)


def text_of(host: str) -> bytes:
    """The shipped document with a demand."""
    return edited(("\n[dates]\n", f"{DEMAND.replace('HOST', host)}[dates]\n")).encode()


def document() -> Policy:
    """The policy of that document."""
    return from_bytes(text_of("example.org"), "ours.toml")


def test_a_demand_is_a_clause_of_the_document() -> None:
    """It stands on the page as what it says, and is found by its id."""
    policy = document()
    (demand,) = policy.document.network
    assert ("trusted", ("example.org",)) == (demand.level, demand.hosts)
    assert demand.clause == policy.clause("network.trusted")
    assert demand.clause in policy.document.statements
    assert demand == policy.most_network


@pytest.mark.parametrize(("level", "by"), [("none", "own.none"), ("trusted", "network.trusted")])
def test_of_both_documents_the_stricter_says_how_much(level: str, by: str) -> None:
    """An organisation's can only leave less than the operator's."""
    policy = document()
    own = read_own(OWN.replace("LEVEL", level).encode(), policy.document)
    most = Policy(policy.document, own).most_network
    assert most is not None
    assert by == most.clause.id
    assert level == network.at_most(most, "full")
    assert "none" == network.at_most(most, "none")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_shipped_documents_say_what_may_be_opened(version: str) -> None:
    """All that settings opened before; so does a document that says nothing of it."""
    content = shipped(version)
    line = b'cloud_opens = ["hosts", "networks"]\n'
    assert line in content
    silent = from_bytes(content.replace(line, b""), "silent.toml").document
    for one in (from_bytes(content, f"{version}.toml").document, silent):
        assert (OPENED, ()) == (one.cloud_opens, one.network)


@given(names, st.booleans())
@example("127.0.0.1", False)
@example("127.0.0.1", True)
@example("1.1.1.01", False)
def test_what_a_document_takes_as_a_host_the_proxy_reads(name: str, below: bool) -> None:
    """And what is refused is none for it either, but for an underscore: no document is taken whose
    sessions would meet a host that can't be read.
    """
    host = f"*.{name}" if below else name
    try:
        EgressDemand.of("network.trusted", Level.NONE, [host])
        read = True
    except InputError:
        read = False
    try:
        read_document(text_of(host), "ours.toml")
        taken = True
    except Unsound:
        taken = False
    assert taken == (read and "_" not in host)
