"""Signing in at the gateway: its wiring, and what else clients send to the address they know."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bailee.accounts import Account, ApiKey
from bailee.app.using import asker_of
from bailee.errors import InputError
from bailee.gateway.routes import BESIDE, SPEND_LIMITS
from bailee.json_values import Json, JsonObject, members
from bailee.managed import ManagedAgent, settings_for
from bailee.managed.compiling import BOUNDS
from bailee.node.node import Node
from bailee.operations.usage import usage_for_client
from bailee.policy import Policy
from bailee.policy.bounds import STATEMENTS
from bailee.sign_in import documents
from bailee.sign_in.application import (
    ClientSignInApplication,
    Compiled,
    Given,
    SettingsWish,
    SignInPlaces,
)
from bailee.usage.asking import UsageAsker
from bailee.usage.models import is_listed

TELEMETRY: Final = ("/v1/metrics", "/v1/logs", "/v1/traces")
"""What the ingest takes at the gateway's address."""


def signing_in(node: Node, *, gateway: str | None, console: str) -> ClientSignInApplication:
    """What clients sign in with. `gateway`: its public address, where one is set."""
    places = SignInPlaces(gateway, console)

    @lru_cache(maxsize=8)
    def noticed(policy: Policy, at: str) -> str:
        return documents.notice(policy, at)

    return ClientSignInApplication(
        *(node.registry, lambda: places, lambda at: noticed(node.policy, at)),
        settings=settings_of(node, console),
        bounds=bounds_of(node),
        compiled=compiled_of(node),
        usage=_usage_of(node),
    )


def beside(clients: ClientSignInApplication) -> Mapping[str, ASGIApp]:
    """By route, what answers it."""
    others = (*TELEMETRY, SPEND_LIMITS)
    return {path: clients.app for path in BESIDE if not path.startswith(others)}


def settings_of(node: Node, console: str = "") -> Given:
    """What Claude Code obeys while it is signed in: what the document says, and which models an
    organisation, a team or a plan may ask. A list with an open end can't be told to it; the gateway
    holds to it all the same. Who has a choice about training to make is told so at each start, with
    where: at `console`.
    """

    @lru_cache(maxsize=64)  # one for each organisation that has a document of its own
    def compiled_for(policy: Policy) -> JsonObject:
        return settings_for(policy, ManagedAgent.CLAUDE, signed_in=True).file.content()

    def given(key: ApiKey, account: Account) -> JsonObject:
        compiled = compiled_for(node.policy_of(account))
        if account.person_id is not None and node.registry.choices.asked(account).asks:
            compiled = compiled | {"companyAnnouncements": [documents.announced(console)]}
        whose = _asker(node, key, account).lists
        lists = [one.models for one in node.limits.lists() if (one.scope, one.subject) in whose]
        named = dict.fromkeys(one for models in lists for one in models)
        told = [one for one in named if all(is_listed(one, models) for models in lists)]
        if not told or any(one.endswith("*") for one in told):
            return compiled
        return compiled | {"availableModels": [*told], "enforceAvailableModels": True}

    return given


def bounds_of(node: Node) -> Given:
    """What `bailee code` and `bailee run` obey on a machine where nobody puts a file: what the
    document, and an organisation's own, leave agents of web pages and MCP servers, and which of
    the statements it has by which other agents are started.
    """

    @lru_cache(maxsize=64)
    def compiled_for(policy: Policy) -> JsonObject:
        content = settings_for(policy, ManagedAgent.BAILEE, signed_in=True).file.content()
        return {
            BOUNDS: content.get(BOUNDS, {}),
            "statements": _stated(policy),
            "document": policy.sha256,
        }

    return lambda _key, account: compiled_for(node.policy_of(account))


def compiled_of(node: Node) -> Compiled:
    """What an agent's file says by the document, and by an organisation's own: for who checks a
    machine (`bailee doctor`).
    """

    def given(_key: ApiKey, account: Account, wish: SettingsWish) -> JsonObject | None:
        try:
            agent = ManagedAgent(wish.agent)
            policy = node.policy_of(account)
            made = settings_for(policy, agent, provider=wish.provider, gateway=wish.gateway)
        except (InputError, ValueError):  # no such agent or provider
            return None
        values: list[Json] = [
            {"key": [*one.key], "value": one.value, "clause": one.clause}
            for one in made.file.values
        ]
        return {"agent": made.agent, "document": made.document, "compiled": values}

    return given


def _stated(policy: Policy) -> JsonObject:
    clauses = (policy.clause(one) for one in STATEMENTS)
    return {one.id: {"en": one.text.en, "zh": one.text.zh} for one in clauses if one is not None}


def _asker(node: Node, key: ApiKey, account: Account) -> UsageAsker:
    asker = asker_of(key, account)
    team = node.registry.groups.team(asker.organisation, asker.person)
    return asker if team is None else asker._replace(team=team)


def _usage_of(node: Node) -> Given:
    """What Claude Code shows its person of what they used; nothing where a key is nobody's."""

    def given(key: ApiKey, account: Account) -> JsonObject | None:
        asker = _asker(node, key, account)
        if not asker.person:
            return None
        return members(usage_for_client(node, asker, node.clock()))

    return given


async def taken_and_dropped(scope: Scope, receive: Receive, send: Send) -> None:
    """Where no telemetry is taken in, a client is told that all is well, and nothing is kept."""
    while (message := await receive())["type"] == "http.request":
        if not message.get("more_body", False):
            break
    await Response(b"")(scope, receive, send)
