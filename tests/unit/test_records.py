"""`bailee.records.dataclass` and the standard library's: the same class, whoever makes it."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar

import pytest

from bailee import records

_Decorator = Callable[..., Callable[[type], Any]]
_BOTH: list[_Decorator] = [dataclasses.dataclass, records.dataclass]


def _made(decorator: _Decorator) -> Any:
    @decorator(frozen=True, slots=True)
    class Shape:
        """One of each kind of field."""

        of_all: ClassVar[int] = 3
        name: str
        secret: str = field(repr=False)
        sides: int = 4
        marks: list[int] = field(default_factory=list, hash=False)
        seen: float = field(default=0.0, compare=False)

        def twice(self) -> int:
            return self.sides * 2

    return Shape


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """At the module's top, where a pickle finds it."""

    name: str
    sides: int = 4


@records.dataclass(frozen=True, slots=True)
class Record:
    """As `Standard` is."""

    name: str
    sides: int = 4


@pytest.mark.parametrize("decorator", _BOTH)
def test_what_is_made_shows_compares_and_hashes_alike(decorator: _Decorator) -> None:
    """Defaults, factories, what is not shown, not compared and not hashed."""
    shape = _made(decorator)
    one = shape("a", secret="b")

    assert repr(one).endswith("Shape(name='a', sides=4, marks=[], seen=0.0)")
    assert one == shape("a", "b", 4, [], 9.5)
    assert one != shape("a", "c")
    assert one != ("a", "b", 4, [])
    assert hash(one) == hash(shape("a", "b", 4, [1])) == hash(("a", "b", 4))
    assert one.marks is not shape("a", "b").marks
    assert (one.twice(), shape.of_all, one.of_all) == (8, 3, 3)
    match one:
        case shape(name, _, 4):
            assert name == "a"
        case _:
            pytest.fail("it does not match")


@pytest.mark.parametrize("decorator", _BOTH)
def test_what_is_made_does_not_change(decorator: _Decorator) -> None:
    """No field is assigned or deleted, and there are no others; wrong calls are refused."""
    shape = _made(decorator)
    for _ in range(2):  # before and after its `__init__` is there
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'secret'"):
            shape("a")
    one = shape("a", "b")
    with pytest.raises(FrozenInstanceError, match="'name'"):
        one.name = "c"
    with pytest.raises((FrozenInstanceError, TypeError)):  # Python 3.11's own says it badly
        one.other = "c"
    with pytest.raises(FrozenInstanceError, match="'name'"):
        del one.name
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        shape("a", "b", width=1)
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("decorator", _BOTH)
def test_the_standard_functions_take_what_is_made(decorator: _Decorator) -> None:
    """`replace`, `asdict`, `fields`; a copy, and what inherits."""
    shape = _made(decorator)
    one = shape("a", "b")

    assert dataclasses.replace(one, sides=5) == shape("a", "b", 5)
    assert list(dataclasses.asdict(one)) == [each.name for each in dataclasses.fields(shape)]
    assert copy.deepcopy(one) == one

    @decorator(slots=True)
    class Base:
        """It changes, and so has no hash."""

        name: str

        def __post_init__(self) -> None:
            self.name = self.name.strip()

    @decorator(slots=True, eq=False)
    class More(Base):
        """Compared by being the same."""

        size: int = 1

    more = More(" a ")
    more.size += 1
    assert (more.name, more.size) == ("a", 2)
    assert Base("a") == Base(" a")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Base("a"))


@pytest.mark.parametrize("made", [Standard, Record])
def test_what_is_made_can_be_pickled(made: Any) -> None:
    """And is the same afterwards, and still does not change."""
    again = pickle.loads(pickle.dumps(made("a", 5)))
    assert again == made("a", 5)
    with pytest.raises(FrozenInstanceError):
        again.name = "b"


def test_what_a_record_is_not_for_is_refused() -> None:
    """When the class is made, not when it is used."""
    with pytest.raises(TypeError, match="size needs the standard dataclass"):

        @records.dataclass(slots=True)
        class Calculated:
            size: int = field(init=False)

    with pytest.raises(TypeError, match="InitVar"):

        @records.dataclass(slots=True)
        class Sealed:
            seal: dataclasses.InitVar[object] = None

    with pytest.raises(TypeError, match="order"):
        records.dataclass(order=True)
