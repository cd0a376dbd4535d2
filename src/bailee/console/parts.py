"""What the pages draw on, handed in by whoever wires the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bailee.clock import Clock
from bailee.console.sign_in import SignIn
from bailee.policy import Policy
from bailee.policy.diagram import Configuration

Perform = Callable[[str, Mapping[str, object]], Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """`perform` carries out an operation by name, as the command line does; `record` appends to
    the audit record (kind, subject, body); `running` is what the diagram is drawn from; `secure`
    says that the console is reached by TLS.
    """

    perform: Perform
    record: Callable[[str, str, Mapping[str, str | int | float | bool | None]], None]
    policy: Policy
    sign_in: SignIn
    clock: Clock
    running: Configuration
    secure: bool
