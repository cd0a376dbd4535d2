"""What policy documents demand of the network of sessions, by the document that holds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from bailee.app.cloud_running import demands_of
from bailee.app.cloud_serving import CloudDialer
from bailee.cloud.egress.demands import DemandingRules
from bailee.cloud.egress.rules import EgressRules
from bailee.errors import PolicyDenied
from bailee.outbound.dialing import AddressRefused
from bailee.outbound.hosts import read_host
from bailee.policy.holding import InForce, OwnHeld
from bailee.policy.loading import from_bytes
from support.clients.asking import perform
from support.documents import edited
from support.homes.places import Place

pytestmark = pytest.mark.row("C3", "P1")
OPENED = 'cloud_opens = ["hosts", "networks"]'
DEMAND = """
[[network]]
id = "network.registries"
heading = "cloud"
rows = ["C3"]
at_most = "trusted"
deny = ["github.com"]
en = "Cloud sessions reach package registries."
zh = "云端会话可访问软件包仓库。"

[dates]
"""
OWN = b"""
format = "bailee-own-policy/1"

[[network]]
id = "own.shut"
at_most = "none"
en = "Sessions have no network."
"""
SETTINGS = """
[accounts]
sign_up = "open"
sign_up_plans = "free, pro"
[cloud]
network = "full"
network_allow = "example.org"
git_networks = "10.1.0.0/16"
egress_networks = "10.2.0.0/16"
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open home with an account."""
    made = Place(tmp_path / "home")
    yield made
    made.close()


def hold(place: Place, *changes: tuple[str, str]) -> None:
    """Let the shipped document hold, with changes."""
    place.node.holding.take(InForce(from_bytes(edited(*changes).encode(), "ours.toml"), 1))


def test_another_document_holds_for_sessions_that_run(place: Place) -> None:
    """The operator's demands are asked for at each connection, and then the organisation's."""
    rules = EgressRules.of("full", allow=["example.org"])
    acme = perform(place.node, "organisation.create", {"name": "Acme", "plan": "team"})
    demands = demands_of(place.node)

    def by(host: str, account_id: str = place.account) -> str:
        asked = DemandingRules(rules, lambda: demands(account_id))
        return asked.decide(read_host(host), 443).rule

    seen = [(by("example.com"), by("example.org"))]
    hold(place, ("\n[dates]\n", DEMAND))
    seen.append((by("example.com"), by("example.org")))
    hold(place, ("\n[dates]\n", DEMAND), (OPENED, 'cloud_opens = ["networks"]'))
    seen.append((by("example.com"), by("example.org")))
    assert [
        ("level.full", "allow:example.org"),
        ("network.registries", "allow:example.org"),
        ("network.registries", "cloud_opens"),
    ] == seen
    assert ("network.registries", "level.full") == (by("github.com"), by("pypi.org"))
    place.node.holding.take_own(acme["organisation"], OwnHeld(OWN, 2))
    theirs = by("github.com", acme["account"]), by("pypi.org", acme["account"])
    assert ("network.registries", "own.shut") == theirs


def test_a_list_is_not_added_to_where_lists_open_nothing(place: Place) -> None:
    """Hosts can be denied there, and what is in a list can be taken out."""
    whose = {"account": place.account}
    made = perform(place.node, "cloud.network.allow", {"entry": "a.example", **whose})
    hold(place, (OPENED, "cloud_opens = []"))
    with pytest.raises(PolicyDenied, match="opens no hosts") as refused:
        perform(place.node, "cloud.network.allow", {"entry": "b.example", **whose})
    assert "cloud_opens" in (refused.value.hint or "")
    perform(place.node, "cloud.network.deny", {"entry": "c.example", **whose})
    perform(place.node, "cloud.network.remove", {"id": made["id"]})
    left = perform(place.node, "cloud.network.list", whose)
    assert [("deny", "c.example")] == [(one["verdict"], one["entry"]) for one in left]


def test_a_network_that_is_not_public_is_open_while_the_document_has_it_so() -> None:
    """It is asked for each address; what no setting opens is refused as it was, and what is public
    is reached either way.
    """
    opens = [True]
    dialer = CloudDialer(private=[ip_network("10.1.0.0/16")], opens=lambda: opens[0])
    inside, beside = read_host("10.1.2.3"), read_host("10.2.0.1")
    public, mapped = read_host("1.1.1.1"), read_host("[::ffff:10.1.2.3]")

    async def rules() -> list[str]:
        found = []
        for host in (inside, mapped, beside, public):
            try:
                await dialer.addresses(host, 443)
                found.append("")
            except AddressRefused as error:
                found.append(error.rule)
        return found

    assert ["", "", "address.not_public", ""] == asyncio.run(rules())
    opens[0] = False
    assert ["cloud_opens", "cloud_opens", "address.not_public", ""] == asyncio.run(rules())


def test_what_a_setting_opens_that_the_document_closes_is_told(tmp_path: Path) -> None:
    """Each by its name, with the key or the clause; nothing of it keeps a home from opening."""
    place = Place(tmp_path / "home")
    place.close()
    (tmp_path / "home" / "bailee.toml").write_text(SETTINGS)
    place.open()
    try:
        before = perform(place.node, "policy.closed", {})
        hold(
            place,
            ("\n[dates]\n", DEMAND),
            (OPENED, "cloud_opens = []"),
            ('sign_up = ["free", "pro", "max"]', 'sign_up = ["free"]'),
        )
        told = perform(place.node, "policy.closed", {})
    finally:
        place.close()
    assert [] == before
    assert [
        ("accounts.sign_up_plans", "sign_up"),
        ("cloud.network", "network.registries"),
        ("cloud.network_allow", "cloud_opens"),
        ("cloud.git_networks", "cloud_opens"),
        ("cloud.egress_networks", "cloud_opens"),
    ] == [(one["setting"], one["by"]) for one in told]
