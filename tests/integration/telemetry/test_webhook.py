"""The operator's address is told of new issues; one that is away fills nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bailee.telemetry.issues import Issue
from bailee.telemetry.records import CaughtError
from bailee.telemetry.webhook import Webhook
from support.servers.reverse_proxy import free_port

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.row("S2", "G1")
def test_alerts_that_nobody_takes_are_one_entry() -> None:
    """Three hundred new issues, and an address where nobody listens: it is said once."""
    failed: list[None] = []
    webhook = Webhook(f"http://127.0.0.1:{free_port()}/", lambda: failed.append(None))
    row = CaughtError(0, "i", "ValueError", "error", "python", None, None, True, [], {})
    for number in range(300):
        webhook("new", Issue(str(number), NOW, NOW, "open", None, None, False), row)
    webhook.close()

    assert [None] == failed
