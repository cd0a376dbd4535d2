"""An entry as a CloudEvent, and its signature. Pure.

Standards: CloudEvents 1.0 (JSON, structured), Standard Webhooks 1.0 (HMAC-SHA256, `v1`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Protocol

import orjson

from bailee.auditing.entry import StreamedEntry
from bailee.auditing.ocsf import event
from bailee.errors import InputError
from bailee.ledger.particulars import KINDS


class WebhookSigner(Protocol):
    """Signs, as the library `standardwebhooks` does: any thread may have it do so."""

    def sign(self, msg_id: str, timestamp: datetime, data: str) -> str:
        """The signature of a message, as it stands in its header field."""
        ...


def body(entry: StreamedEntry, log: str) -> bytes:
    """The event's bytes; its data is what OCSF has of it."""
    said = {
        "specversion": "1.0",
        "id": f"{log}/{entry.leaf}",
        "source": f"//{log}",
        "type": f"bailee.{entry.kind}",
        "subject": entry.subject,
        "time": entry.at.astimezone(UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": event(entry, log),
    }
    return orjson.dumps({name: value for name, value in said.items() if value})


def signed(signer: WebhookSigner, id: str, now: datetime, content: bytes) -> dict[str, str]:  # noqa: A002
    """The header fields of a delivery. The id is the same each time, the time is not."""
    at = now.astimezone(UTC).replace(microsecond=0)
    return {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(id, at, content.decode()),
    }


def kinds(names: Iterable[str]) -> frozenset[str]:
    """The kinds that these names stand for: `key.created`, or all of an area, `key.*`.

    Raises:
        InputError: code `configuration`; one stands for none.
    """
    found: set[str] = set()
    for name in names:
        area = name.removesuffix("*")
        of_it = {kind for kind in KINDS if kind == name or (area != name and kind.startswith(area))}
        if not of_it or not (area == name or area.endswith(".")):
            raise InputError(
                f"the audit record has no kind {name[:100]!r}.",
                code="configuration",
                hint="like key.created, or key.* for all of an area",
            )
        found |= of_it
    return frozenset(found)
