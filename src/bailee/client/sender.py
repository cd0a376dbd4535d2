"""Sends what is in the outbox, if the switches still allow it at that very moment.

Rules kept here:

* The policy is asked again for each payload, when it is sent. What has been turned off since is not
  sent and not kept: it is deleted, and the outcome says so.
* The ingest knows senders by their key, for quotas, and keeps it with nothing but a report (so
  that whoever sent it can withdraw it). The key is added on the way and is in no file; a rating
  has none.
* Try again after 1 minute, 2, 4 … up to 6 hours, or when the server says; after 7 days give up. A
  refusal (any 4xx but 408, 425 and 429) is final.

Rows: S5, S7, D1, D2.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bailee.client.flows import ingest_address, permitted, shown
from bailee.client.outbox import Outbox, OutboxItem
from bailee.client.settings import ClientSettings
from bailee.clock import Clock, system_clock
from bailee.outbound.network import VARIABLES, Network, NoAnswer, checked
from bailee.policy import Policy
from bailee.records import dataclass

_FIRST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(hours=6)
_GIVE_UP: Final = timedelta(days=7)
_AGAIN: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one item: "sent", "deleted" (turned off, or too old), "refused", "waiting"
    (with `why`).
    """

    item: OutboxItem
    became: str
    why: str = ""


def network(settings: ClientSettings) -> Network:
    """The way out that the settings describe."""
    found = {name: settings.variable(name) for name in VARIABLES}
    return Network({name: value for name, value in found.items() if value})


def plan(
    outbox: Outbox, policy: Policy, settings: ClientSettings, now: datetime
) -> list[SendOutcome]:
    """What `send` would do with each pending item. Sends and deletes nothing."""
    planned = []
    for item in outbox.items(state="pending"):
        flow = permitted(policy, settings, item.flow)
        if not flow.on:
            planned.append(SendOutcome(item, "deleted", f"turned off by {flow.decided_by}"))
        elif now - datetime.fromisoformat(item.made) >= _GIVE_UP:
            planned.append(SendOutcome(item, "deleted", "nobody took it for 7 days"))
        elif item.next_attempt is not None and datetime.fromisoformat(item.next_attempt) > now:
            planned.append(SendOutcome(item, "waiting", f"next attempt at {item.next_attempt}"))
        else:
            planned.append(SendOutcome(item, "sent"))
    return planned


def send(
    outbox: Outbox,
    policy: Policy,
    settings: Callable[[], ClientSettings],
    *,
    credential: str | None = None,
    clock: Clock = system_clock,
    hurry: bool = False,
    only: str | None = None,
    leaving: frozenset[str] = frozenset(),
) -> list[SendOutcome]:
    """Send what is pending. `settings` is read anew for each item. `hurry` does not wait for the
    next attempt's time; `only`: this item; `leaving`: not items of these flows.

    Raises:
        InputError: code `configuration`; the address or the network's settings can't be.
        StorageError: the outbox can't be used.
    """
    outcomes: list[SendOutcome] = []
    with outbox.sending() as mine:
        if not mine:
            return []
        for first in plan(outbox, policy, settings(), clock()):
            if only not in (None, first.item.id) or first.item.flow in leaving:
                continue
            holding = settings()
            flow = permitted(policy, holding, first.item.flow)
            if not flow.on or first.became == "deleted":
                why = f"turned off by {flow.decided_by}" if not flow.on else first.why
                outbox.delete(first.item)
                outcomes.append(SendOutcome(first.item, "deleted", why))
            elif first.became == "waiting" and not hurry:
                outcomes.append(first)
            else:
                outcomes.append(_one(outbox, first.item, holding, credential, clock()))
    return outcomes


def delay(attempts: int, retry_after: str | None) -> timedelta:
    """How long to wait after so many attempts; the server's own wish counts, within limits."""
    if retry_after is not None and retry_after.isdecimal() and len(retry_after) < 10:
        return min(max(timedelta(seconds=int(retry_after)), _FIRST), _LONGEST)
    return min(_FIRST * int(2 ** min(max(attempts - 1, 0), 20)), _LONGEST)


def _one(
    outbox: Outbox,
    item: OutboxItem,
    settings: ClientSettings,
    credential: str | None,
    now: datetime,
) -> SendOutcome:
    address = ingest_address(settings) + item.path
    checked(address)
    headers = {"content-type": item.content_type}
    if item.flow == "bug_report":
        headers["idempotency-key"] = item.id
    if item.flow == "errors" and credential is not None:
        headers["x-sentry-auth"] = f"Sentry sentry_version=7, sentry_key={credential}"
    elif item.flow != "survey" and credential is not None:
        headers["x-api-key"] = credential
    attempts = item.attempts + 1
    try:
        answer = network(settings).ask("POST", address, content=outbox.body(item), headers=headers)
    except NoAnswer as error:
        wait = delay(attempts, None)
        why = f"{shown(address)} can't be reached ({error})"
        changed = outbox.change(item, attempts=attempts, next_attempt=(now + wait).isoformat())
        return SendOutcome(changed, "waiting", why)
    if answer.good:
        changed = outbox.change(
            item,
            state="sent",
            attempts=attempts,
            next_attempt=None,
            sent=now.isoformat(),
            destination=shown(address),
            answer=_identity(answer.content),
        )
        return SendOutcome(changed, "sent")
    if answer.status in _AGAIN or answer.status >= 500:
        wait = delay(attempts, answer.headers.get("retry-after"))
        changed = outbox.change(item, attempts=attempts, next_attempt=(now + wait).isoformat())
        return SendOutcome(changed, "waiting", f"{shown(address)} answered {answer.status}")
    changed = outbox.change(
        item,
        state="refused",
        attempts=attempts,
        next_attempt=None,
        destination=shown(address),
        answer=f"HTTP {answer.status}",
    )
    return SendOutcome(changed, "refused", f"{shown(address)} answered {answer.status}")


def _identity(content: bytes) -> str | None:
    """What the server calls what it was sent, so that it can be withdrawn."""
    try:
        value = json.loads(content[:65536])
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    for name in ("feedback_id", "report", "id"):
        found = value.get(name)
        if isinstance(found, str) and 0 < len(found) <= 100 and found.isprintable():
            return found
    return None
