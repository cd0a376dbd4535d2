"""Turning a flow of this machine off, with what it has collected, and on again.

Rules kept here:

* Off is noted before anything is deleted: whatever ends this on the way, nothing of the flow leaves
  any more, and the next `bailee outbox send` deletes what still waits.
* Deleted is what waits in the outbox, and withdrawn each report that was sent from here and that
  bailee's ingest still has. What can't be withdrawn now is named in the receipt; the same act again
  goes on with it. Metrics, errors and ratings are kept there without whose they are.
* On takes back the person's own off and nothing else. Where something else keeps the flow off, it
  is refused with what does, and nothing changes.
* A flow that was off is announced anew before anything of it leaves.

Rows: S6, S7, F1.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from bailee.client import background, files
from bailee.client.flow_choices import (
    MOST,
    DeletedPayload,
    FlowAct,
    FlowChoices,
    ReportTakenBack,
)
from bailee.client.flows import PATHS, ingest_address, permitted, shown
from bailee.client.local_key import alone, wipe, write_private
from bailee.client.machine import ClientMachine
from bailee.client.outbox import Outbox, OutboxItem
from bailee.client.sender import network
from bailee.client.setting_keys import FLOWS
from bailee.errors import BaileeError, InputError, StorageError
from bailee.home.guarding import name_of
from bailee.json_values import members, text
from bailee.outbound.network import NoAnswer

_MOST_REPORTS: Final = 100
_PATIENCE: Final = 5.0
"""Seconds to wait for a process that is sending."""


def turn_off(machine: ClientMachine, flow: str, way: str) -> FlowAct:
    """Turn a flow off and delete what it has collected; the receipt.

    Raises:
        InputError: there is no such flow, or it is no person's to turn off.
        IntegrityError, StorageError: the note can't be read or written; or what waits can't be
            deleted, which then does not leave either.
    """
    _known(flow)
    act = _noted(machine, _act(machine, flow, way, on=False))
    box = machine.outbox()
    act = replace(act, deleted=_emptied(box, flow))
    if flow in background.BY_ITSELF:
        background.unsay(machine.data, flow)
        if not any(machine.afresh().flow(name).on for name in background.BY_ITSELF):
            try:
                wipe(machine.data / "installation.json")
            except OSError as error:
                why = f"the installation's number can't be deleted ({error.strerror})."
                raise StorageError(why) from error
    act = _noted(machine, act)
    if flow == "bug_report":
        taken = _taken_back(machine, box)
        act = _noted(machine, replace(act, reports=taken))
    return act


def turn_on(machine: ClientMachine, flow: str, way: str) -> FlowAct:
    """Take back that a flow is off.

    Raises:
        InputError: there is no such flow; or, with code `policy_denied`, something else keeps it
            off.
        IntegrityError, StorageError: the note can't be read or written.
    """
    _known(flow)
    without = files.read(
        machine.policy,
        machine.folder,
        option=machine.option,
        environment=machine.environment,
        choices=False,
    )
    state = permitted(machine.policy, without, flow)
    if not state.on:
        clause = f" (clause {state.clause})" if state.clause else ""
        raise InputError(
            f"{flow} stays off, by {state.decided_by}{clause}.",
            code="policy_denied",
            hint="that has to go first; `bailee flows` says what decides about each",
        )
    return _noted(machine, _act(machine, flow, way, on=True))


def _known(flow: str) -> None:
    if flow in FLOWS:
        return
    elsewhere = {
        "model": "the model's requests are the work itself; without them there is none",
        "public_issue": "it is on where feedbackRepository is set in the settings, and asks you",
        "web_fetch": "it is a setting: webFetch",
        "commands": "it is a setting: sandbox",
        "training": "that is a choice of your account's: bailee privacy refuse, or allow",
    }
    raise InputError(
        "this is no flow that is turned on and off by name.",
        code="not_found",
        hint=elsewhere.get(flow, f"one of: {', '.join(FLOWS)}"),
    )


def _act(machine: ClientMachine, flow: str, way: str, *, on: bool) -> FlowAct:
    who = name_of(os.geteuid())
    return FlowAct(f"flow_{secrets.token_hex(8)}", flow, on, machine.clock(), who, way)


def _noted(machine: ClientMachine, act: FlowAct) -> FlowAct:
    """The act, remembered: in the place of what was noted of it before, else as the last."""
    choices = FlowChoices(machine.data)
    with alone(choices.file):
        held = list(choices.acts())
        place = next((n for n, one in enumerate(held) if one.id == act.id), None)
        if place is None:
            held.append(act)
        else:
            held[place] = act
        last = {one.flow: one for one in held}
        past = [one for one in held if last[one.flow] is not one]
        forgotten = {one.id for one in past[: max(len(held) - MOST, 0)]}
        kept = [one.as_json() for one in held if one.id not in forgotten]
        write_private(choices.file, json.dumps(kept, indent=1).encode())
    return act


def _emptied(box: Outbox, flow: str) -> tuple[DeletedPayload, ...]:
    """Deletes what waits of a flow. Who is sending meanwhile is waited for; what they have in hand
    after that, they delete themselves, since they ask for each payload.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        with box.sending() as mine:
            if mine or time.monotonic() >= until:
                gone = [item for item in box.items(state="pending") if item.flow == flow]
                for item in gone:
                    box.delete(item)
                return tuple(DeletedPayload(item.id, item.made, item.size) for item in gone)
        time.sleep(0.05)


def _taken_back(machine: ClientMachine, box: Outbox) -> tuple[ReportTakenBack, ...]:
    """Withdraws the reports that were sent from here to where reports go now: a key goes nowhere
    else. The latest first.
    """
    known = {
        one.report
        for act in FlowChoices(machine.data).acts()
        for one in act.reports
        if one.receipt is not None
    }
    address = ingest_address(machine.settings)
    there = shown(address + PATHS["bug_report"])
    sent = [
        item
        for item in box.items(state="sent")
        if item.flow == "bug_report" and item.path == PATHS["bug_report"] and item.answer
    ]
    found = []
    for item in reversed(sent[-_MOST_REPORTS:]):
        if item.answer in known:
            continue
        if item.destination != there:
            why = f"it was sent to {item.destination}; withdraw it there"
            found.append(ReportTakenBack(str(item.answer), None, why))
            continue
        found.append(_withdrawn(machine, address, item))
    return tuple(found)


def _withdrawn(machine: ClientMachine, address: str, item: OutboxItem) -> ReportTakenBack:
    report = str(item.answer)
    if machine.credential is None:
        why = "it needs your key: set BAILEE_API_KEY, or sign in with bailee login"
        return ReportTakenBack(report, None, why)
    try:
        answer = network(machine.settings).ask(
            "DELETE",
            f"{address}/api/v1/feedback/{quote(report, safe='')}",
            headers={"x-api-key": machine.credential},
        )
    except NoAnswer as error:
        return ReportTakenBack(report, None, f"{shown(address)} can't be reached ({error})")
    except BaileeError as error:
        return ReportTakenBack(report, None, error.message)
    if not answer.good:
        return ReportTakenBack(report, None, f"{shown(address)} answered {answer.status}")
    try:
        receipt = text(members(json.loads(answer.content[:65536])).get("receipt"))
    except (ValueError, RecursionError):
        receipt = ""
    if not receipt or len(receipt) > 100 or not receipt.isprintable():
        return ReportTakenBack(report, None, f"{shown(address)} gave no receipt")
    return ReportTakenBack(report, receipt)
