"""Asking the person's server, with their own key, what agents on this machine must obey by its
document: what `bailee doctor` checks.

Rules kept here:

* It is asked once for each agent, and goes by one document: where one answer is missing or is not
  understood, or is by another document, none is taken.
* Whatever is shown of an answer is one line of printable text. Nothing of it is kept.

Rows: O3, P1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlencode

from bailee.client.agent_bounds import one_line
from bailee.client.files import LARGEST
from bailee.client.machine import ClientMachine
from bailee.client.sender import network
from bailee.client.told_bounds import BoundsServer
from bailee.errors import BaileeError
from bailee.json_values import Json, elements, members, text
from bailee.managed.compiling import ManagedAgent, path_for
from bailee.managed.values import ManagedFile, ManagedSettings, ManagedValue
from bailee.outbound.network import NoAnswer

_PATH: Final = "/managed/bailee"
_SECONDS: Final = 5.0
_MOST_VALUES: Final = 1000
_MOST_NAMES: Final = 10  # on the way to a value


def compiled_by(
    machine: ClientMachine,
    server: BoundsServer,
    agents: Iterable[ManagedAgent],
    *,
    provider: str,
    gateway: str | None,
) -> dict[ManagedAgent, ManagedSettings] | None:
    """What each of these agents is told by the server's document; None: it has not said so. Blocks,
    some seconds for each at most. `provider`, `gateway`: as for `managed.settings_for`.
    """
    found: dict[ManagedAgent, ManagedSettings] = {}
    for agent in agents:
        wish = {"for": agent.value, "provider": provider}
        wish |= {} if gateway is None else {"gateway": gateway}
        try:
            answer = network(machine.settings).ask(
                "GET",
                f"{server.address}{_PATH}?{urlencode(wish)}",
                headers={"authorization": f"Bearer {server.key}"},
                seconds=_SECONDS,
                largest=LARGEST,
            )
            said = json.loads(answer.content) if answer.status == 200 else None
        except (BaileeError, NoAnswer, ValueError, RecursionError):
            return None
        made = _made(agent, members(said).get("settings"))
        if made is None:
            return None
        found[agent] = made
    return found if len({one.document for one in found.values()}) == 1 else None


def _made(agent: ManagedAgent, said: Json) -> ManagedSettings | None:
    told = members(said)
    listed = told.get("compiled")
    if not isinstance(listed, list) or len(listed) > _MOST_VALUES:
        return None
    values: list[ManagedValue] = []
    for one in listed:
        held = members(one)
        key = tuple(one_line(text(name)) for name in elements(held.get("key"))[:_MOST_NAMES])
        clause = one_line(text(held.get("clause")))
        if not all(key) or not key or not clause or "value" not in held:
            return None
        values.append(ManagedValue(key, held["value"], clause))
    file = ManagedFile(path_for(agent), "json", tuple(values))
    return ManagedSettings(agent.value, one_line(text(told.get("document"))), file, ())
