"""Metrics and error events of a program of bailee's on a person's machine.

Measured in memory, made into payloads by `flush`, and put into the outbox only while their flow may
leave. While it may not, nothing is measured either.

Rules kept here:

* Only what is declared can be measured: an undeclared name or value raises, in every build.
* Of an exception only its class, and of its stack only frames of bailee's own modules are taken; no
  message, no argument, no local, no path.
* An installation is a random number, made anew each month and whenever the person resets it. It is
  not made while neither flow is on.

Rows: S1, S2.
"""

from __future__ import annotations

import json
import platform
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from bailee import __version__
from bailee.client.local_key import make_private, write_private
from bailee.client.machine import ClientMachine

if TYPE_CHECKING:  # the registry is read when something is measured
    from bailee.client.declared import Declared, Measurement, Resource, Scalar

_SYSTEMS: Final = {"Linux": "linux", "Darwin": "darwin", "Windows": "windows"}
_MOST: Final = 5_000
_FRAMES: Final = 30


class ClientTelemetry:
    """What one program measures. `service` is its declared name."""

    def __init__(
        self, machine: ClientMachine, service: str, declared: Declared | None = None
    ) -> None:
        self._machine = machine
        self._service: Final = service
        self._given: Final = declared
        self._measured: list[Measurement] = []
        self._since: datetime = machine.clock()

    @cached_property
    def _declared(self) -> Declared:
        from bailee.client.declared import Declared

        return self._given or Declared()

    def use(self, machine: ClientMachine) -> None:
        """The settings are others now: what was measured of a flow that is off is gone."""
        self._machine = machine
        if not machine.flow("metrics").on:
            self._measured = []

    def known(self, field: str, value: str) -> str:
        """The value where the field's declaration knows it, else "other": for what others named."""
        from bailee.registry import OTHER

        kept = self._declared.registry.fields[field].kind.check(value)
        return value if kept == value else OTHER

    def measure(self, name: str, value: float = 1, **fields: Scalar) -> None:
        """One value of a declared metric. Raises `InputError` for what is not declared."""
        made = self._declared.metric(name, value, fields, today=self._machine.clock().date())
        if self._machine.flow("metrics").on and len(self._measured) < _MOST:
            self._measured.append(made)

    def failed(self, error: BaseException, *, handled: bool) -> None:
        """Report that something failed inside this program, if errors may leave."""
        if not self._machine.flow("errors").on:
            return
        fields: dict[str, object] = {"handled": handled}
        declared = self._declared.registry.fields["exception"].kind.values
        # The nearest class that is declared: one of a person's own has a name of their own.
        for kind in type(error).__mro__:
            if kind.__name__ in declared and not _theirs(kind):
                fields["exception"] = kind.__name__
                break
        now = self._machine.clock()
        event = self._declared.error(
            "bailee.error", fields, list(own_frames(error.__traceback__)), today=now.date()
        )
        from bailee.client.sdk_errors import error as error_payload

        made = error_payload(event, self._about(), at=now, event_id=secrets.token_hex(16))
        self._machine.queue(made)

    def flush(self) -> None:
        """Put what was measured into the outbox. Raises `StorageError`."""
        now = self._machine.clock()
        if self._measured:
            from bailee.client.sdk_metrics import metrics as metrics_payload

            made = metrics_payload(self._measured, self._about(), since=self._since, until=now)
            self._measured = []
            if made is not None:
                self._machine.queue(made)
        self._since = now

    def _about(self) -> Resource:
        now = self._machine.clock()
        version = re.match(r"[0-9.]*[0-9]", __version__)
        return self._declared.about(
            {
                "service.name": self._service,
                "service.version": version[0] if version else "0",
                "os.type": _SYSTEMS.get(platform.system(), "other"),
                "bailee.installation.id": installation(self._machine.data, now),
            },
            today=now.date(),
        )


def _theirs(kind: type) -> bool:
    return kind.__module__ == "__main__"


def own_frames(traceback: TracebackType | None) -> Iterator[dict[str, object]]:
    """Module, function and line of the frames that are bailee's own, the innermost thirty."""
    found = []
    while traceback is not None:
        frame = traceback.tb_frame
        module = frame.f_globals.get("__name__")
        if isinstance(module, str) and module.startswith("bailee."):
            found.append(
                {
                    "module": module,
                    "function": frame.f_code.co_name,
                    "line": traceback.tb_lineno,
                }
            )
        traceback = traceback.tb_next
    yield from found[-_FRAMES:]


def installation(folder: Path, now: datetime) -> str:
    """The number of this installation in this month; made anew when none can be read."""
    path = folder / "installation.json"
    month = now.strftime("%Y-%m")
    try:
        note = json.loads(path.read_bytes())
        if note["month"] == month and re.fullmatch(r"[0-9a-f]{32}", note["id"]):
            return str(note["id"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    made = secrets.token_hex(16)
    make_private(folder)
    write_private(path, json.dumps({"month": month, "id": made}).encode())
    return made


def reset_installation(folder: Path) -> None:
    """Forget the number: what comes next can't be joined to what came before."""
    (folder / "installation.json").unlink(missing_ok=True)
