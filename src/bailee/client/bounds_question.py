"""Asking a server, with the person's own key, what its document leaves agents on this machine, and
what it states of them.

Rules kept here:

* No answer, a refusal, or one that is no document changes nothing of what it said last.
* It is asked where pages may be fetched, servers are wanted or another agent is started, and nobody
  waits for longer than a moment, once.
* What can't be kept holds for as long as the program runs.

Rows: P1, S6.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Final

from bailee.client.files import LARGEST
from bailee.client.machine import ClientMachine
from bailee.client.sender import network
from bailee.client.told_bounds import BoundsServer, keep, kept_of, server_of, under
from bailee.json_values import JsonObject, members, text

_PATH: Final = "/managed/bailee"
_PATIENCE: Final = 0.5  # seconds, as for what else is asked of a server at a start
_ANSWERS: Final = 30.0  # seconds until it is given up: nobody waits for it meanwhile


class BoundsQuestion:
    """One question to the server, on a thread of its own, begun with the object; the thread dies
    with the program. Made by who assembles a session or starts an agent. `afresh` may be called on
    any thread. `over`: there was an answer, or there will be none. `server`: who is asked; None:
    none is known. `heard`: it answered so that it is understood.
    """

    def __init__(self, machine: ClientMachine) -> None:
        self._machine = machine
        self.server = server_of(machine.settings, machine.data)
        self.heard = False
        self._patience = _PATIENCE
        self.over = threading.Event()
        self._unkept: JsonObject | None = None
        if self.server is None:
            self.over.set()
        else:
            # A daemon: the end of the program does not wait for it.
            threading.Thread(target=self._ask, args=(self.server,), daemon=True).start()

    def afresh(self) -> ClientMachine:
        """The machine as its settings are now, with what the server says. Blocks: the first time
        for the answer, so many seconds at most.
        """
        patience, self._patience = self._patience, 0.0
        self.over.wait(patience)
        machine = self._machine.afresh()
        said = self._unkept
        if self.server is None or said is None:
            return machine
        return replace(machine, settings=under(machine.settings, self.server, said))

    def _ask(self, server: BoundsServer) -> None:
        try:
            with suppress(Exception):  # no answer is as good as none
                self._take(server)
        finally:
            self.over.set()

    def _take(self, server: BoundsServer) -> None:
        """Ask, and keep what is said. Raises where there is no answer."""
        folder = self._machine.data
        kept = kept_of(folder, server)
        headers = {"authorization": f"Bearer {server.key}"}
        if kept is not None and (etag := text(kept.get("etag"))):
            headers["if-none-match"] = etag
        answer = network(self._machine.settings).ask(
            "GET", server.address + _PATH, headers=headers, seconds=_ANSWERS, largest=LARGEST
        )
        if answer.status != 200:
            self.heard = answer.status == 304
            return
        said = members(members(json.loads(answer.content)).get("settings"))
        if "bounds" not in said:
            return
        self.heard = True
        if said["bounds"] == {} and "statements" not in said and kept is None:
            return  # nothing is made on disk where there is nothing to keep
        try:
            keep(folder, server, answer.headers.get("etag", ""), said)
        except OSError:
            self._unkept = said
