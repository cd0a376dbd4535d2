"""What the pages draw on, handed in by whoever wires the console."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bailee.accounts import Registry
from bailee.clock import Clock
from bailee.console.names import Names
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
    what the diagram is drawn from; `names` are the console's own; `defect` is told of errors that
    no page foresaw.
    """

    perform: Perform
    registry: Registry
    policy: Policy
    sign_in: SignIn
    clock: Clock
    running: Configuration
    names: Names
    defect: Callable[[BaseException], None] = _untold

    @property
    def secure(self) -> bool:
        """Whether browsers reach the console by TLS."""
        return self.names.secure

    @property
    def cookie(self) -> str:
        """The name of the cookie that a session is known by."""
        return self.cookie_named("bailee_session")

    def cookie_named(self, name: str) -> str:
        """A cookie's name: with TLS one that no other host, a neighbour's included, can set."""
        return f"__Host-{name}" if self.secure else name
