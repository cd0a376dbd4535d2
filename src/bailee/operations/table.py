"""The operations by name, for those who ask by text: the control socket, and HTTP.

Rules kept here:

* Each operation is told who asks, and asks the table of `accounts.roles` whether they may, whatever
  the caller has looked at before.
* Of what is not theirs, who is not the operator is told that it is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from bailee.accounts import Actor
from bailee.errors import InputError
from bailee.node import Node
from bailee.operations import (
    accounts,
    activation,
    audit,
    backups,
    choices,
    cloud,
    cloud_git,
    cloud_network,
    codec,
    erasure,
    feedback,
    groups,
    holds,
    home,
    importing,
    increases,
    keeping,
    keys,
    organisations,
    own_policies,
    people,
    policies,
    promises,
    provisioning,
    receipts,
    remains,
    request_work,
    requests,
    retention,
    searching,
    sessions,
    sign_ins,
    status,
    telemetry,
    training,
    usage,
    workloads,
)
from bailee.operations.asks import PROOFS, Via, asked_by


def perform(
    node: Node,
    name: str,
    values: Mapping[str, object],
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
    now = given.pop("now", None) if via is Via.TERMINAL else None
    named = "reason" in codec.parameters(function).__struct_fields__
    reason = given.get("reason") if named else given.pop("reason", None)
    if isinstance(reason, list):  # it stood in an address
        reason = reason[0] if len(reason) == 1 else None
    asked = asked_by(
        node,
        by,
        via,
        now=None if now is None else datetime.fromisoformat(str(now)),
        reason=reason if isinstance(reason, str) else None,
    )
    return codec.plain(function(asked, node, **codec.arguments(function, given, texts=texts)))


OPERATIONS: Final[Mapping[str, codec.Function]] = {
    **importing.OPERATIONS,
    **people.OPERATIONS,
    **organisations.OPERATIONS,
    **own_policies.OPERATIONS,
    **groups.OPERATIONS,
    **choices.OPERATIONS,
    **training.OPERATIONS,
    **accounts.OPERATIONS,
    **keys.OPERATIONS,
    **sign_ins.OPERATIONS,
    **holds.OPERATIONS,
    **erasure.OPERATIONS,
    **cloud.OPERATIONS,
    **sessions.OPERATIONS,
    **searching.OPERATIONS,
    **keeping.OPERATIONS,
    **retention.OPERATIONS,
    **promises.OPERATIONS,
    **status.OPERATIONS,
    **policies.OPERATIONS,
    **activation.OPERATIONS,
    **receipts.OPERATIONS,
    **audit.OPERATIONS,
    **backups.OPERATIONS,
    **remains.OPERATIONS,
    **requests.OPERATIONS,
    **request_work.OPERATIONS,
    **home.OPERATIONS,
    **telemetry.OPERATIONS,
    **feedback.OPERATIONS,
    **cloud_git.OPERATIONS,
    **cloud_network.OPERATIONS,
    **usage.OPERATIONS,
    **increases.OPERATIONS,
    **workloads.OPERATIONS,
    **provisioning.OPERATIONS,
}
