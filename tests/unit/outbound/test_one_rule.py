"""Addresses are judged in one module, and nowhere else."""

from __future__ import annotations

import ast
import ipaddress
import re
from pathlib import Path

import pytest

from bailee.outbound.addresses import keeps_credentials, within
from support.sources import parsed

SOURCE = Path(__file__).parents[3] / "src" / "bailee"
RANGE = re.compile(r"(?:[0-9]+\.){3}[0-9]+/[0-9]+|[0-9a-f]*:[0-9a-f:.]*/[0-9]+")
ASKED = {
    *("is_global", "is_private", "is_link_local", "is_site_local", "is_multicast", "is_reserved"),
    *("is_loopback", "sixtofour", "teredo"),
}
MAY = {
    "outbound/addresses.py": ASKED,
    "loopback.py": {"is_loopback"},
    "cloud/git/github.py": {"is_private"},  # of an RSA key
}


def judgements(path: Path) -> set[str]:
    """What a module asks of an address, and the ranges that it writes down."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and node.attr in ASKED:
            found.add(node.attr)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and RANGE.fullmatch(node.value)
        ):
            found.add(node.value)
    return found


def test_no_other_module_decides_what_is_public() -> None:
    """Ranges, and questions such as `is_global`, stand in `outbound/addresses.py` alone."""
    found = {
        name: more
        for path in sorted(SOURCE.rglob("*.py"))
        if (name := str(path.relative_to(SOURCE))) != "outbound/addresses.py"
        and (more := judgements(path) - MAY.get(name, set()))
    }

    assert {} == found


def test_the_look_at_the_source_sees_a_judgement() -> None:
    """The one module that decides is seen to."""
    seen = judgements(SOURCE / "outbound/addresses.py")

    assert {"is_link_local", "10.0.0.0/8", "64:ff9b:1::/48"} <= seen


@pytest.mark.parametrize(
    ("host", "kept"),
    [
        *(("169.254.169.254", True), ("fe80::1", True), ("[fe80::1]", True)),
        *(("::ffff:169.254.169.254", True), ("64:ff9b::a9fe:a9fe", True)),
        *(("metadata.google.internal", True), ("Metadata.Google.Internal.", True)),
        *(("metadata.goog", True), ("example.org", False), ("10.0.0.1", False), ("", False)),
    ],
)
def test_where_machines_keep_credentials(host: str, kept: bool) -> None:
    """Link-local in any clothing, and Google's names; nothing is looked up."""
    assert kept == keeps_credentials(host)


def test_within_compares_like_with_like() -> None:
    """An address of one family is in no network of the other."""
    four, six = ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")
    both = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::/0"))

    assert (True, True) == (within(four, both), within(six, both))
    assert not within(four, both[1:])
