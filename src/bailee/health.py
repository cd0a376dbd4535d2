"""What a server says of itself to whoever asks whether to send it work. Pure.

Codes and names of steps, never content: anybody may ask.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

ALIVE: Final = b'{"alive":true}'


@dataclass(frozen=True, slots=True)
class Health:
    """`reasons`: why it is not ready, by codes of `app.promise.Reason`; none: it is. `failing`:
    steps of the sweep that failed the last time; `alerts`: what else somebody should look at, by
    codes of the same kind, while it is ready all the same. `words`: what these codes mean, in a
    sentence of ours each.
    """

    reasons: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether it can record, forgets on time and seals."""
        return not self.reasons

    @property
    def status(self) -> int:
        """The HTTP status that says so."""
        return 200 if self.ready else 503

    def body(self) -> bytes:
        """The answer's JSON."""
        said = {
            "ready": self.ready,
            "reasons": self.reasons,
            "failing": self.failing,
            "alerts": self.alerts,
            **({"words": self.words} if self.words else {}),
        }
        return json.dumps(said, separators=(",", ":")).encode()


Ask = Callable[[], Health]
"""How a listener asks: quick, from the event loop's thread."""


def healthy() -> Health:
    """Of a server that nobody watches."""
    return Health()
