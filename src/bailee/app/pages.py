"""What the console draws on, taken from an open node and what runs over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from bailee.app.node import Node
from bailee.app.operations import perform
from bailee.app.telemetry import listening_at
from bailee.config import Settings
from bailee.console import Parts, SignIn
from bailee.policy.diagram import Configuration, Upstream

_TAKEN: Final = frozenset({"metrics", "errors", "bug_report", "survey"})
"""The flows beside the work that the ingest takes in, by the policy's names."""


def console_parts(
    node: Node,
    sign_in: SignIn,
    *,
    gateway: str,
    upstream: str,
    secure: bool,
    defect: Callable[[BaseException], None],
) -> Parts:
    """The console's parts. `gateway` is its address, `upstream` the first model's in words;
    `secure`: both are reached by TLS; `defect` is told of what a page could not foresee.
    """
    return Parts(
        perform=lambda operation, arguments: perform(node, operation, arguments),
        registry=node.registry,
        policy=node.policy,
        sign_in=sign_in,
        clock=node.clock,
        running=running(node.settings, gateway, upstream, secure),
        secure=secure,
        defect=defect,
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
    taken = frozenset() if listening_at(settings) is None else _TAKEN
    return Configuration(gateway, tls, tuple(upstreams), "folder", root, taken)


def _place(url: str) -> str:
    """The host of an address, without a name, a password or a path that it may hold."""
    return urlsplit(url).hostname or url
