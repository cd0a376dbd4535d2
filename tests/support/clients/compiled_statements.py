"""SQL that was compiled for one database serves the next: a run opens some ten thousand.

SQLAlchemy keeps what it has compiled for as long as an engine lives, and a process of bailee's has
the same two engines all its life. Tests open a home each, so that compiling anew was a third of
what opening it took. What is kept is found by the statement as before, only not by the engine as
well: it is the same for each engine of a dialect.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

_MOST = 4000  # statements; of a home's own there are some hundred


class _Compiled(LRUCache[Any, Any]):
    """What was compiled, by a dialect's kind and the statement. SQLAlchemy asks for it, on any
    thread.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        """What SQLAlchemy asks for, by the dialect of an engine and the statement."""
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


def share() -> None:
    """From now on, this process has one place for what was compiled, whatever engine it is for."""
    compiled = _Compiled(_MOST)
    one: Any = property(lambda _engine: compiled, lambda _engine, _its_own: None)
    Engine._compiled_cache = one
