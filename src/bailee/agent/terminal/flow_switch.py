"""`/flows off FLOW` and `/flows on FLOW`: the person's word, with what it deleted.

Rows: S6, S7.
"""

from __future__ import annotations

import asyncio

from bailee.agent.terminal.sitting import Sitting
from bailee.client.flow_acts import turn_off, turn_on
from bailee.client.flow_receipts import told


async def switch(sitting: Sitting, verb: str, flow: str) -> None:
    """Turns a flow on or off, for this run too. Raises as `turn_off` and `turn_on` do."""
    screen, machine = sitting.screen, sitting.machine
    act = await asyncio.to_thread(
        turn_off if verb == "off" else turn_on, machine, flow, f"/flows {verb}"
    )
    sitting.use(machine.afresh())
    state = sitting.machine.flow(flow, screen.words.language)
    for text in told(act, state, screen.words):
        screen.say(text)
