"""What leaves by itself, beside the work: measured, put into the outbox, and sent from there.

Rules kept here:

* **Said before it is sent.** The first start on which metrics or errors may leave says so, where to
  and how to turn them off; nothing of them is sent in that run. What it measured waits in the
  outbox, to be looked at, for the next one. Another destination is said anew.
* **And how it is turned off**, by a verb for each: `bailee flows off FLOW`. What was turned off and
  on again is announced again.
* **Never in the way.** A thread of its own, which imports the SDKs; the program ends after two
  seconds at most. What can't be measured or sent costs that payload and nothing else.

Rows: S1, S2, S5.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bailee.client.flows import FlowState
from bailee.client.local_key import make_private, write_private
from bailee.client.machine import ClientMachine
from bailee.client.telemetry import ClientTelemetry
from bailee.policy.document import Language
from bailee.words import words

BY_ITSELF: Final = ("metrics", "errors")
_FIRST: Final = 1.0  # seconds until what earlier runs left is sent
_EVERY: Final = 600.0
_PATIENCE: Final = 2.0


def unsaid(machine: ClientMachine, language: Language = "en") -> list[FlowState]:
    """The flows that may leave by themselves and have not been announced for where they go."""
    said = _said(machine.data)
    flows = [machine.flow(name, language) for name in BY_ITSELF]
    return [flow for flow in flows if flow.on and _mark(flow) not in said]


def announcement(machine: ClientMachine, language: Language = "en") -> str | None:
    """What is to be said, if something is."""
    due = unsaid(machine, language)
    if not due:
        return None
    said = words(language, "terminal")
    what = said("notice.and").join(flow.label.lower() for flow in due)
    both = f" {said('notice.and').strip()} "  # an address ends where a space is
    where = both.join(dict.fromkeys(flow.destination for flow in due))
    off = said("list.comma").join(f"`bailee flows off {flow.name}`" for flow in due)
    return said("notice.sends", what=what, where=where, off=off)


def announced(machine: ClientMachine) -> None:
    """The announcement was shown: from the next start on these flows may be sent."""
    marks = {*_said(machine.data), *(_mark(flow) for flow in unsaid(machine))}
    with suppress(OSError):  # then it is said again
        make_private(machine.data)
        write_private(_place(machine.data), json.dumps({"said": sorted(marks)}).encode())


def unsay(folder: Path, flow: str) -> None:
    """What a flow would send is announced anew before anything of it leaves."""
    marks = [mark for mark in _said(folder) if mark.partition(" ")[0] != flow]
    if folder.exists():
        write_private(_place(folder), json.dumps({"said": sorted(marks)}).encode())


class Background:
    """The telemetry of one run of a program, and its thread. `notice` is to be shown at the start,
    and `shown` to be called once it was.
    """

    def __init__(self, machine: ClientMachine, service: str, language: Language = "en") -> None:
        self._machine = machine
        self._todo: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._held = frozenset(flow.name for flow in unsaid(machine))
        self.telemetry: Final = ClientTelemetry(machine, service)
        self.notice: Final = announcement(machine, language)

    def shown(self) -> None:
        """The notice was shown."""
        announced(self._machine)

    def use(self, machine: ClientMachine) -> None:
        """The settings are others now. What became on after the start is not sent in this run."""
        self._held |= {flow.name for flow in unsaid(machine)}
        self._machine = machine
        self.telemetry.use(machine)

    def start(self) -> None:
        """Begins, once the program has shown what there is to see."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
            self._thread.start()

    def failed(self, error: BaseException) -> None:
        """Reports an error that the program caught."""
        self._todo.put(lambda: self.telemetry.failed(error, handled=True))

    def send(self, only: str) -> None:
        """Sends this item of the outbox now, on the thread, and nothing beside it."""
        self._todo.put(lambda: self._machine.send(only=only))

    def stop(self) -> None:
        """Puts what was measured into the outbox and sends it, if that is quick."""
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        wait = _FIRST
        while True:
            try:
                act = self._todo.get(timeout=wait)
            except queue.Empty:
                wait = _EVERY
                self._quietly((self.telemetry.flush, self._send))
                continue
            if act is None:
                self._quietly((self.telemetry.flush, self._send))
                return
            self._quietly((act,))

    def _send(self) -> None:
        self._machine.send(leaving=self._held)

    @staticmethod
    def _quietly(acts: Iterable[Callable[[], object]]) -> None:
        for act in acts:
            with suppress(Exception):
                act()


def _place(folder: Path) -> Path:
    return folder / "said.json"


def _said(folder: Path) -> frozenset[str]:
    """What was announced; nothing when it can't be read, so that it is said again."""
    try:
        found = json.loads(_place(folder).read_bytes())["said"]
        return frozenset(one for one in found if isinstance(one, str))
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def _mark(flow: FlowState) -> str:
    return f"{flow.name} {flow.destination}"
