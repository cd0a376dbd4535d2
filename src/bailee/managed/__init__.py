"""What agents must obey, compiled from the policy document into the files that each of them reads.

The document decides; here is written in which file, and under which key, an agent of one kind is
told so, each value with the clause that it makes true. What an agent has no key for is said, and is
not passed over.

`settings_for` makes them, `files` writes them as the agent reads them, and `checking` says whether
they are in force on a machine. All of it is pure.

Rows: O3, S5, S6, P1.
"""

from bailee.managed.compiling import ManagedAgent, settings_for
from bailee.managed.values import ManagedFile, ManagedSettings, ManagedValue, NotCovered

__all__ = [
    "ManagedAgent",
    "ManagedFile",
    "ManagedSettings",
    "ManagedValue",
    "NotCovered",
    "settings_for",
]
