"""Two views of roots, so that a generation's number means one thing in the life of a home.

* `Shifted`: a root that the home moved to; its numbers begin after those of the one before.
* `Joined`: the old root and the new one while a home moves. To rotate under it is to move: the
  newest generation is the new root's, and the old one's are destroyed when nothing needs them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bailee.errors import IntegrityError
from bailee.keyring.roots.root import Bound, Root


class Shifted(Root):
    """A root whose generations are counted from `base` on: its first is `base + 1`. It owns nothing
    but that number, and is called as the root behind it.
    """

    def __init__(self, root: Root, base: int) -> None:
        self._root, self._base = root, base
        self.driver = root.driver
        self.lag = root.lag

    def generations(self) -> tuple[int, ...]:
        """The root's, shifted."""
        return tuple(self._base + number for number in self._root.generations())

    def add(self) -> int:
        """See `Root.add`."""
        return self._base + self._root.add()

    def destroy(self, generation: int) -> None:
        """See `Root.destroy`."""
        if generation > self._base:
            self._root.destroy(generation - self._base)

    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """See `Root.wrap_all`."""
        return self._root.wrap_all(generation - self._base, some)

    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """See `Root.unwrap_all`."""
        return self._root.unwrap_all(generation - self._base, some)


class Joined(Root):
    """The old root's generations up to `base`, and after them the new one's. The store has it while
    a home moves, and calls it as any root. It makes none in the old root.
    """

    def __init__(self, old: Root, new: Root, base: int) -> None:
        """`new` is shifted by `base` already."""
        self._old, self._new, self.base = old, new, base
        self.driver = new.driver
        self.lag = old.lag  # what is destroyed by the move is the old one's

    def generations(self) -> tuple[int, ...]:
        """Those of both."""
        old = (number for number in self._old.generations() if number <= self.base)
        return (*old, *self._new.generations())

    def add(self) -> int:
        """The new root's next."""
        return self._new.add()

    def destroy(self, generation: int) -> None:
        """Those of either up to this one."""
        self._old.destroy(min(generation, self.base))
        self._new.destroy(generation)

    def wrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes]:
        """By the root that the generation is of."""
        return self._of(generation).wrap_all(generation, some)

    def unwrap_all(self, generation: int, some: Sequence[Bound]) -> list[bytes | IntegrityError]:
        """By the root that the generation is of."""
        return self._of(generation).unwrap_all(generation, some)

    def _of(self, generation: int) -> Root:
        return self._new if generation > self.base else self._old
