"""The operations by name, for those who ask by text: the control socket, and HTTP.

Rules kept here:

* Each operation is told who asks, and asks the table of `accounts.roles` whether they may, whatever
  the caller has looked at before.
* Of what is not theirs, who is not the operator is told that it is not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import cache
from typing import Any, Final

from bailee.accounts import Actor
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations import (
    audit,
    codec,
    erasure,
    feedback,
    holds,
    home,
    retention,
    sessions,
    telemetry,
)
from bailee.operations.account_routes import ACCOUNT_ROUTES
from bailee.operations.arguments import Arguments
from bailee.operations.asks import PROOFS, Via, asked_by
from bailee.operations.cloud import CLOUD
from bailee.operations.cloud_git import CLOUD_GIT
from bailee.operations.cloud_network import CLOUD_NETWORK
from bailee.operations.keys import KEYS
from bailee.operations.people import PEOPLE


def perform(
    node: Node,
    name: str,
    values: Mapping[str, Any],
    *,
    by: Actor,
    via: Via = Via.TERMINAL,
    texts: bool = False,
) -> Any:
    """Carry out one operation for whoever asks, and give its result as JSON has it; an iterator,
    asynchronous or not, gives items as they come. `now` among the values is an ISO moment: the
    caller has checked that this home has a test clock. `texts`: values are as in an address.

    Raises:
        InputError: there is no such operation, or an argument is missing or wrong.
        BaileeError: whatever the operation itself raises.
    """
    function = OPERATIONS.get(name)
    if function is None:
        raise InputError(f"there is no operation {name!r}.", code="not_found")
    given = {one: value for one, value in values.items() if one not in PROOFS}
    if not _typed(function):
        try:
            with node.room.deleting() if name in MAKE_ROOM else nullcontext():
                return codec.plain(function(node, Arguments(values, by)))
        finally:
            node.marks.catch_up()
    now, reason = given.pop("now", None), given.get("reason")
    if "reason" not in codec.parameters(function).__struct_fields__:
        given.pop("reason", None)
    asked = asked_by(
        node,
        by,
        via,
        now=None if now is None else datetime.fromisoformat(now),
        reason=reason if isinstance(reason, str) else None,
    )
    return codec.plain(function(asked, node, **codec.arguments(function, given, texts=texts)))


@cache
def _typed(function: Callable[..., object]) -> bool:
    return "asks" in inspect.signature(function).parameters


MAKE_ROOM: Final = frozenset({"feedback.withdraw", "cloud.delete"})
"""What deletes: on a full disk it may use up what is kept for it."""

OPERATIONS: Final[Mapping[str, codec.Function]] = {
    **PEOPLE,
    **ACCOUNT_ROUTES,
    **KEYS,
    **holds.OPERATIONS,
    **erasure.OPERATIONS,
    **CLOUD,
    **sessions.OPERATIONS,
    **retention.OPERATIONS,
    **audit.OPERATIONS,
    **home.OPERATIONS,
    **telemetry.OPERATIONS,
    **feedback.OPERATIONS,
    **CLOUD_GIT,
    **CLOUD_NETWORK,
}
