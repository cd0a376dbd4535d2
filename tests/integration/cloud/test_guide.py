"""What the guide on the network says of the lists, beside the lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bailee.cloud.egress import TRUSTED

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "cloud-network.md"


@pytest.mark.row("C3")
def test_the_trusted_hosts_are_those_of_the_guide() -> None:
    """The table of the level `trusted` is the list that is enforced."""
    section = GUIDE.read_text().partition("### `trusted`")[2].partition("###")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert dict(TRUSTED) == {group: tuple(hosts.split(", ")) for group, hosts in rows}
