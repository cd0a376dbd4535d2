"""What tokens cost. Pure.

Rules kept here:

* Money is whole millionths of a US dollar (micro-USD), never a float. Prices are read as decimals.
* Of a model that is not in the table the cost is not known, which is not the same as nothing.
* What an exchange costs is rounded up, once.

Where a table is from is `price_file`'s.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from bailee.apis.using import Tokens
from bailee.errors import InputError
from bailee.json_values import members
from bailee.money import MICRO
from bailee.usage.models import model_of

_KINDS: Final = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
_MOST: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of each kind cost, in micro-USD."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int

    def cost(self, tokens: Tokens, share: int = 1) -> int:
        """In micro-USD, rounded up. `share`: the price is divided by it."""
        whole = (
            tokens.input * self.input
            + tokens.output * self.output
            + tokens.cache_read * self.cache_read
            + tokens.cache_write_5m * self.cache_write_5m
            + tokens.cache_write_1h * self.cache_write_1h
        )
        return -(-whole // (MICRO * share))

    def at_most(self, into: int, out: int) -> int:
        """What a request with so many tokens costs at the most, whatever is written to caches."""
        dearest = max(self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h)
        return -(-(into * dearest + out * self.output) // MICRO)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The prices by model, and where they are from. It is read at a start, and changed by none."""

    prices: Mapping[str, Price]
    source: str
    as_of: str

    def of(self, model_id: str) -> Price | None:
        """The price of a model by one of its ids; None: it is not known."""
        return self.prices.get(model_of(model_id)) if model_id else None

    def cost(self, model_id: str, tokens: Tokens, share: int = 1) -> int | None:
        """What these tokens cost, at the price divided by `share`; None: that is not known."""
        price = self.of(model_id)
        return None if price is None else price.cost(tokens, share)

    @property
    def dearest(self) -> Price | None:
        """The highest price there is of each kind: what a model that is not in the table is taken
        to cost while a limit on money reserves for it. None: the table is empty.
        """
        known = list(self.prices.values())
        if not known:
            return None
        return Price(*(max(getattr(one, kind) for one in known) for kind in _KINDS))


def parse_prices(text: str, name: str) -> PriceTable:
    """A table out of its text.

    Raises:
        InputError: code `configuration`, with the model whose price is wrong.
    """
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(name, f"it is no TOML: {error}") from None
    prices: dict[str, Price] = {}
    for model, given in members(said.get("models")).items():
        prices[model_of(model)] = _price(name, model, members(given))
    source, as_of = said.get("source"), said.get("as_of")
    return PriceTable(
        prices, source if isinstance(source, str) else "", "" if as_of is None else str(as_of)
    )


def _price(name: str, model: str, given: Mapping[str, object]) -> Price:
    unknown = sorted({*given} - {*_KINDS})
    if unknown:
        raise _wrong(name, f"{model}: there is no {unknown[0]}")
    found = {kind: _micro(name, model, kind, given[kind]) for kind in given}
    if "input" not in found or "output" not in found:
        raise _wrong(name, f"{model}: input and output are needed")
    into = found["input"]
    return Price(
        into,
        found["output"],
        found.get("cache_read", into),
        found.get("cache_write_5m", into),
        found.get("cache_write_1h", found.get("cache_write_5m", into)),
    )


def _micro(name: str, model: str, kind: str, said: object) -> int:
    """US dollars for a million tokens, as text: micro-USD for a million tokens."""
    try:
        amount = Decimal(said) if isinstance(said, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or not 0 <= amount <= _MOST:
        raise _wrong(name, f'{model}: {kind} is no amount of dollars in quotation marks ("0.30")')
    micro = amount * MICRO
    if micro != int(micro):
        raise _wrong(name, f"{model}: {kind} has more than six decimals")
    return int(micro)


def _wrong(name: str, what: str) -> InputError:
    return InputError(
        f"the price table {name} is wrong: {what}.",
        code="configuration",
        hint="see docs/guides/usage.md for its form",
    )
