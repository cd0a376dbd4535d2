"""A crash of a program of bailee's becomes an error event in the outbox. It is sent by a later run.

It must never make a crash worse: whatever goes wrong here is silent, and the crash goes on.

Rows: S2.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def crashed(error: BaseException, service: str) -> str | None:
    """Queues the event where errors may leave; what to tell the person, if there is something."""
    with suppress(Exception):
        from bailee.client.background import announced, announcement
        from bailee.client.machine import ClientMachine
        from bailee.client.telemetry import ClientTelemetry

        machine = ClientMachine.open(Path.cwd())
        flow = machine.flow("errors")
        if not flow.on:
            return None
        notice = announcement(machine)
        ClientTelemetry(machine, service).failed(error, handled=False)
        told = (
            "This is a fault of bailee's. The class of the error and places in bailee's own code "
            f"are in the outbox for {flow.destination}, and nothing else: bailee outbox"
        )
        if notice is None:
            return told
        announced(machine)
        return f"{told}\n{notice}"
    return None
