"""Signing in at the gateway: its wiring, and what else clients send to the address they know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.accounts import Account, ApiKey
from bailee.gateway.routes import BESIDE
from bailee.json_values import JsonObject
from bailee.node.node import Node
from bailee.sign_in import documents
from bailee.sign_in.application import ClientSignInApplication, SignInPlaces

TELEMETRY: Final = ("/v1/metrics", "/v1/logs", "/v1/traces")
"""What the ingest takes at the gateway's address."""


def signing_in(node: Node, *, gateway: str | None, console: str) -> ClientSignInApplication:
    """What clients sign in with. `gateway`: its public address, where one is set."""
    places = SignInPlaces(gateway, console)

    @cache
    def notice(at: str) -> str:
        return documents.notice(node.policy, at)

    return ClientSignInApplication(
        node.registry, lambda: places, notice, settings=settings_for, usage=usage_of
    )


def beside(clients: ClientSignInApplication) -> Mapping[str, ASGIApp]:
    """By route, what answers it."""
    return {path: clients.app for path in BESIDE if path not in TELEMETRY}


def settings_for(_key: ApiKey, _account: Account) -> JsonObject | None:
    """The document of settings that a client obeys. There is none: it is not compiled yet."""
    return None


def usage_of(_key: ApiKey, _account: Account) -> JsonObject | None:
    """What a client shows its person of what they used. There is nothing: it is not counted yet."""
    return None


async def taken_and_dropped(scope: Scope, receive: Receive, send: Send) -> None:
    """Where no telemetry is taken in, a client is told that all is well, and nothing is kept."""
    while (message := await receive())["type"] == "http.request":
        if not message.get("more_body", False):
            break
    await Response(b"")(scope, receive, send)
