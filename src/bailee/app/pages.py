"""What the console draws on, taken from an open node and what runs over it."""

from __future__ import annotations

from urllib.parse import urlsplit

from bailee.app.node import Node
from bailee.app.operations import perform
from bailee.config import Settings
from bailee.console import Parts, SignIn
from bailee.policy.diagram import Configuration, Upstream


def console_parts(
    node: Node, sign_in: SignIn, *, gateway: str, upstream: str, secure: bool
) -> Parts:
    """The console's parts. `gateway` is its address, `upstream` the first model's in words;
    `secure`: both are reached by TLS.
    """
    return Parts(
        perform=lambda operation, arguments: perform(node, operation, arguments),
        registry=node.registry,
        policy=node.policy,
        sign_in=sign_in,
        clock=node.clock,
        running=running(node.settings, gateway, upstream, secure),
        secure=secure,
    )


def running(settings: Settings, gateway: str, upstream: str, tls: bool) -> Configuration:
    """What the data-flow diagram is drawn from: what runs, and what does not."""
    local = settings.text("upstream.url") is None
    upstreams = [Upstream("api", _place(upstream), local)]
    for channel in ("bedrock", "vertex"):
        url = settings.text(f"{channel}.url")
        if url:
            upstreams.append(Upstream(channel, _place(url)))
    root, _, _ = (settings.text("keyring.root") or "file").partition(":")
    network = settings.text("cloud.network")
    return Configuration(gateway, tls, tuple(upstreams), "folder", root, cloud_network=network)


def _place(url: str) -> str:
    """The host of an address, without a name, a password or a path that it may hold."""
    return urlsplit(url).hostname or url
