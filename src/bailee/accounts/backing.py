"""What the parts of this package stand on: a database, a policy, a clock, an audit record."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from bailee.accounts.identifiers import Identifiers
from bailee.clock import Clock
from bailee.damage import Damages
from bailee.ledger import Ledger
from bailee.policy.holding import PolicyHolder


@dataclass(frozen=True, slots=True)
class Backing:
    """Handed to each part when it is made."""

    engine: Engine
    holding: PolicyHolder
    clock: Clock
    ledger: Ledger
    identifiers: Identifiers
    random: Callable[[int], bytes] = secrets.token_bytes
    damages: Damages = field(default_factory=Damages)
