"""What the console draws on, taken from an open node and what runs over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from bailee.app.telemetry import listening_at
from bailee.app.upstreams import declared_terms, normal
from bailee.config import Settings
from bailee.console import Names, Parts
from bailee.gateway.known_routes import CHANNELS
from bailee.node.node import Node
from bailee.policy.diagram import Configuration, ModelService
from bailee.policy.reaching import UpstreamTerms
from bailee.telemetry.records import FLOWS

_TAKEN: Final = frozenset((*FLOWS, "bug_report", "survey"))
"""The flows beside the work that the ingest takes in, by the policy's names."""


def console_parts(
    node: Node,
    *,
    names: Names,
    gateway: str,
    upstream: str,
    tls: bool,
    defect: Callable[[BaseException], None],
) -> Parts:
    """The console's parts. `names` are its own; `gateway` is the gateway's address, `upstream` the
    first model's in words; `tls`: the gateway is reached by TLS; `defect` is told of what a page
    could not foresee.
    """
    return Parts(
        node=node,
        running=running(
            node.settings,
            gateway,
            upstream,
            tls,
            _goes_on(node),
        ),
        names=names,
        defect=defect,
    )


def running(
    settings: Settings,
    gateway: str,
    upstream: str,
    tls: bool,
    goes_on: Mapping[str, str],
) -> Configuration:
    """What the data-flow diagram is drawn from: what runs, and what does not."""
    local = settings.text("upstream.url") is None
    terms = declared_terms(settings)
    none = UpstreamTerms()
    upstreams = [ModelService("api", _place(upstream), local, terms.get("api", none), "upstream")]
    for channel in CHANNELS[1:]:
        url = settings.text(f"{channel}.url")
        if url:
            declared = terms.get(channel, none)
            upstreams.append(ModelService(channel, _place(url), terms=declared, upstream=channel))
    upstreams += [
        ModelService(one.channel, _place(one.url), terms=normal(one.terms), upstream=one.name)
        for one in settings.further
    ]
    root, _, _ = (settings.text("keyring.root") or "file").partition(":")
    taken = frozenset() if listening_at(settings) is None else _TAKEN
    network = settings.text("cloud.network")
    return Configuration(gateway, tls, tuple(upstreams), "folder", root, taken, goes_on, network)


def _goes_on(node: Node) -> dict[str, str]:
    """To whose address flows are passed on, by flow."""
    destinations = node.telemetry.destinations
    addresses = {flow: destinations[kept].address for flow, kept in FLOWS.items()}
    return {flow: _place(to.url) for flow, to in addresses.items() if to is not None}


def _place(url: str) -> str:
    """The host of an address, without a name, a password or a path that it may hold."""
    return urlsplit(url).hostname or url
