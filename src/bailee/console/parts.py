"""What the pages draw on, handed in by whoever wires the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bailee.accounts import Registry
from bailee.clock import Clock
from bailee.console.sign_in import SignIn
from bailee.policy import Policy
from bailee.policy.diagram import Configuration

Perform = Callable[[str, Mapping[str, object]], Any]


def _untold(_error: BaseException) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Parts:
    """`perform` carries out an operation by name, as the command line does, for the person whose
    `cookie` is among the arguments, or for the operator; `registry` has the people; `running` is
    what the diagram is drawn from; `secure` says that the console is reached by TLS; `defect` is
    told of errors that no page foresaw.
    """

    perform: Perform
    registry: Registry
    policy: Policy
    sign_in: SignIn
    clock: Clock
    running: Configuration
    secure: bool
    defect: Callable[[BaseException], None] = _untold

    @property
    def cookie(self) -> str:
        """The name of the cookie that a session is known by; TLS lets it be bound to this host."""
        return "__Host-bailee_session" if self.secure else "bailee_session"
