"""`dataclass`, made in a sixth of the time: for what a program imports before it does anything.

The standard decorator writes six methods as text for each class, and compiles each. A start of
`bailee code` makes a hundred such classes, and uses few of them. Here the methods that are alike
for all classes are written once, and `__init__` is compiled when the first instance is made.

Rules kept here:

* What is made is a dataclass of the standard library: `fields`, `replace`, `asdict`, `match`,
  copies and pickles are as with its own decorator, which makes the fields and slots here too.
* A type checker sees the standard decorator, and nothing else.
* What is not done here (an order, `InitVar`, fields by keyword alone or that are no argument) is
  refused when the class is made: the standard decorator is for those.

Before its first instance a class has no signature to be asked for.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING

__all__ = ["dataclass"]


def _dataclass(
    *, frozen: bool = False, slots: bool = False, eq: bool = True
) -> Callable[[type], type]:
    """See `dataclasses.dataclass`; the rest of its choices are not to be had here."""

    def decorated(written: type) -> type:
        own = {name for name, value in vars(written).items() if (name, value) != ("__hash__", None)}
        if "InitVar" in str(inspect.get_annotations(written)):
            raise TypeError(f"{written.__qualname__}: InitVar needs the standard dataclass")
        made: type = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(written)
        shown = tuple(field.name for field in dataclasses.fields(made) if field.repr)
        methods: dict[str, object] = {"__init__": _first_init(made), "__repr__": _repr(shown)}
        if eq:
            methods |= _comparing(made, frozen=frozen)
        if frozen:
            methods |= _frozen(made)
        for name in methods.keys() - own:
            setattr(made, name, methods[name])
        return made

    return decorated


def _first_init(made: type) -> Callable[..., None]:
    """An `__init__` that puts the compiled one into its place, and does what that does. Two threads
    may come at once: each compiles the same.
    """
    for field in dataclasses.fields(made):
        if field.kw_only or not field.init:
            raise TypeError(f"{made.__qualname__}.{field.name} needs the standard dataclass")

    def __init__(self: object, /, *values: object, **named: object) -> None:
        compiled = _compiled_init(made)
        setattr(made, "__init__", compiled)  # noqa: B010
        compiled(self, *values, **named)

    __init__.__qualname__ = f"{made.__qualname__}.__init__"
    return __init__


def _compiled_init(made: type) -> Callable[..., None]:
    known: dict[str, object] = {"_put_": object.__setattr__, "_missing_": MISSING}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(made):
        name = value = field.name
        if field.default is not MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        elif field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_missing_")
            value = f"_make_{name}() if {name} is _missing_ else {name}"
        else:
            parameters.append(name)
        lines.append(f"_put_(self, {name!r}, {value})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    text = "\n ".join([f"def __init__({', '.join(parameters)}):", *lines, "return None"])
    exec(text, known)  # noqa: S102 - made of the names that the class's own source has
    compiled: Callable[..., None] = known["__init__"]  # type: ignore[assignment]
    compiled.__qualname__ = f"{made.__qualname__}.__init__"
    compiled.__module__ = made.__module__
    return compiled


def _repr(names: tuple[str, ...]) -> Callable[..., object]:
    @recursive_repr()
    def __repr__(self: object) -> str:
        said = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{type(self).__qualname__}({said})"

    return __repr__


def _comparing(made: type, *, frozen: bool) -> dict[str, Callable[..., object] | None]:
    fields = dataclasses.fields(made)
    compared = _values([field.name for field in fields if field.compare])
    hashed = _values([f.name for f in fields if (f.compare if f.hash is None else f.hash)])

    def __eq__(self: object, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(compared(self) == compared(other))

    def __hash__(self: object) -> int:
        return hash(hashed(self))

    return {"__eq__": __eq__, "__hash__": __hash__ if frozen else None}


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda one: tuple(getattr(one, name) for name in names)


def _frozen(made: type) -> dict[str, Callable[..., object]]:
    names = tuple(field.name for field in dataclasses.fields(made))

    def __setattr__(self: object, name: str, value: object) -> None:
        if type(self) is made or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def __delattr__(self: object, name: str) -> None:
        if type(self) is made or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def __getstate__(self: object) -> list[object]:
        return [getattr(self, name) for name in names]

    def __setstate__(self: object, state: list[object]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    return {one.__name__: one for one in (__setattr__, __delattr__, __getstate__, __setstate__)}


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
