"""An object store whose next operation fails, in either of the two ways that matter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum

from bailee.errors import StorageError


class Fault(Enum):
    """How an operation fails: nothing happened, or it did and the answer was lost."""

    NOT_PERSISTED = "failed and not persisted"
    PERSISTED = "failed but persisted"


class FaultyStore:
    """Objects in memory; `fail` plans the next failures, one an operation.

    >>> store = FaultyStore()
    >>> store.fail("put", Fault.PERSISTED)
    >>> store.put("a", b"1")
    Traceback (most recent call last):
    ...
    bailee.errors.StorageError: the object store failed on put.
    >>> store.get("a", 0, 1)
    b'1'
    """

    late = True

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._planned: dict[str, deque[Fault]] = {}

    def fail(self, operation: str, *faults: Fault) -> None:
        """Let the next calls of `operation` ("put", "get" or "delete") fail, one for each fault."""
        self._planned.setdefault(operation, deque()).extend(faults)

    def put(self, name: str, content: bytes) -> None:
        """Keep `content` as `name`."""
        fault = self._before("put")
        self.objects[name] = bytes(content)
        self._after("put", fault)

    def get(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes of an object."""
        self._after("get", self._before("get"))
        found = self.objects.get(name, b"")[offset : offset + length]
        if len(found) != length:
            raise StorageError(f"the object store has no such bytes of {name}.")
        return found

    def size(self, name: str) -> int | None:
        """How many bytes an object has; None: it is not there."""
        found = self.objects.get(name)
        return None if found is None else len(found)

    def names(self) -> Iterator[str]:
        """The names of all objects."""
        yield from sorted(self.objects)

    def delete(self, name: str) -> None:
        """Remove an object."""
        fault = self._before("delete")
        self.objects.pop(name, None)
        self._after("delete", fault)

    def _before(self, operation: str) -> Fault | None:
        planned = self._planned.get(operation)
        fault = planned.popleft() if planned else None
        if fault is Fault.NOT_PERSISTED:
            raise StorageError(f"the object store failed on {operation}.")
        return fault

    def _after(self, operation: str, fault: Fault | None) -> None:
        if fault is not None:
            raise StorageError(f"the object store failed on {operation}.")
