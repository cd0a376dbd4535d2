"""What the pages draw on, handed in by whoever wires the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bailee.console.names import Names
from bailee.node import Node
from bailee.operations.asks import Via, asked_by, from_outside
from bailee.operations.operation import Given, Operation, Result
from bailee.policy.diagram import Configuration

if TYPE_CHECKING:
    from bailee.console.asking import Ask


def _untold(_error: BaseException) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Parts:
    """Of `node` operations are asked (`do`); `running` is what the diagram is drawn from; `names`
    are the console's own; `defect` is told of errors that no page foresaw.
    """

    node: Node
    running: Configuration
    names: Names
    defect: Callable[[BaseException], None] = _untold

    def do(
        self,
        ask: Ask,
        operation: Operation[Given, Result],
        /,
        *args: Given.args,
        **given: Given.kwargs,
    ) -> Result:
        """Carry out an operation for whoever asks for a page; what they gave as a reason is the
        reason.
        """
        actor = from_outside(self.node, {"cookie": ask.visitor.cookie})
        asks = asked_by(self.node, actor, Via.PAGE, reason=ask.form.get("reason"))
        return operation(asks, self.node, *args, **given)

    def drawn(self) -> Configuration:
        """`running`, with the lag as the policy document that holds lets it be."""
        lag = self.node.vault.lag(self.node.clock()).at_most
        return replace(self.running, lag_hours=round(lag.total_seconds() / 3600))

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
